// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Contents is a document and all that it refers to, directly or not: what has to
// be there for an image, or the images of an index, to be complete. What a
// manifest is about (its subject) is not part of it.
type Contents struct {
	// Documents are the manifests and indexes. Each comes after those that it
	// lists, so that the last one is the root.
	Documents []Document

	// Blobs are the configurations and layers, and whatever else is referred to
	// that is neither manifest nor index. No digest occurs twice.
	Blobs []v1.Descriptor
}

// MaxContents is how many bytes the documents of [Contents] may have together:
// they are kept in memory.
const MaxContents = 64 << 20

// Document is a manifest or an index, verified.
type Document struct {
	// Descriptor has the media type that the document states itself, or else
	// that of its kind.
	v1.Descriptor
	Raw []byte
}

// Root is the document that all others are part of.
func (c *Contents) Root() Document { return c.Documents[len(c.Documents)-1] }

// Size is the number of bytes of all documents and blobs.
func (c *Contents) Size() int64 {
	var n int64
	for _, d := range c.Documents {
		n += d.Size
	}
	for _, d := range c.Blobs {
		n += d.Size
	}
	return n
}

// ReadContents reads a manifest, or an index and all documents in it, by the rules
// and within the limits of the package comment. The bytes are those of the root
// document if they are there already, else nil; its digest and size may then be
// left empty. Attestations and artifacts are read like images. All documents
// together have at most MaxContents bytes.
func ReadContents(ctx context.Context, root v1.Descriptor, raw []byte, limits Limits, fetch Fetch) (*Contents, error) {
	root = describe(root, raw)
	if err := CheckDigest(root.Digest); err != nil {
		return nil, Corruptf("manifest: %w", err)
	}
	w := &walker{resolver: resolver{fetch: fetch, limits: limits, seen: map[digest.Digest]bool{root.Digest: true}}}
	if err := w.document(ctx, root, raw, 0); err != nil {
		return nil, err
	}
	return &w.contents, nil
}

// walker is the state of one [ReadContents]. It shares how documents are read
// with Resolve.
type walker struct {
	resolver
	contents Contents
	bytes    int64 // of documents
}

// document reads a manifest or an index and what it refers to.
func (w *walker) document(ctx context.Context, d v1.Descriptor, raw []byte, depth int) error {
	doc, err := w.load(ctx, d, raw)
	if err != nil {
		return err
	}
	if w.bytes += int64(len(doc.raw)); w.bytes > MaxContents {
		return Corruptf("manifest %s: more than %d bytes of manifests and indexes", d.Digest, MaxContents)
	}
	if doc.kind == kindIndex {
		err = w.index(ctx, doc, depth)
	} else {
		err = w.manifest(doc)
	}
	if err != nil {
		return err
	}
	d.MediaType = mediaTypeOf(doc)
	d.Data = nil
	w.contents.Documents = append(w.contents.Documents, Document{d, doc.raw})
	return nil
}

func (w *walker) index(ctx context.Context, doc *document, depth int) error {
	if most := w.limits.WithDefaults().IndexDepth; int64(depth) >= most {
		return Corruptf("index %s: %w (rule 157)", doc.Digest, Over("IndexDepth", most))
	}
	idx, err := ParseIndex(doc.MediaType, doc.raw)
	if err != nil {
		return Corruptf("index %s: %w", doc.Digest, err)
	}
	for _, d := range idx.Manifests {
		if err := CheckDescriptor(d, MaxLayerSize); err != nil {
			return Corruptf("index %s: %w", doc.Digest, err)
		}
		if !w.first(d) {
			continue
		}
		if kindOf(d.MediaType) == kindOther {
			w.contents.Blobs = append(w.contents.Blobs, d)
			continue
		}
		if err := w.document(ctx, d, nil, depth+1); err != nil {
			return fmt.Errorf("index %s: %w", doc.Digest, err)
		}
	}
	return nil
}

func (w *walker) manifest(doc *document) error {
	m, err := ParseManifest(doc.MediaType, doc.raw)
	if err != nil {
		return Corruptf("manifest %s: %w", doc.Digest, err)
	}
	for _, d := range append([]v1.Descriptor{m.Config}, m.Layers...) {
		if w.first(d) {
			w.contents.Blobs = append(w.contents.Blobs, d)
		}
	}
	return nil
}

// describe completes the descriptor of a document whose bytes are there.
func describe(d v1.Descriptor, raw []byte) v1.Descriptor {
	if raw != nil && d.Digest == "" {
		d.Digest = digest.FromBytes(raw)
	}
	if raw != nil && d.Size == 0 {
		d.Size = int64(len(raw))
	}
	return d
}

// mediaTypeOf is the media type that a document states itself, that of its
// descriptor when that says something, or else the OCI's for its kind.
func mediaTypeOf(doc *document) string {
	var s shape
	_ = json.Unmarshal(doc.raw, &s) // it has been parsed before
	stated, _, _ := strings.Cut(doc.MediaType, ";")
	for _, t := range []string{s.MediaType, strings.TrimSpace(stated)} {
		if kindOf(t) == doc.kind {
			return t
		}
	}
	if doc.kind == kindIndex {
		return v1.MediaTypeImageIndex
	}
	return v1.MediaTypeImageManifest
}

// Describe completes the descriptor of a manifest or an index whose bytes are
// there: digest, size and media type. It fails for bytes that are neither, or not
// what the descriptor says.
func Describe(d v1.Descriptor, raw []byte) (v1.Descriptor, error) {
	d = describe(d, raw)
	if err := Verify(d, raw); err != nil {
		return d, err
	}
	k, err := classify(d.MediaType, raw)
	if err != nil {
		return d, Corruptf("manifest %s: %w", d.Digest, err)
	}
	d.MediaType = mediaTypeOf(&document{Descriptor: d, kind: k, raw: raw})
	return d, nil
}

// IsDocument reports whether a media type is that of a manifest or an index.
func IsDocument(mediaType string) bool {
	k := kindOf(mediaType)
	return k == kindManifest || k == kindIndex
}

// IsLeaf reports whether blobs of a media type refer to no others: configurations
// and layers.
func IsLeaf(mediaType string) bool {
	return mediaType == v1.MediaTypeImageConfig || mediaType == dockerConfig || mediaType != "" && isLayerType(mediaType)
}

// ArtifactType is what a manifest is of that is no image's, empty for an image.
func ArtifactType(m v1.Manifest) string {
	switch {
	case isArtifactType(m.ArtifactType):
		return m.ArtifactType
	case !isConfigType(m.Config.MediaType):
		return m.Config.MediaType
	}
	return ""
}

// IsIndex reports whether a media type is that of an index.
func IsIndex(mediaType string) bool { return kindOf(mediaType) == kindIndex }
