// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/internal/atomicfile"
	"github.com/seed-81b0d42e/flatten/internal/filelock"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// Garbage is what nothing in a layout refers to.
type Garbage struct {
	// Blobs are those that are, or would be, removed, in the order of their
	// digests, manifests and indexes first. Media types are not known.
	Blobs []v1.Descriptor

	// Unfinished are downloads that were not completed, by the digest that they
	// would have.
	Unfinished []v1.Descriptor

	// Kept is how many blobs stay.
	Kept int
}

// Size is how many bytes the blobs and unfinished downloads have.
func (g *Garbage) Size() int64 {
	var n int64
	for _, d := range slices.Concat(g.Blobs, g.Unfinished) {
		n += d.Size
	}
	return n
}

// RemoveGarbage removes from a layout what nothing in it refers to, by the rules
// in the package comment, and returns it; with dryRun it only says what that is.
// It waits until no store has the layout open, and excludes new ones. When it is
// interrupted, some of the garbage stays.
func RemoveGarbage(ctx context.Context, dir string, o StoreOptions, dryRun bool) (*Garbage, error) {
	s, err := openStore(ctx, dir, o, filelock.Exclusive)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	g, err := s.garbage(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: nothing is removed: %w", s.source, err)
	}
	if dryRun {
		return g, nil
	}
	return s.remove(ctx, g)
}

// remove removes garbage, and returns what it came to.
func (s *Store) remove(ctx context.Context, g *Garbage) (*Garbage, error) {
	atomicfile.Sweep(s.dir)
	done := &Garbage{Kept: g.Kept}
	for _, d := range g.Unfinished {
		if atomicfile.RemovePart(s.dir, partKey(d.Digest)) {
			done.Unfinished = append(done.Unfinished, d)
		}
	}
	for _, d := range g.Blobs {
		if ctx.Err() != nil {
			return done, context.Cause(ctx)
		}
		err := s.root.Remove(filepath.FromSlash(blobPath(d.Digest)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return done, fmt.Errorf("%s: %w", s.source, err)
		}
		done.Blobs = append(done.Blobs, d)
	}
	return done, nil
}

// garbage finds what nothing refers to. It removes nothing.
func (s *Store) garbage(ctx context.Context) (*Garbage, error) {
	m := &marker{Store: s, reached: map[digest.Digest]bool{}}
	var err error
	if m.blobs, err = s.blobs(); err != nil {
		return nil, err
	}
	if err := m.findReferrers(ctx); err != nil {
		return nil, err
	}
	_, idx, err := s.readPatiently(ctx)
	if err != nil {
		return nil, err
	}
	if err := m.markIndex(ctx, idx); err != nil {
		return nil, err
	}
	g := &Garbage{}
	for d, size := range m.blobs {
		if m.reached[d] {
			g.Kept++
		} else {
			g.Blobs = append(g.Blobs, v1.Descriptor{Digest: d, Size: size})
		}
	}
	// A manifest goes before what it lists, so that none is left that is not whole.
	slices.SortFunc(g.Blobs, func(a, b v1.Descriptor) int {
		if m.documents[a.Digest] != m.documents[b.Digest] {
			return map[bool]int{true: -1, false: 1}[m.documents[a.Digest]]
		}
		return strings.Compare(string(a.Digest), string(b.Digest))
	})
	for _, p := range atomicfile.Parts(s.dir) {
		d := digest.Digest(strings.Replace(p.Key, "-", ":", 1))
		if image.CheckDigest(d) == nil {
			g.Unfinished = append(g.Unfinished, v1.Descriptor{Digest: d, Size: p.Size})
		}
	}
	return g, nil
}

// blobs lists the files that are called as blobs are, with their sizes. Whatever
// else is there is somebody else's.
func (s *Store) blobs() (map[digest.Digest]int64, error) {
	all := map[digest.Digest]int64{}
	for _, algorithm := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
		entries, err := os.ReadDir(filepath.Join(s.dir, filepath.FromSlash(blobDir(algorithm))))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, pathError(err)
		}
		for _, e := range entries {
			d := digest.NewDigestFromEncoded(algorithm, e.Name())
			if image.CheckDigest(d) != nil || !e.Type().IsRegular() && e.Type() != fs.ModeSymlink {
				continue
			}
			info, err := e.Info()
			switch {
			case errors.Is(err, fs.ErrNotExist):
				continue
			case err != nil:
				return nil, pathError(err)
			}
			all[d] = info.Size()
		}
	}
	return all, nil
}

// marker finds what can be reached from index.json.
type marker struct {
	*Store
	blobs     map[digest.Digest]int64
	reached   map[digest.Digest]bool
	documents map[digest.Digest]bool            // manifests and indexes by their looks
	referrers map[digest.Digest][]digest.Digest // by the subject
}

