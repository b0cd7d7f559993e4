// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/reference"
)

// name gives what was added its name in index.json.
func (a *adding) name(ctx context.Context) error {
	d := a.added.Descriptor
	return a.update(ctx, func(idx *index) (bool, error) {
		n, err := a.chooseName(idx)
		if err != nil {
			return false, err
		}
		var changed bool
		a.added.Name = n
		a.added.Reference = a.source + selector(n.Tag, untagged(n, d.Digest))
		a.added.Replaced, changed = idx.put(d, n)
		return changed, nil
	})
}

func untagged(n Name, d digest.Digest) digest.Digest {
	if n.Tag != "" {
		return ""
	}
	return d
}

// chooseName decides what an image is called in the layout: as its user says, or
// as it is called where it comes from, unless that is another image's name here.
func (a *adding) chooseName(idx *index) (Name, error) {
	if a.opt.Tag != "" {
		return givenName(a.opt.Tag), nil
	}
	n := Name{a.root.Tag, a.root.Name}
	if n.Full != "" {
		for _, e := range idx.entries {
			if here := nameOf(e.Descriptor); here.Full == n.Full && here.Tag != "" {
				return here, nil // an older one of the same name
			}
		}
		if a.opt.WholeName || n.Tag == "" {
			n.Tag = n.Full
		}
	}
	for _, e := range idx.entries {
		here := nameOf(e.Descriptor)
		same := e.Digest == a.added.Descriptor.Digest && (here.Full == "" || n.Full == "")
		switch {
		case n.Tag == "" || here.Tag != n.Tag || here.Full == n.Full:
			continue
		case same:
			n.Full = cmp.Or(n.Full, here.Full)
		case n.Full != "" && n.Full != n.Tag:
			n.Tag = n.Full
		default:
			err := fmt.Errorf("%s: tag %s is that of another image, %s", a.source, image.Quote(n.Tag), describe(e.Descriptor))
			return Name{}, image.WithHint(err, "say which tag it shall have: %s:TAG", a.source)
		}
		break
	}
	if n.Tag != "" && !validTag(n.Tag) {
		err := fmt.Errorf("%s: the image's name %s cannot be a tag", a.root.Reference, image.Quote(n.Tag))
		return Name{}, image.WithHint(err, "say which tag it shall have: %s:TAG", a.source)
	}
	return n, nil
}

// givenName is the name that a tag is. If it is whole it is both forms.
func givenName(tag string) Name {
	if r, err := reference.Parse("docker://" + tag); err == nil && r.Image() == tag {
		return Name{tag, tag}
	}
	return Name{Tag: tag}
}

// validTag reports whether a tag can be named on a command line.
func validTag(tag string) bool {
	r, err := reference.Parse("oci:x:" + tag)
	return err == nil && r.Tag == tag
}

// put makes an entry with a name, in place of those with the same tag. It returns
// the digest of what had the tag, and whether anything changed. Without a name the
// entry is made unless there is one of the same document.
func (idx *index) put(d v1.Descriptor, n Name) (replaced digest.Digest, changed bool) {
	same := func(e entry) bool {
		here := nameOf(e.Descriptor)
		if n.Tag == "" {
			return e.Digest == d.Digest
		}
		return here.Tag == n.Tag || here.Tag == "" && n.Full != "" && here.Full == n.Full
	}
	at := slices.IndexFunc(idx.entries, same)
	if at >= 0 && idx.entries[at].Digest == d.Digest && (n.Tag == "" || nameOf(idx.entries[at].Descriptor) == n) &&
		!slices.ContainsFunc(idx.entries[at+1:], same) {
		return "", false
	}
	fresh := entry{Descriptor: renamed(d, n)}
	if at < 0 {
		at = len(idx.entries)
		idx.entries = append(idx.entries, fresh)
	}
	if was := idx.entries[at].Digest; was != d.Digest {
		replaced = was
	}
	idx.entries[at] = fresh
	rest := slices.DeleteFunc(idx.entries[at+1:], same)
	idx.entries = idx.entries[:at+1+len(rest)]
	idx.unname(at, n.Full)
	return replaced, true
}

