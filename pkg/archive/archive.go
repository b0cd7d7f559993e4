// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/layout"
	"github.com/seed-81b0d42e/flatten/pkg/reference"
)

// Options say which image of an archive is meant and where to store what cannot
// be read in place. The zero value means the only image, for the default platform.
type Options struct {
	// Source is the archive as its user names it, such as "oci-archive:x.tar". It
	// begins the image's reference and is what errors and hints say. Empty: the
	// form and the file.
	Source string

	// Tag is the name of the image in the archive, empty when not known.
	Tag string

	// Digest is that of the image's manifest or index, or in a docker-archive that
	// of its configuration; empty when not known.
	Digest digest.Digest

	// Platform is the platform that was asked for, nil for the default.
	Platform *v1.Platform

	// TempDir is where a compressed archive or a stream is stored; empty means
	// [os.TempDir].
	TempDir string

	// MaxSize is the most bytes that are stored there; 0 means 1 TiB.
	MaxSize int64
}

// OpenOCI opens an image in an oci-archive. The image must be closed.
func OpenOCI(ctx context.Context, file string, opt Options) (*image.Image, error) {
	return open(ctx, file, reference.OCIArchive, opt)
}

// OpenDocker opens an image in a docker-archive. The image must be closed.
func OpenDocker(ctx context.Context, file string, opt Options) (*image.Image, error) {
	return open(ctx, file, reference.DockerArchive, opt)
}

// Open opens an image in whatever is at a path: a layout directory or either
// archive. The image must be closed.
func Open(ctx context.Context, path string, opt Options) (*image.Image, error) {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		if err := checkDir(path); err != nil {
			return nil, err
		}
		return layout.OpenDir(ctx, path, layoutOptions(opt))
	}
	return open(ctx, path, reference.Path, opt)
}

// OpenStream opens an image in either archive, which is read to its end. The
// image must be closed. Reading from r itself is not interrupted by ctx.
func OpenStream(ctx context.Context, r io.Reader, opt Options) (*image.Image, error) {
	if opt.Source == "" {
		opt.Source = reference.Stdin.String()
	}
	f, err := spoolStream(ctx, r, opt)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", opt.Source, err)
	}
	members, form, err := contents(ctx, f, reference.Path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", opt.Source, err), f.Close())
	}
	img, err := openImage(ctx, f, members, form, opt)
	if err == nil {
		return img, nil
	}
	// What the hint names cannot be chosen from a stream.
	if selector, ok := strings.CutPrefix(image.Hint(err), hintPrefix+opt.Source); ok {
		err = image.WithHint(err, "keep it in a file and name one, such as %s:FILE%s", form, selector)
	}
	return nil, err
}

// hintPrefix begins the hint that names an image among several.
const hintPrefix = "name one, such as "

func layoutOptions(opt Options) layout.Options {
	return layout.Options{Source: opt.Source, Tag: opt.Tag, Digest: opt.Digest, Platform: opt.Platform}
}

// open opens a file of a form, or of either for reference.Path.
func open(ctx context.Context, file string, form reference.Kind, opt Options) (*image.Image, error) {
	name := file
	if form != reference.Path {
		name = form.String() + ":" + file
	}
	if opt.Source != "" {
		name = opt.Source
	}
	f, err := openFile(ctx, file, opt)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, image.NotFoundf("%s: no such file", name)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	members, form, err := contents(ctx, f, form)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), f.Close())
	}
	if opt.Source == "" {
		opt.Source = form.String() + ":" + file
	}
	return openImage(ctx, f, members, form, opt)
}

// contents returns what is in an archive, and its form if that is not known.
func contents(ctx context.Context, f *spooled, form reference.Kind) (*tarFS, reference.Kind, error) {
	members, err := index(ctx, f, f.size)
	if err == nil && form == reference.Path {
		form, err = members.form()
	}
	return members, form, err
}

// openImage opens an image in an archive, and closes the archive if it cannot.
func openImage(ctx context.Context, f *spooled, members *tarFS, form reference.Kind, opt Options) (*image.Image, error) {
	var img *image.Image
	var err error
	switch isDocker := members.has(dockerManifest); {
	case form == reference.DockerArchive:
		img, err = openDocker(members, opt)
	case isDocker && !members.has(v1.ImageLayoutFile):
		err = image.WithHint(image.Corruptf("%s: a docker-archive, not an oci-archive", opt.Source), "use docker-archive:")
	default:
		img, err = layout.Open(ctx, members, layoutOptions(opt))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	img.Closer = f
	return img, nil
}