// maxDocument is the largest blob that is looked into. Manifests and indexes that
// large are in nobody's registry.
const maxDocument = 8 * image.MaxManifestSize

// findReferrers finds the blobs that look like manifests and indexes, and which of
// them say what they are about.
func (m *marker) findReferrers(ctx context.Context) error {
	m.documents = map[digest.Digest]bool{}
	m.referrers = map[digest.Digest][]digest.Digest{}
	for d, size := range m.blobs {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		raw, err := m.readDocument(d, size)
		if err != nil || raw == nil {
			continue // when it is reached, that will be said
		}
		var shape struct {
			Config, Layers, Manifests, Blobs json.RawMessage
			Subject                          *struct{ Digest digest.Digest }
		}
		if json.Unmarshal(raw, &shape) != nil {
			continue
		}
		m.documents[d] = shape.Layers != nil || shape.Manifests != nil || shape.Blobs != nil
		if shape.Subject != nil {
			m.referrers[shape.Subject.Digest] = append(m.referrers[shape.Subject.Digest], d)
		}
	}
	return nil
}

// readDocument reads a blob that may be a JSON object and has its digest; else it
// returns nothing.
func (m *marker) readDocument(d digest.Digest, size int64) ([]byte, error) {
	if size > maxDocument {
		return nil, nil
	}
	b, err := m.openFile(blobPath(d))
	if err != nil {
		return nil, err
	}
	defer b.Close()
	head := make([]byte, min(b.Size(), 512))
	if n, err := b.ReadAt(head, 0); n < len(head) {
		return nil, err
	}
	if text := bytes.TrimLeft(head, " \t\r\n"); len(text) > 0 && text[0] != '{' {
		return nil, nil
	}
	raw, err := m.readFile(blobPath(d), maxDocument)
	if err != nil || d.Algorithm().FromBytes(raw) != d {
		return nil, err
	}
	return raw, nil
}

// markIndex reaches everything from the entries of index.json.
func (m *marker) markIndex(ctx context.Context, idx *index) error {
	var todo []v1.Descriptor
	for _, e := range idx.entries {
		if _, there := m.blobs[e.Digest]; !there {
			err := image.Corruptf("index.json lists %s, which is not there", describe(e.Descriptor))
			return image.WithHint(err, "what it refers to is not known: pull it again, or untag it")
		}
		todo = append(todo, e.Descriptor)
	}
	if raw, err := idx.marshal(); err == nil {
		todo = append(todo, references(raw)...) // its subject, and whatever else there may be
	}
	followed := map[digest.Digest]bool{}
	for len(todo) > 0 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		d := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !m.reached[d.Digest] {
			m.reached[d.Digest] = true
			for _, r := range m.referrers[d.Digest] {
				todo = append(todo, v1.Descriptor{Digest: r})
			}
		}
		// What one calls a layer may be a manifest to another.
		if followed[d.Digest] || image.IsLeaf(d.MediaType) {
			continue
		}
		followed[d.Digest] = true
		more, err := m.follow(d)
		if err != nil {
			return err
		}
		todo = append(todo, more...)
	}
	return nil
}

// follow returns what a blob refers to.
func (m *marker) follow(d v1.Descriptor) ([]v1.Descriptor, error) {
	size, there := m.blobs[d.Digest]
	if !there {
		return nil, nil // of an index some platforms may be missing
	}
	raw, err := m.readDocument(d.Digest, size)
	if err != nil {
		return nil, fileError("blob "+string(d.Digest), err)
	}
	if raw == nil {
		if image.IsDocument(d.MediaType) {
			err := image.Corruptf("%s is damaged", describe(d))
			return nil, image.WithHint(err, "what it refers to is not known: pull it again, or untag it")
		}
		return nil, nil
	}
	return references(raw), nil
}

// references are all objects in a JSON document that have a digest, wherever they
// are: a format that is not known here has them, too.
func references(raw []byte) []v1.Descriptor {
	var value any
	if json.Unmarshal(raw, &value) != nil {
		return nil
	}
	var all []v1.Descriptor
	var walk func(any)
	walk = func(value any) {
		switch value := value.(type) {
		case []any:
			for _, v := range value {
				walk(v)
			}
		case map[string]any:
			text, _ := value["digest"].(string)
			if d := digest.Digest(text); image.CheckDigest(d) == nil {
				mediaType, _ := value["mediaType"].(string)
				all = append(all, v1.Descriptor{MediaType: mediaType, Digest: d})
			}
			for _, v := range value {
				walk(v)
			}
		}
	}
	walk(value)
	return all
}