// unname takes a whole name from all entries but one: one image has it.
func (idx *index) unname(but int, full string) {
	for i, e := range idx.entries {
		if here := nameOf(e.Descriptor); i != but && full != "" && here.Full == full {
			idx.entries[i] = entry{Descriptor: renamed(e.Descriptor, Name{Tag: here.Tag})}
		}
	}
}

// Tag gives what the options name, an entry of index.json or a manifest or index
// among the blobs, further names. It returns its descriptor and, for each name that
// another image had, that image's digest. It fails with image.ErrNotFound when
// nothing or more than one image is named.
func (s *Store) Tag(ctx context.Context, opt Options, tags ...string) (v1.Descriptor, map[string]digest.Digest, error) {
	var d v1.Descriptor
	var replaced map[string]digest.Digest
	for _, tag := range tags {
		if !validTag(tag) {
			return d, nil, fmt.Errorf("%s: %s cannot be a tag", s.source, image.Quote(tag))
		}
	}
	err := s.update(ctx, func(idx *index) (bool, error) {
		var err error
		replaced = map[string]digest.Digest{}
		if d, err = s.entryToTag(ctx, idx, opt); err != nil {
			return false, err
		}
		any := false
		for _, tag := range tags {
			was, changed := idx.put(d, givenName(tag))
			if was != "" {
				replaced[tag] = was
			}
			any = any || changed
		}
		return any, nil
	})
	return d, replaced, err
}

// entryToTag returns the descriptor that the options name. What is not in
// index.json has to be read to know what it is.
func (s *Store) entryToTag(ctx context.Context, idx *index, opt Options) (v1.Descriptor, error) {
	d, raw, err := s.choose(idx.descriptors(), opt)
	if err != nil {
		return d, err
	}
	if raw != nil {
		err := image.NotFoundf("%s is one image for several platforms in as many entries, which have to be tagged one by one", s.source+selector(opt.Tag, opt.Digest))
		return d, image.WithHint(err, "flatten images %s lists them", s.dir)
	}
	if d.MediaType == "" {
		if err = image.CheckDescriptor(d, image.MaxManifestSize); err == nil {
			raw, err = s.layout.fetch(ctx, d)
		}
		if err == nil {
			d, err = image.Describe(d, raw)
		}
		if err != nil {
			return d, fmt.Errorf("%s: %w", s.source, err)
		}
	}
	return d, nil
}

// Untag removes the entries of index.json that the options name, and returns them.
// A tag that several entries have is removed from all of them. It fails with
// image.ErrNotFound when there is none.
func (s *Store) Untag(ctx context.Context, opt Options) ([]v1.Descriptor, error) {
	var gone []v1.Descriptor
	err := s.update(ctx, func(idx *index) (bool, error) {
		all := idx.descriptors()
		if opt.Digest == "" {
			gone = byTag(all, opt.Tag)
		} else {
			gone = nil
			for _, d := range all.Manifests {
				if d.Digest == opt.Digest {
					gone = append(gone, d)
				}
			}
		}
		if len(gone) == 0 {
			return false, s.absent(all, what(opt))
		}
		idx.entries = slices.DeleteFunc(idx.entries, func(e entry) bool {
			return slices.ContainsFunc(gone, func(d v1.Descriptor) bool {
				return d.Digest == e.Digest && nameOf(d) == nameOf(e.Descriptor)
			})
		})
		return true, nil
	})
	return gone, err
}

// what the options name, for a message.
func what(opt Options) string {
	if opt.Digest != "" {
		return "digest " + string(opt.Digest)
	}
	return fmt.Sprintf("tag %q", opt.Tag)
}
