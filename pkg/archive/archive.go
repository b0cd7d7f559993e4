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

	// Limits are those of documents, and of what is stored: its size and how many
	// times as long it is as the compressed archive.
	Limits image.Limits
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
	if isDir(path) {
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
	a, err := openStream(ctx, r, opt)
	if err != nil {
		return nil, err
	}
	img, err := a.image(ctx)
	return img, a.streamError(err)
}

// OpenRoot opens what the options mean in a file, as it is stored and whatever
// its platform. The form is reference.OCIArchive, reference.DockerArchive, or
// reference.Path for whatever is there. It must be closed.
func OpenRoot(ctx context.Context, path string, form reference.Kind, opt Options) (*image.Root, error) {
	if form == reference.Path && isDir(path) {
		if err := checkDir(path); err != nil {
			return nil, err
		}
		return layout.OpenRootDir(ctx, path, layoutOptions(opt))
	}
	a, err := openFileAs(ctx, path, form, opt)
	if err != nil {
		return nil, err
	}
	return a.root(ctx)
}

// OpenRootStream is OpenRoot for an archive of either form that is read to its
// end. Reading from r itself is not interrupted by ctx.
func OpenRootStream(ctx context.Context, r io.Reader, opt Options) (*image.Root, error) {
	a, err := openStream(ctx, r, opt)
	if err != nil {
		return nil, err
	}
	root, err := a.root(ctx)
	return root, a.streamError(err)
}

// hintPrefix begins the hint that names an image among several.
const hintPrefix = "name one, such as "

func layoutOptions(opt Options) layout.Options {
	return layout.Options{Source: opt.Source, Tag: opt.Tag, Digest: opt.Digest, Platform: opt.Platform, Limits: opt.Limits}
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// open opens an image in a file of a form, or of either for reference.Path.
func open(ctx context.Context, file string, form reference.Kind, opt Options) (*image.Image, error) {
	a, err := openFileAs(ctx, file, form, opt)
	if err != nil {
		return nil, err
	}
	return a.image(ctx)
}

// archive is an archive of which the members are known.
type archive struct {
	file    *spooled
	members *tarFS
	form    reference.Kind
	opt     Options // with a Source
}

// openFileAs reads which members a file of a form has.
func openFileAs(ctx context.Context, file string, form reference.Kind, opt Options) (*archive, error) {
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
	members, form, err := contents(ctx, f, form, opt.Limits)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), f.Close())
	}
	if opt.Source == "" {
		opt.Source = form.String() + ":" + file
	}
	return &archive{f, members, form, opt}, nil
}

// openStream stores an archive and reads which members it has.
func openStream(ctx context.Context, r io.Reader, opt Options) (*archive, error) {
	if opt.Source == "" {
		opt.Source = reference.Stdin.String()
	}
	f, err := spoolStream(ctx, r, opt)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", opt.Source, err)
	}
	members, form, err := contents(ctx, f, reference.Path, opt.Limits)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", opt.Source, err), f.Close())
	}
	return &archive{f, members, form, opt}, nil
}

// contents returns what is in an archive, and its form if that is not known.
func contents(ctx context.Context, f *spooled, form reference.Kind, limits image.Limits) (*tarFS, reference.Kind, error) {
	members, err := index(ctx, f, f.size, limits)
	if err == nil && form == reference.Path {
		form, err = members.form()
	}
	return members, form, err
}

// image opens an image in the archive, which it closes if it cannot.
func (a *archive) image(ctx context.Context) (*image.Image, error) {
	var img *image.Image
	err := a.checkForm()
	switch {
	case err != nil:
	case a.form == reference.DockerArchive:
		img, err = openDocker(a.members, a.opt)
	default:
		img, err = layout.Open(ctx, a.members, layoutOptions(a.opt))
	}
	if err != nil {
		return nil, errors.Join(err, a.file.Close())
	}
	img.Closer = a.file
	return img, nil
}

// root opens what the options mean, and closes the archive if it cannot.
func (a *archive) root(ctx context.Context) (*image.Root, error) {
	var root *image.Root
	err := a.checkForm()
	switch {
	case err != nil:
	case a.form == reference.DockerArchive:
		root, err = openDockerRoot(ctx, a.members, a.opt)
	default:
		root, err = layout.OpenRoot(a.members, layoutOptions(a.opt))
	}
	if err != nil {
		return nil, errors.Join(err, a.file.Close())
	}
	root.Closer = a.file
	return root, nil
}

// checkForm fails for a docker-archive that is no oci-archive where that is what
// was named.
func (a *archive) checkForm() error {
	if a.form != reference.DockerArchive && a.members.has(dockerManifest) && !a.members.has(v1.ImageLayoutFile) {
		return image.WithHint(image.Corruptf("%s: a docker-archive, not an oci-archive", a.opt.Source), "use docker-archive:")
	}
	return nil
}

// streamError gives an error of a stream another hint where that names an image,
// which cannot be chosen from a stream.
func (a *archive) streamError(err error) error {
	if selector, ok := strings.CutPrefix(image.Hint(err), hintPrefix+a.opt.Source); ok {
		return image.WithHint(err, "keep it in a file and name one, such as %s:FILE%s", a.form, selector)
	}
	return err
}
