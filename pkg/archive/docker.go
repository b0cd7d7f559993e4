// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten/internal/near"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/reference"
)

// dockerManifest is the member that lists the images of a docker-archive.
const dockerManifest = "manifest.json"

// saved is one image in manifest.json.
type saved struct {
	Config   string   `json:"Config"`
	RepoTags []string `json:"RepoTags"`
	Layers   []string `json:"Layers"`
}

// maxImages is how many images manifest.json may list.
const maxImages = 1 << 14

// parseSaved parses manifest.json. Images that are listed more than once are one,
// with the tags of all.
func parseSaved(raw []byte) ([]saved, error) {
	var count []struct{}
	if err := json.Unmarshal(raw, &count); err != nil {
		return nil, image.Corruptf("%s: %w", dockerManifest, err)
	}
	if err := image.CheckKeys(raw); err != nil {
		return nil, image.Corruptf("%s: %w", dockerManifest, err)
	}
	if len(count) > maxImages {
		return nil, image.Corruptf("%s: %d images, over the limit of %d", dockerManifest, len(count), maxImages)
	}
	var all []saved
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, image.Corruptf("%s: %w", dockerManifest, err)
	}
	var distinct []saved
	place := map[string]int{} // in distinct, by what the image is made of
	for i, s := range all {
		if s.Config == "" {
			return nil, image.Corruptf("%s: image %d names no configuration", dockerManifest, i+1)
		}
		made := fmt.Sprintf("%q", append([]string{s.Config}, s.Layers...))
		if at, ok := place[made]; ok {
			distinct[at].RepoTags = append(distinct[at].RepoTags, s.RepoTags...)
			continue
		}
		place[made] = len(distinct)
		distinct = append(distinct, s)
	}
	return distinct, nil
}

// openDocker opens an image of a docker-archive.
func openDocker(t *tarFS, opt Options) (*image.Image, error) {
	s, err := t.saved(opt)
	if err != nil {
		return nil, err
	}
	img, err := t.image(s)
	if err == nil {
		err = image.CheckPlatform(img, image.Options{Platform: opt.Platform})
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", opt.Source, err)
	}
	img.Reference = opt.Source + selector(opt)
	return img, nil
}

// selector is what follows the archive in the reference of an image.
func selector(opt Options) string {
	switch {
	case opt.Digest != "":
		return "@" + string(opt.Digest)
	case opt.Tag != "":
		return ":" + opt.Tag
	}
	return ""
}

// saved returns the image of a docker-archive that the options mean.
func (t *tarFS) saved(opt Options) (saved, error) {
	all, err := t.allSaved()
	if err != nil {
		return saved{}, fmt.Errorf("%s: %w", opt.Source, err)
	}
	return t.choose(all, opt)
}

// allSaved returns the images of a docker-archive.
func (t *tarFS) allSaved() ([]saved, error) {
	if !t.has(dockerManifest) {
		_, err := t.form()
		if err == nil {
			err = image.WithHint(image.Corruptf("an oci-archive, not a docker-archive"), "use oci-archive:")
		}
		return nil, err
	}
	raw, err := t.read(dockerManifest, "ManifestBytes", t.limits.ManifestBytes)
	if err != nil {
		return nil, err
	}
	return parseSaved(raw)
}

// choose returns the image that the options mean.
func (t *tarFS) choose(all []saved, opt Options) (saved, error) {
	var chosen []saved
	var problem string
	switch {
	case len(all) == 0:
		return saved{}, image.NotFoundf("%s has no images: %s lists none", opt.Source, dockerManifest)
	case opt.Digest != "":
		problem = fmt.Sprintf("no image has ID %s", opt.Digest)
		ids := map[member]digest.Digest{} // many images may have one configuration
		for _, s := range all {
			m, err := t.find(s.Config)
			if err != nil {
				continue
			}
			id, ok := ids[m]
			if !ok {
				id = t.id(s)
				ids[m] = id
			}
			if id == opt.Digest {
				chosen = append(chosen, s)
			}
		}
	case opt.Tag != "":
		problem = fmt.Sprintf("no image has tag %q", opt.Tag)
		for _, s := range all {
			if slices.ContainsFunc(s.RepoTags, func(tag string) bool { return sameTag(tag, opt.Tag) }) {
				chosen = append(chosen, s)
			}
		}
	default:
		chosen = all
		problem = "none is named"
	}
	if len(chosen) == 1 {
		return chosen[0], nil
	}
	if len(chosen) > 1 && opt.Tag != "" {
		return saved{}, t.list(chosen, fmt.Sprintf("tag %q names all of them", opt.Tag), true, opt)
	}
	return saved{}, t.list(all, problem, false, opt)
}

// sameTag compares two names as Docker completes them.
func sameTag(a, b string) bool {
	if a == b {
		return true
	}
	ra, err := reference.Parse("docker://" + a)
	if err != nil {
		return false
	}
	rb, err := reference.Parse("docker://" + b)
	return err == nil && ra == rb
}

