// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Options say which image of an index is meant. The zero value means the
// default platform.
type Options struct {
	// Platform is what was asked for; nil means [DefaultPlatform], which is
	// treated more kindly when the image is for another one.
	Platform *v1.Platform

	// Limits are those of documents.
	Limits Limits
}

// platform returns the platform that is wanted and whether it was asked for.
func (o Options) platform() (v1.Platform, bool) {
	if o.Platform == nil {
		return DefaultPlatform(), false
	}
	return NormalizePlatform(*o.Platform), true
}

// Fetch returns the bytes of a blob: a manifest, an index or a configuration.
// It is called with checked descriptors only, whose size is within the limits,
// and should read no more than that (see [ReadBlob]). What it returns is
// verified by its caller.
type Fetch func(ctx context.Context, d v1.Descriptor) ([]byte, error)

// Resolve gets from a descriptor, of a manifest or of an index, to the image
// that the options mean, by the rules in the package comment. The bytes are those
// of the root document if the source has them already, else nil; its digest and
// size may then be left empty and are filled in.
//
// The image has no reference, tags and closer yet, and its layers cannot be
// opened yet. The descriptors are those of its layers, one for each, with the
// URLs where a registry need not have a layer (148).
func Resolve(ctx context.Context, root v1.Descriptor, raw []byte, opt Options, fetch Fetch) (*Image, []v1.Descriptor, error) {
	r := &resolver{fetch: fetch, seen: map[digest.Digest]bool{}, limits: opt.Limits}
	r.want, r.asked = opt.platform()
	root = describe(root, raw)
	if err := CheckDigest(root.Digest); err != nil {
		return nil, nil, Corruptf("manifest: %w", err)
	}
	if IsAttestation(root) {
		return nil, nil, attestationError(root.Digest)
	}
	doc, err := r.load(ctx, root, raw)
	if err != nil {
		return nil, nil, err
	}
	if doc.kind == kindIndex {
		if doc, err = r.choose(ctx, doc, 1); err != nil {
			return nil, nil, err
		}
		if doc == nil {
			return nil, nil, r.nothing(root.Digest)
		}
	}
	if err := r.config(ctx, doc); err != nil {
		return nil, nil, err
	}
	img, layers, err := newImage(doc)
	if err != nil {
		return nil, nil, Corruptf("manifest %s: %w", doc.Digest, err)
	}
	if err := CheckPlatform(img, opt); err != nil {
		return nil, nil, err
	}
	return img, layers, nil
}

// document is a verified manifest or index, by its descriptor.
type document struct {
	v1.Descriptor
	kind   kind
	raw    []byte
	config []byte // of a manifest, once read
}

// resolver is the state of one [Resolve].
type resolver struct {
	fetch  Fetch
	limits Limits
	want   v1.Platform
	asked  bool

	documents int                    // read so far
	seen      map[digest.Digest]bool // entries that were read
	have      []string               // platforms met, for an error
	skipped   error                  // why the first one was no image
}

// read returns a blob, verified: from the descriptor itself if it is there. most is
// the value of the limit that bounds its size.
func (r *resolver) read(ctx context.Context, what string, d v1.Descriptor, raw []byte, limit string, most int64) ([]byte, error) {
	if d.Size > most && CheckDigest(d.Digest) == nil {
		return nil, Corruptf("%s %s of %d bytes: %w (rule 165)", what, d.Digest, d.Size, Over(limit, most))
	}
	if err := CheckDescriptor(d, most); err != nil {
		return nil, Corruptf("%s %w", what, err)
	}
	if r.documents++; r.documents > MaxDocuments {
		return nil, Corruptf("%s %s: more than %d documents to read for one image (rule 157)", what, d.Digest, MaxDocuments)
	}
	if raw == nil && len(d.Data) > 0 {
		raw = d.Data
	}
	if raw == nil {
		var err error
		if raw, err = r.fetch(ctx, d); err != nil {
			return nil, fmt.Errorf("reading %s %s: %w", what, d.Digest, err)
		}
	}
	if err := Verify(d, raw); err != nil {
		return nil, Corruptf("%s %w", what, err)
	}
	return raw, nil
}

// load reads a manifest or an index.
func (r *resolver) load(ctx context.Context, d v1.Descriptor, raw []byte) (*document, error) {
	if kindOf(d.MediaType) == kindSchema1 && CheckDigest(d.Digest) == nil {
		// Its digest leaves its signatures out, so it would fail for that.
		return nil, fmt.Errorf("manifest %s: %w", d.Digest, schema1Error())
	}
	raw, err := r.read(ctx, "manifest", d, raw, "ManifestBytes", r.limits.WithDefaults().ManifestBytes)
	if err != nil {
		return nil, err
	}
	k, err := classify(d.MediaType, raw)
	if err != nil {
		return nil, Corruptf("manifest %s: %w", d.Digest, err)
	}
	return &document{Descriptor: d, kind: k, raw: raw}, nil
}

