// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/internal/near"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/reference"
)

// containerdName is the annotation in which containerd, and so docker save, keep
// the whole name of an image.
const containerdName = "io.containerd.image.name"

// Name is how an image is called in a layout.
type Name struct {
	// Tag is the org.opencontainers.image.ref.name, by which every program finds
	// the image. It may be a whole name, too.
	Tag string

	// Full is the io.containerd.image.name: the whole name of the image as Docker
	// completes it, such as "docker.io/library/app:1".
	Full string
}

// renamed is an entry of index.json with another name, and none if that is empty.
func renamed(d v1.Descriptor, n Name) v1.Descriptor {
	d.Annotations = maps.Clone(d.Annotations)
	if d.Annotations == nil {
		d.Annotations = map[string]string{}
	}
	for key, value := range map[string]string{v1.AnnotationRefName: n.Tag, containerdName: n.Full} {
		if value == "" {
			delete(d.Annotations, key)
		} else {
			d.Annotations[key] = value
		}
	}
	return d
}

// nameOf is the name of an entry of index.json.
func nameOf(d v1.Descriptor) Name {
	return Name{Tag: d.Annotations[v1.AnnotationRefName], Full: d.Annotations[containerdName]}
}

// names are the names of an entry of index.json.
func names(d v1.Descriptor) []string {
	n := nameOf(d)
	return compact([]string{n.Tag, n.Full})
}

// compact drops what is empty or was there before.
func compact(list []string) []string {
	var kept []string
	seen := map[string]bool{"": true}
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			kept = append(kept, s)
		}
	}
	return kept
}

// choose returns the descriptor that the options mean. When several entries are
// one image for several platforms it is that of an index of these, whose bytes
// are returned too.
func (l layout) choose(idx v1.Index, opt Options) (v1.Descriptor, []byte, error) {
	if opt.Digest != "" {
		d, err := l.byDigest(idx, opt.Digest)
		return d, nil, err
	}
	var chosen []v1.Descriptor
	if opt.Tag != "" {
		chosen = byTag(idx, opt.Tag)
	} else {
		chosen = slices.DeleteFunc(slices.Clone(idx.Manifests), ineligible)
	}
	chosen = distinct(chosen)
	if slices.ContainsFunc(chosen, image.Eligible) {
		chosen = slices.DeleteFunc(chosen, ineligible)
	}
	switch {
	case len(chosen) == 1:
		return chosen[0], nil, nil
	case len(chosen) > 1 && isPlatformSet(chosen):
		return joined(chosen)
	case len(chosen) > 1 && opt.Tag != "":
		return v1.Descriptor{}, nil, l.list(chosen, "%s: tag %q names %d images", l.source, opt.Tag, len(chosen))
	case len(chosen) > 1:
		return v1.Descriptor{}, nil, l.list(chosen, "%s has %d images and none is named", l.source, len(chosen))
	case opt.Tag != "":
		return v1.Descriptor{}, nil, l.absent(nearest(idx, opt.Tag), fmt.Sprintf("tag %q", opt.Tag))
	}
	return v1.Descriptor{}, nil, image.NotFoundf("%s has no images", l.source)
}

func ineligible(d v1.Descriptor) bool { return !image.Eligible(d) }

// byDigest finds an entry, or else a blob, by its digest.
func (l layout) byDigest(idx v1.Index, want digest.Digest) (v1.Descriptor, error) {
	if err := image.CheckDigest(want); err != nil {
		return v1.Descriptor{}, fmt.Errorf("%s: %w", l.source, err)
	}
	for _, d := range idx.Manifests {
		if d.Digest == want {
			return d, nil
		}
	}
	info, err := l.regular(blobPath(want))
	if errors.Is(err, fs.ErrNotExist) {
		return v1.Descriptor{}, l.absent(idx, "digest "+string(want))
	}
	if err != nil {
		return v1.Descriptor{}, l.fileError("blob "+string(want), err)
	}
	return v1.Descriptor{Digest: want, Size: info.Size()}, nil
}

// byTag returns the entries with a name.
func byTag(idx v1.Index, tag string) []v1.Descriptor {
	var exact, containerd []v1.Descriptor
	full := fullName(tag)
	for _, d := range idx.Manifests {
		name := d.Annotations[containerdName]
		switch {
		case d.Annotations[v1.AnnotationRefName] == tag:
			exact = append(exact, d)
		case name != "" && (name == tag || fullName(name) == full):
			containerd = append(containerd, d)
		}
	}
	if len(exact) > 0 {
		return exact
	}
	return containerd
}

// fullName completes a name as Docker does; what is no such name stays.
func fullName(s string) string {
	if r, err := reference.Parse("docker://" + s); err == nil {
		return r.Image()
	}
	return s
}

