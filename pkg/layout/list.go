// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// Entry is an entry of index.json: an image, an index of images, or what else
// there is.
type Entry struct {
	Name

	// Descriptor is the entry as it is in index.json.
	Descriptor v1.Descriptor

	// Members are the images in an index, in its order and without attestations;
	// of an image it is the only one.
	Members []Member

	// Size is the number of bytes of the entry's document and all that it refers
	// to, each blob counted once, as far as it is there.
	Size int64

	// Problem is why the entry cannot be used, nil when nothing was seen.
	Problem error
}

// Member is one image for one platform, or an artifact.
type Member struct {
	// Digest is that of the manifest.
	Digest digest.Digest

	// Platform is normalised. It is empty for what is no image.
	Platform v1.Platform

	// ArtifactType says what something is that is no image.
	ArtifactType string

	// ConfigDigest is that of the configuration, Docker's image ID.
	ConfigDigest digest.Digest

	// Created is when the image was made by its configuration, nil when that does
	// not say it.
	Created *time.Time

	// Size is that of the manifest, the configuration and the layers in bytes.
	Size int64

	// Missing says that an index lists the image and the layout does not have it.
	Missing bool
}

// List returns the entries of index.json in their order. Layers are not read. What
// is wrong with an entry is its problem alone.
func List(ctx context.Context, dir string, o StoreOptions) ([]Entry, error) {
	l, root, err := openDir(dir, o.Source)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	idx, err := l.readIndex()
	if err != nil {
		return nil, err
	}
	var list []Entry
	for _, d := range idx.Manifests {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		e := &lister{layout: l, entry: Entry{Name: nameOf(d), Descriptor: d}, counted: map[digest.Digest]bool{}}
		if err := e.document(ctx, d, 0); err != nil {
			e.entry.Problem = err
		}
		list = append(list, e.entry)
	}
	return list, nil
}

// lister is the state of reading one entry.
type lister struct {
	layout
	entry     Entry
	counted   map[digest.Digest]bool
	documents int
}

// document reads a manifest, or an index and what is in it.
func (l *lister) document(ctx context.Context, d v1.Descriptor, depth int) error {
	if l.documents++; l.documents > image.MaxDocuments || depth > image.MaxDepth {
		return image.Corruptf("index %s: too many or too deeply nested indexes (rule 157)", l.entry.Descriptor.Digest)
	}
	raw, err := l.read(ctx, d, image.MaxManifestSize)
	if err != nil {
		return err
	}
	d, err = image.Describe(d, raw)
	if err != nil {
		return err
	}
	if m, err := image.ParseManifest(d.MediaType, raw); err == nil {
		return l.manifest(ctx, d, m)
	}
	idx, err := image.ParseIndex(d.MediaType, raw)
	if err != nil {
		return err
	}
	l.count(d)
	for _, child := range idx.Manifests {
		if err := l.child(ctx, child, depth); err != nil {
			return err
		}
	}
	return nil
}

// child reads an entry of an index. That it is not there is no problem: some tools
// copy some platforms.
func (l *lister) child(ctx context.Context, d v1.Descriptor, depth int) error {
	if l.counted[d.Digest] || image.CheckDigest(d.Digest) != nil {
		return nil
	}
	if _, err := l.regular(blobPath(d.Digest)); errors.Is(err, fs.ErrNotExist) {
		if image.Eligible(d) {
			l.entry.Members = append(l.entry.Members, Member{Digest: d.Digest, Platform: platformOf(d), Missing: true})
		}
		return nil
	}
	if !image.Eligible(d) {
		l.count(d)
		if m, err := l.attachment(ctx, d); err == nil {
			for _, b := range append(m.Layers, m.Config) {
				l.count(b)
			}
		}
		return nil
	}
	return l.document(ctx, d, depth+1)
}

// attachment reads the manifest of what is no image.
func (l *lister) attachment(ctx context.Context, d v1.Descriptor) (v1.Manifest, error) {
	raw, err := l.read(ctx, d, image.MaxManifestSize)
	if err != nil {
		return v1.Manifest{}, err
	}
	return image.ParseManifest(d.MediaType, raw)
}

// manifest adds a member.
func (l *lister) manifest(ctx context.Context, d v1.Descriptor, m v1.Manifest) error {
	member := Member{Digest: d.Digest, Platform: platformOf(d), ConfigDigest: m.Config.Digest, Size: d.Size}
	l.count(d)
	for _, b := range append([]v1.Descriptor{m.Config}, m.Layers...) {
		member.Size += b.Size
		l.count(b)
	}
	defer func() { l.entry.Members = append(l.entry.Members, member) }()
	if t := image.ArtifactType(m); t != "" {
		member.ArtifactType = t
		return nil
	}
	raw, err := l.read(ctx, m.Config, image.MaxConfigSize)
	if err != nil {
		return err
	}
	config, err := image.ParseConfig(raw)
	if err != nil {
		return err
	}
	member.Created = config.Created
	if member.Platform.Architecture == "" {
		member.Platform = image.NormalizePlatform(config.Platform)
	}
	for i, b := range m.Layers {
		if _, err := l.stat(b); err != nil {
			return image.Corruptf("layer %d: %w", i+1, err)
		}
	}
	return nil
}

// read reads a document that must be what its descriptor says.
func (l *lister) read(ctx context.Context, d v1.Descriptor, limit int64) ([]byte, error) {
	if err := image.CheckDescriptor(d, limit); err != nil {
		return nil, err
	}
	raw, err := l.fetch(ctx, d)
	if err == nil {
		err = image.Verify(d, raw)
	}
	return raw, err
}

// count adds a blob's size to the entry's if it is there.
func (l *lister) count(d v1.Descriptor) {
	if l.counted[d.Digest] || image.CheckDigest(d.Digest) != nil {
		return
	}
	l.counted[d.Digest] = true
	if info, err := l.regular(blobPath(d.Digest)); err == nil {
		l.entry.Size += info.Size()
	}
}

// platformOf is the platform that a descriptor states, or none.
func platformOf(d v1.Descriptor) v1.Platform {
	if d.Platform == nil || d.Platform.Architecture == "" {
		return v1.Platform{}
	}
	return image.NormalizePlatform(*d.Platform)
}
