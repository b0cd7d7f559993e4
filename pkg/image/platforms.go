// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"slices"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Platforms are those that the root has images for, as [FormatPlatform] writes
// them, sorted. For a manifest it is that of its configuration.
func (r *Root) Platforms(ctx context.Context) ([]string, error) {
	root := describe(r.Descriptor, r.Document)
	if err := CheckDigest(root.Digest); err != nil {
		return nil, Corruptf("manifest: %w", err)
	}
	// What is wanted is nowhere, so that nothing is found and all that is there
	// is looked at.
	search := &resolver{
		fetch: r.Fetch, seen: map[digest.Digest]bool{}, asked: true, want: v1.Platform{OS: "nowhere"},
	}
	doc, err := search.load(ctx, root, r.Document)
	if err != nil {
		return nil, err
	}
	if doc.kind == kindIndex {
		_, err = search.choose(ctx, doc, 1)
	} else {
		err = search.manifest(ctx, doc)
	}
	slices.Sort(search.have)
	return slices.Compact(search.have), err
}

// manifest notes the platform of a manifest's configuration.
func (r *resolver) manifest(ctx context.Context, doc *document) error {
	if err := r.config(ctx, doc); err != nil {
		return err
	}
	c, err := ParseConfig(doc.config)
	if err != nil {
		return Corruptf("manifest %s: %w", doc.Digest, err)
	}
	r.have = append(r.have, ShowPlatform(NormalizePlatform(c.Platform)))
	return nil
}