// distinct drops repetitions of the same document.
func distinct(list []v1.Descriptor) []v1.Descriptor {
	var kept []v1.Descriptor
	seen := map[digest.Digest]bool{}
	for _, d := range list {
		if !seen[d.Digest] {
			seen[d.Digest] = true
			kept = append(kept, d)
		}
	}
	return kept
}

// isPlatformSet reports whether entries are one image for several platforms: they
// have the same names, and each states a platform that is no other's.
func isPlatformSet(list []v1.Descriptor) bool {
	seen := map[string]bool{}
	for _, d := range list {
		if d.Platform == nil || !slices.Equal(names(d), names(list[0])) {
			return false
		}
		p := image.FormatPlatform(image.NormalizePlatform(*d.Platform))
		if seen[p] {
			return false
		}
		seen[p] = true
	}
	return true
}

// joined is the index of entries that are one image for several platforms. It has
// their names, which they lose.
func joined(entries []v1.Descriptor) (v1.Descriptor, []byte, error) {
	idx := v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex}
	for _, d := range entries {
		idx.Manifests = append(idx.Manifests, renamed(d, Name{}))
	}
	raw, err := json.Marshal(idx)
	return v1.Descriptor{MediaType: v1.MediaTypeImageIndex, Annotations: entries[0].Annotations}, raw, err
}

// nearest is an index with the image first that a tag was probably meant to name.
func nearest(idx v1.Index, tag string) v1.Index {
	var all []string
	for _, d := range idx.Manifests {
		all = append(all, names(d)...)
	}
	meant := near.Name(tag, slices.Values(all))
	for i, d := range idx.Manifests {
		if meant != "" && slices.Contains(names(d), meant) {
			idx.Manifests = slices.Concat(idx.Manifests[i:i+1], idx.Manifests[:i], idx.Manifests[i+1:])
			break
		}
	}
	return idx
}

// absent is the error for a tag or digest that is not in the layout.
func (l layout) absent(idx v1.Index, what string) error {
	if len(idx.Manifests) == 0 {
		return image.NotFoundf("%s: no %s: there are no images", l.source, what)
	}
	return l.list(distinct(idx.Manifests), "%s: no %s", l.source, what)
}

// list is an error that lists candidates, with a hint how to name one.
func (l layout) list(candidates []v1.Descriptor, format string, args ...any) error {
	const most = 20
	var all []string
	for _, d := range candidates[:min(len(candidates), most)] {
		all = append(all, candidate(d, candidates))
	}
	if n := len(candidates) - most; n > 0 {
		all = append(all, fmt.Sprintf("and %d more", n))
	}
	err := image.NotFoundf("%s: there is %s", fmt.Sprintf(format, args...), strings.Join(all, ", "))
	return image.WithHint(err, "name one, such as %s", l.name(candidates))
}

// candidate is an entry in a list of them: the names that are enough to choose it, or
// all about it, and its platform.
func candidate(d v1.Descriptor, all []v1.Descriptor) string {
	var own []string
	for _, name := range names(d) {
		if isOwn(name, all) {
			own = append(own, image.Quote(name))
		}
	}
	if len(own) == 0 {
		return describe(d)
	}
	return strings.Join(own, " or ") + kindOf(d)
}

// isOwn reports whether one of the entries alone has a name.
func isOwn(name string, all []v1.Descriptor) bool {
	n := 0
	for _, d := range all {
		if slices.Contains(names(d), name) {
			n++
		}
	}
	return n == 1
}

// describe is all about an entry: its names, digest and platform.
func describe(d v1.Descriptor) string {
	s := string(d.Digest)
	if image.CheckDigest(d.Digest) != nil {
		s = image.Quote(s)
	}
	if n := names(d); len(n) > 0 {
		for i := range n {
			n[i] = image.Quote(n[i])
		}
		s = "[" + strings.Join(n, " ") + "] " + s
	}
	return s + kindOf(d)
}

// kindOf is an entry's platform behind a space, if it has one.
func kindOf(d v1.Descriptor) string {
	switch {
	case image.IsAttestation(d):
		return " attestation"
	case d.Platform != nil:
		return " " + image.ShowPlatform(image.NormalizePlatform(*d.Platform))
	}
	return ""
}

// name is the full reference of the first candidate: by a tag that no other has,
// or by its digest.
func (l layout) name(candidates []v1.Descriptor) string {
	d := candidates[0]
	for _, tag := range names(d) {
		if r, err := reference.Parse("oci:x:" + tag); err == nil && r.Tag == tag && isOwn(tag, candidates) {
			return l.source + ":" + tag
		}
	}
	return l.source + "@" + string(d.Digest)
}