// config reads the configuration of a manifest that is an image's.
func (r *resolver) config(ctx context.Context, doc *document) error {
	if doc.config != nil {
		return nil
	}
	m, err := ParseManifest(doc.MediaType, doc.raw)
	if err == nil {
		err = checkImage(m)
	}
	if err != nil {
		return Corruptf("manifest %s: %w", doc.Digest, err)
	}
	doc.config, err = r.read(ctx, "configuration", m.Config, nil, "ConfigBytes", r.limits.WithDefaults().ConfigBytes)
	return err
}

// choose returns the manifest in an index, or in the indexes within it, that
// matches best; nil when none does.
func (r *resolver) choose(ctx context.Context, doc *document, depth int) (*document, error) {
	if most := r.limits.WithDefaults().IndexDepth; int64(depth) > most {
		return nil, Corruptf("index %s: %w (rule 157)", doc.Digest, Over("IndexDepth", most))
	}
	idx, err := ParseIndex(doc.MediaType, doc.raw)
	if err != nil {
		return nil, Corruptf("index %s: %w", doc.Digest, err)
	}
	stated, unstated := r.entries(idx)
	for _, d := range stated {
		if !r.first(d) {
			continue
		}
		child, err := r.load(ctx, d, nil)
		if err == nil && child.kind == kindIndex {
			child, err = r.choose(ctx, child, depth+1)
		}
		if child != nil || err != nil {
			return child, err
		}
	}
	var best *document
	bestRank := r.limit()
	for _, d := range unstated {
		if !r.first(d) {
			continue
		}
		child, rank, err := r.judge(ctx, d, depth)
		if err != nil {
			return nil, err
		}
		if rank < bestRank {
			best, bestRank = child, rank
		}
	}
	return best, nil
}

// first reports whether an entry is met for the first time: what did not match
// then does not match now, so that a web of indexes is searched once.
func (r *resolver) first(d v1.Descriptor) bool {
	again := r.seen[d.Digest]
	r.seen[d.Digest] = true
	return !again
}

// limit is the rank at which a platform no longer matches. What was asked for is
// not replaced by another architecture.
func (r *resolver) limit() int {
	if r.asked {
		return otherArch
	}
	return noMatch
}

// entries sorts out what an index lists: the entries that match by the platform
// they state, the best first, and those that state none, in their order.
func (r *resolver) entries(idx v1.Index) (stated, unstated []v1.Descriptor) {
	for _, d := range idx.Manifests {
		if !Eligible(d) {
			continue
		}
		if d.Platform == nil || d.Platform.Architecture == "" {
			unstated = append(unstated, d)
			continue
		}
		if kindOf(d.MediaType) != kindIndex {
			r.have = append(r.have, ShowPlatform(NormalizePlatform(*d.Platform)))
		}
		if rank(r.want, *d.Platform) < r.limit() {
			stated = append(stated, d)
		}
	}
	slices.SortStableFunc(stated, func(a, b v1.Descriptor) int {
		return rank(r.want, *a.Platform) - rank(r.want, *b.Platform)
	})
	return stated, unstated
}

// judge reads an entry that states no platform, and says how well what it leads
// to matches. What is no image matches nothing.
func (r *resolver) judge(ctx context.Context, d v1.Descriptor, depth int) (*document, int, error) {
	child, err := r.load(ctx, d, nil)
	if err != nil {
		return nil, noMatch, err
	}
	if child.kind == kindIndex {
		if child, err = r.choose(ctx, child, depth+1); child == nil || err != nil {
			return nil, noMatch, err
		}
		if child.Platform != nil {
			return child, rank(r.want, *child.Platform), nil
		}
	}
	if err := r.config(ctx, child); err != nil {
		if errors.Is(err, errNotImage) {
			if r.skipped == nil {
				r.skipped = err
			}
			return nil, noMatch, nil
		}
		return nil, noMatch, err
	}
	c, err := ParseConfig(child.config)
	if err != nil {
		return nil, noMatch, Corruptf("manifest %s: %w", child.Digest, err)
	}
	p := NormalizePlatform(c.Platform)
	r.have = append(r.have, ShowPlatform(p))
	return child, rank(r.want, p), nil
}

// nothing is the error for an index without a match.
func (r *resolver) nothing(index digest.Digest) error {
	want := ShowPlatform(r.want)
	slices.Sort(r.have)
	have := slices.Compact(r.have)
	if len(have) == 0 {
		if r.skipped != nil {
			return r.skipped
		}
		return NotFoundf("no image for %s: index %s lists no images (rule 158)", want, index)
	}
	const most = 40
	list := strings.Join(have[:min(len(have), most)], ", ")
	if len(have) > most {
		list += ", …"
	}
	err := NotFoundf("no image for %s: there is %s (rule 158)", want, list)
	return WithHint(err, "choose one with --platform %s", have[0])
}
