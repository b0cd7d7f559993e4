// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"context"
	"fmt"
	"io"
	"math"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/seed-81b0d42e/flatten/internal/atomicfile"
	"github.com/seed-81b0d42e/flatten/internal/diskspace"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// AddOptions say what of an image is added to a store, and under which name. The
// zero value means the image for the default platform.
type AddOptions struct {
	// Platform chooses from an index; nil means [image.DefaultPlatform].
	Platform *v1.Platform

	// AllPlatforms keeps an index as it is, with all that it lists.
	AllPlatforms bool

	// Tag is the image's name in the layout. Empty: the one that it has at its
	// source, by the rules in the package comment.
	Tag string

	// WholeName makes that the whole name rather than the tag, where there is one.
	WholeName bool

	// Check compares the digests of blobs that are there already, and replaces
	// those that are damaged. Otherwise the right size will do.
	Check bool

	// Limits are those of documents.
	Limits image.Limits

	// Jobs is how many blobs are copied at once; 0 means 4.
	Jobs int

	// Begin, when not nil, is told what will be copied before that begins.
	Begin func(blobs []v1.Descriptor)

	// Progress, when not nil, is told how many bytes of a blob are there: blob is
	// the index in what Begin was told. It is called from several goroutines at
	// once and must return quickly.
	Progress func(blob int, done int64)
}

// Added is what [Store.Add] has done.
type Added struct {
	// Descriptor is that of the manifest or index, as it is in index.json.
	Descriptor v1.Descriptor

	// Name is the image's name in the layout, and Reference how it is named on a
	// command line: "oci:DIR:TAG", or "oci:DIR@DIGEST" without a tag.
	Name      Name
	Reference string

	// Replaced is what had the name before, empty when nothing or the same had.
	Replaced digest.Digest

	// Blobs and Size count documents and blobs, and their bytes; Copied and
	// CopiedSize those that were not there.
	Blobs, Copied    int
	Size, CopiedSize int64

	// Warnings are what was odd and tolerated about the image.
	Warnings []image.Warning
}

// Add copies an image into the store: what is not there yet of its blobs, then its
// documents, and last the entry in index.json. The documents keep every byte. It
// fails with image.ErrNotFound where there is no such platform, with
// image.ErrCorrupt for what is not what its descriptor says, with an
// *image.SpaceError where there is no room, and with what reading the source met.
// Blobs that were copied before an error stay, and are not copied again.
func (s *Store) Add(ctx context.Context, root *image.Root, o AddOptions) (*Added, error) {
	a := &adding{Store: s, root: root, opt: o, added: &Added{}}
	if err := a.read(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", root.Reference, err)
	}
	if err := a.missing(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", s.source, err)
	}
	if err := a.copy(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", root.Reference, err)
	}
	if err := a.documents(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", s.source, err)
	}
	if err := a.name(ctx); err != nil {
		return nil, err
	}
	return a.added, nil
}

// adding is the state of one [Store.Add].
type adding struct {
	*Store
	root     *image.Root
	opt      AddOptions
	contents *image.Contents
	config   *image.Image // of a single platform: its configuration is at hand
	want     []v1.Descriptor
	added    *Added
}

// read finds out what the image is made of.
func (a *adding) read(ctx context.Context) error {
	d, raw := a.root.Descriptor, a.root.Document
	if !a.opt.AllPlatforms {
		img, _, err := image.Resolve(ctx, d, raw, image.Options{Platform: a.opt.Platform, Limits: a.opt.Limits}, a.fetch)
		if err != nil {
			return err
		}
		a.config, a.added.Warnings = img, img.Warnings
		d, raw = v1.Descriptor{MediaType: img.MediaType, Digest: img.Digest}, img.Manifest
	}
	contents, err := image.ReadContents(ctx, d, raw, a.opt.Limits, a.fetch)
	if err != nil {
		return err
	}
	a.contents = contents
	top := contents.Root()
	a.added.Descriptor = v1.Descriptor{MediaType: top.MediaType, Digest: top.Digest, Size: top.Size}
	if a.config != nil && a.config.Platform.Architecture != "" {
		a.added.Descriptor.Platform = &a.config.Platform
	}
	a.added.Blobs = len(contents.Documents) + len(contents.Blobs)
	a.added.Size = contents.Size()
	return nil
}

// fetch reads a document: from the store, if it is there and what it must be.
func (a *adding) fetch(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	if raw, err := a.layout.fetch(ctx, d); err == nil && image.Verify(d, raw) == nil {
		return raw, nil
	}
	return a.root.Fetch(ctx, d)
}

// missing finds out which blobs have to be copied, and whether there is room.
func (a *adding) missing(ctx context.Context) error {
	there := make([]bool, len(a.contents.Blobs))
	group, checking := errgroup.WithContext(ctx)
	group.SetLimit(a.jobs())
	for i, d := range a.contents.Blobs {
		group.Go(func() (err error) {
			there[i], err = a.has(checking, d, a.opt.Check)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	var needed int64
	for i, d := range a.contents.Blobs {
		if !there[i] {
			a.want = append(a.want, d)
			needed += min(d.Size-a.have(d), math.MaxInt64-needed)
			a.count(d)
		}
	}
	if a.opt.Begin != nil {
		a.opt.Begin(a.want)
	}
	if room, known := diskspace.Available(a.dir); known && room < needed {
		err := fmt.Errorf("no room: %d bytes are needed, %d are free", needed, room)
		return image.WithHint(&image.SpaceError{Dir: a.dir, Needed: needed, Err: err}, "flatten gc %s removes what no image needs", a.dir)
	}
	return nil
}

// count counts something that is copied.
func (a *adding) count(d v1.Descriptor) {
	a.added.Copied++
	a.added.CopiedSize += d.Size
}

// copy copies the blobs that are wanted, several at once.
func (a *adding) copy(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(a.jobs())
	for i, d := range a.want {
		progress := func(done int64) {
			if a.opt.Progress != nil {
				a.opt.Progress(i, done)
			}
		}
		group.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return a.put(ctx, d, a.opt.Check, a.from(d), progress)
		})
	}
	return group.Wait()
}

func (a *adding) jobs() int {
	if a.opt.Jobs > 0 {
		return a.opt.Jobs
	}
	return 4
}

// from is where the bytes of a blob come from: from memory if they are there.
func (a *adding) from(d v1.Descriptor) blobSource {
	raw := d.Data
	if a.config != nil && d.Digest == a.config.ConfigDigest {
		raw = a.config.RawConfig
	}
	return func(ctx context.Context, offset int64, w io.Writer) error {
		if raw != nil && offset <= int64(len(raw)) {
			_, err := w.Write(raw[offset:])
			return err
		}
		return a.root.Copy(ctx, d, offset, w)
	}
}

// documents stores manifests and indexes, those that are listed first, and has
// everything on disk.
func (a *adding) documents(ctx context.Context) error {
	dirs := map[digest.Algorithm]bool{}
	for _, d := range a.contents.Blobs {
		dirs[d.Digest.Algorithm()] = true
	}
	for _, d := range a.contents.Documents {
		there, err := a.putBytes(ctx, d.Descriptor, d.Raw)
		if err != nil {
			return err
		}
		if !there {
			a.count(d.Descriptor)
		}
		dirs[d.Digest.Algorithm()] = true
	}
	for algorithm := range dirs {
		if err := atomicfile.SyncDir(filepath.Join(a.dir, filepath.FromSlash(blobDir(algorithm)))); err != nil {
			return err
		}
	}
	return atomicfile.SyncDir(filepath.Join(a.dir, v1.ImageBlobsDir))
}