// list is an error that lists images, with a hint how to name the first, by its ID
// if tags do not help.
func (t *tarFS) list(all []saved, problem string, byID bool, opt Options) error {
	const most = 20
	var list []string
	for _, s := range all[:min(len(all), most)] {
		id := string(t.id(s))
		if len(s.RepoTags) > 0 {
			id = fmt.Sprintf("%s %s", quoteAll(s.RepoTags), id)
		}
		list = append(list, id)
	}
	if n := len(all) - most; n > 0 {
		list = append(list, fmt.Sprintf("and %d more", n))
	}
	noun := "images"
	if len(all) == 1 {
		noun = "image"
	}
	err := image.NotFoundf("%s has %d %s and %s: there is %s", opt.Source, len(all), noun, problem, strings.Join(list, ", "))
	if tag := nearestTag(all, opt.Tag); !byID && tag != "" && validTag(tag) {
		return image.WithHint(err, "%s%s:%s", hintPrefix, opt.Source, tag)
	}
	return image.WithHint(err, "%s%s@%s", hintPrefix, opt.Source, t.id(all[0]))
}

// nearestTag is the tag that one which does not exist was probably meant to be, or
// else the first image's; empty when that has none.
func nearestTag(all []saved, tag string) string {
	var tags []string
	for _, s := range all {
		tags = append(tags, s.RepoTags...)
	}
	if meant := near.Name(tag, slices.Values(tags)); meant != "" {
		return meant
	}
	if len(all[0].RepoTags) > 0 {
		return all[0].RepoTags[0]
	}
	return ""
}

// quoteAll quotes the first few tags.
func quoteAll(tags []string) []string {
	const most = 10
	var all []string
	for _, tag := range tags[:min(len(tags), most)] {
		all = append(all, image.Quote(tag))
	}
	if len(tags) > most {
		all = append(all, "…")
	}
	return all
}

// id is an image's ID, empty when its configuration cannot be read.
func (t *tarFS) id(s saved) digest.Digest {
	raw, err := t.read(s.Config, "ConfigBytes", t.limits.ConfigBytes)
	if err != nil {
		return ""
	}
	return digest.FromBytes(raw)
}

// validTag reports whether a tag can follow a docker-archive's name.
func validTag(tag string) bool {
	r, err := reference.Parse("docker-archive:x:" + tag)
	return err == nil && r.Tag == tag
}

// image makes the image of an entry.
func (t *tarFS) image(s saved) (*image.Image, error) {
	config, err := t.read(s.Config, "ConfigBytes", t.limits.ConfigBytes)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	img, err := image.NewFromConfig(config, len(s.Layers))
	if err != nil {
		return nil, image.Corruptf("configuration %s: %w", image.Quote(s.Config), err)
	}
	if d := blobDigest(s.Config); d != "" {
		if got := d.Algorithm().FromBytes(config); got != d {
			return nil, image.Corruptf("configuration %s: the bytes have digest %s (rule 151)", image.Quote(s.Config), got)
		}
	} else if d := nameDigest(s.Config); d != "" && d != img.ConfigDigest {
		img.Warnings = append(img.Warnings, image.Warning{
			Rule: 151, Layer: -1,
			Text: fmt.Sprintf("the configuration is called %q, but its digest is %s", s.Config, img.ConfigDigest),
		})
	}
	for i, name := range s.Layers {
		m, err := t.find(name)
		if err != nil {
			return nil, fmt.Errorf("layer %d: %w", i+1, memberError(name, err))
		}
		l := &img.Layers[i]
		l.Digest, l.Size = blobDigest(name), m.size
		l.Open = func(ctx context.Context) (image.Blob, error) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			return t.section(m), nil
		}
	}
	img.Tags = s.RepoTags
	return img, nil
}

// read reads a whole member. most is the value of the limit that bounds its size.
func (t *tarFS) read(name, limit string, most int64) ([]byte, error) {
	m, err := t.find(name)
	if err != nil {
		return nil, memberError(name, err)
	}
	if m.size > most {
		return nil, image.Corruptf("member %s of %d bytes: %w", image.Quote(name), m.size, image.Over(limit, most))
	}
	raw, err := image.ReadBlob(t.section(m), m.size)
	if err == nil && int64(len(raw)) != m.size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, asCorrupt("reading member "+image.Quote(name), err)
	}
	return raw, nil
}

func memberError(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return image.Corruptf("member %s is not in the archive", image.Quote(name))
	}
	return image.Corruptf("member %s: %w", image.Quote(name), err)
}

// blobDigest is the digest that a name such as blobs/sha256/<digits> promises.
func blobDigest(name string) digest.Digest {
	parts := strings.Split(path.Clean(name), "/")
	if len(parts) != 3 || parts[0] != "blobs" {
		return ""
	}
	d := digest.Digest(parts[1] + ":" + parts[2])
	if image.CheckDigest(d) != nil {
		return ""
	}
	return d
}

// nameDigest is the digest in a name such as <digits>.json or sha256:<digits>.
func nameDigest(name string) digest.Digest {
	name = strings.TrimPrefix(strings.TrimSuffix(path.Base(name), ".json"), "sha256:")
	d := digest.Digest("sha256:" + name)
	if image.CheckDigest(d) != nil {
		return ""
	}
	return d
}
