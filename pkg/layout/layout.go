// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// maxHeaderSize is the largest oci-layout file.
const maxHeaderSize = 64 << 10

// Options say which image of a layout is meant. The zero value means the only
// one, for the default platform.
type Options struct {
	// Source is the layout as its user names it, such as "oci:dir". It begins the
	// image's reference and is what errors and hints say. Empty: "oci:" and the
	// directory.
	Source string

	// Tag is the name of the image in the layout, empty when not known.
	Tag string

	// Digest is that of the image's manifest or index, empty when not known.
	Digest digest.Digest

	// Platform is the platform that was asked for, nil for the default.
	Platform *v1.Platform

	// Limits are those of index.json, manifests, indexes and configurations.
	Limits image.Limits
}

// OpenDir opens an image in a layout directory. The image must be closed.
func OpenDir(ctx context.Context, dir string, opt Options) (*image.Image, error) {
	l, root, err := openDir(dir, opt.Source)
	if err != nil {
		return nil, err
	}
	l.limits = opt.Limits
	img, err := l.open(ctx, opt)
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	img.Closer = root
	return img, nil
}

// OpenRootDir opens what the options mean in a layout directory as it is stored,
// whatever its platform. It must be closed.
func OpenRootDir(ctx context.Context, dir string, opt Options) (*image.Root, error) {
	l, closer, err := openDir(dir, opt.Source)
	if err != nil {
		return nil, err
	}
	l.limits = opt.Limits
	root, err := l.root(opt)
	if err != nil {
		return nil, errors.Join(err, closer.Close())
	}
	root.Closer = closer
	return root, nil
}

// openDir opens a directory and looks at nothing in it.
func openDir(dir, source string) (layout, *os.Root, error) {
	if source == "" {
		source = "oci:" + dir
	}
	root, err := os.OpenRoot(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return layout{}, nil, image.NotFoundf("%s: no such directory", source)
	case errors.Is(err, syscall.ENOTDIR):
		err := image.NotFoundf("%s: not a directory", source)
		return layout{}, nil, image.WithHint(err, "a layout in a tar file is oci-archive:%s", dir)
	case err != nil:
		return layout{}, nil, fmt.Errorf("opening %s: %w", source, err)
	}
	return layout{fsys: rootFS{root}, source: source}, root, nil
}

// Open opens an image in a layout that is a file system. Its files must have a
// ReadAt method, as those of package os, embed and fstest.MapFS do. The
// image has nothing to close, but the file system must stay usable.
func Open(ctx context.Context, fsys fs.FS, opt Options) (*image.Image, error) {
	return newLayout(fsys, opt).open(ctx, opt)
}

// OpenRoot opens what the options mean in a layout that is a file system, as it
// is stored and whatever its platform. It has nothing to close.
func OpenRoot(fsys fs.FS, opt Options) (*image.Root, error) {
	return newLayout(fsys, opt).root(opt)
}

func newLayout(fsys fs.FS, opt Options) layout {
	if opt.Source == "" {
		opt.Source = "oci:."
	}
	return layout{fsys, opt.Source, opt.Limits}
}

// open opens the image that the options mean.
func (l layout) open(ctx context.Context, opt Options) (*image.Image, error) {
	idx, err := l.readIndex()
	if err != nil {
		return nil, err
	}
	root, raw, err := l.choose(idx, opt)
	if err != nil {
		return nil, err
	}
	img, layers, err := image.Resolve(ctx, root, raw, image.Options{Platform: opt.Platform, Limits: l.limits}, l.fetch)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.source, err)
	}
	for i, d := range layers {
		if _, err := l.stat(d); err != nil {
			return nil, fmt.Errorf("%s: layer %d: %w", l.source, i+1, err)
		}
		img.Layers[i].Open = func(ctx context.Context) (image.Blob, error) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			return l.openBlob(d)
		}
	}
	img.Reference = l.source + selector(opt.Tag, opt.Digest)
	img.Tags = tagsOf(idx, img.Digest, root.Digest)
	return img, nil
}

// root opens the document that the options mean.
func (l layout) root(opt Options) (*image.Root, error) {
	idx, err := l.readIndex()
	if err != nil {
		return nil, err
	}
	d, raw, err := l.choose(idx, opt)
	if err != nil {
		return nil, err
	}
	return &image.Root{
		Reference:  l.source + selector(opt.Tag, opt.Digest),
		Descriptor: d,
		Document:   raw,
		Tag:        d.Annotations[v1.AnnotationRefName],
		Name:       d.Annotations[containerdName],
		Fetch:      l.fetch,
		Copy:       l.copy,
	}, nil
}

// readIndex reads index.json of what must be a layout.
func (l layout) readIndex() (v1.Index, error) {
	if err := l.checkHeader(); err != nil {
		return v1.Index{}, err
	}
	raw, err := l.readDocument(v1.ImageIndexFile)
	if err != nil {
		return v1.Index{}, l.fileError(v1.ImageIndexFile, err)
	}
	idx, err := image.ParseIndex(v1.MediaTypeImageIndex, raw)
	if err != nil {
		return v1.Index{}, image.Corruptf("%s: %s: %w", l.source, v1.ImageIndexFile, err)
	}
	return idx, nil
}

func selector(tag string, d digest.Digest) string {
	switch {
	case d != "":
		return "@" + string(d)
	case tag != "":
		return ":" + tag
	}
	return ""
}

// layout is a file system and the name that its user knows.
type layout struct {
	fsys   fs.FS
	source string
	limits image.Limits
}

// checkHeader checks the oci-layout file.
func (l layout) checkHeader() error {
	raw, err := l.readFile(v1.ImageLayoutFile, maxHeaderSize)
	if errors.Is(err, fs.ErrNotExist) {
		return image.Corruptf("%s is not an OCI image layout: it has no %s file", l.source, v1.ImageLayoutFile)
	}
	if err != nil {
		return l.fileError(v1.ImageLayoutFile, err)
	}
	var header v1.ImageLayout
	if err := json.Unmarshal(raw, &header); err != nil {
		return image.Corruptf("%s: %s: %w", l.source, v1.ImageLayoutFile, err)
	}
	if major, _, ok := strings.Cut(header.Version, "."); !ok || major != "1" {
		return image.Corruptf("%s: %s: layout version %s is not supported, only %s is",
			l.source, v1.ImageLayoutFile, image.Quote(header.Version), v1.ImageLayoutVersion)
	}
	return nil
}

func blobPath(d digest.Digest) string {
	return "blobs/" + d.Algorithm().String() + "/" + d.Encoded()
}

// fetch reads a document for [image.Resolve].
func (l layout) fetch(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b, err := l.openBlob(d)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	return image.ReadBlob(io.NewSectionReader(b, 0, b.Size()), d.Size)
}

// copy is the [image.Copy] of a layout.
func (l layout) copy(ctx context.Context, d v1.Descriptor, offset int64, w io.Writer) error {
	b, err := l.openBlob(d)
	if err != nil {
		return err
	}
	defer b.Close()
	return image.CopyBlob(ctx, b, offset, w)
}

// stat checks that a blob is there and has the right size.
func (l layout) stat(d v1.Descriptor) (fs.FileInfo, error) {
	info, err := l.regular(blobPath(d.Digest))
	switch {
	case errors.Is(err, fs.ErrNotExist) && len(d.URLs) > 0:
		err := image.Corruptf("blob %s is not in the layout but elsewhere, at %s (rule 148)", d.Digest, image.Quote(d.URLs[0]))
		return nil, image.WithHint(err, "copy the image again with what its registry does not hold, or flatten it from its registry")
	case errors.Is(err, fs.ErrNotExist):
		err := image.Corruptf("blob %s is missing (rule 163)", d.Digest)
		return nil, image.WithHint(err, "copy the image again; if only some platforms were copied, choose one of those with --platform")
	case err != nil:
		return nil, fileError("blob "+string(d.Digest), err)
	case info.Size() != d.Size:
		return nil, image.Corruptf("blob %s has %d bytes instead of %d (rule 151)", d.Digest, info.Size(), d.Size)
	}
	return info, nil
}

// openBlob opens a blob after [layout.stat] has found nothing wrong.
func (l layout) openBlob(d v1.Descriptor) (image.Blob, error) {
	if _, err := l.stat(d); err != nil {
		return nil, err
	}
	b, err := l.openFile(blobPath(d.Digest))
	if err != nil {
		return nil, fileError("blob "+string(d.Digest), err)
	}
	return b, nil
}

// tagsOf lists the names that index.json has for a manifest, or for the index
// through which it was found.
func tagsOf(idx v1.Index, digests ...digest.Digest) []string {
	var tags []string
	for _, d := range idx.Manifests {
		for _, wanted := range digests {
			if d.Digest == wanted {
				tags = append(tags, names(d)...)
				break
			}
		}
	}
	return compact(tags)
}
