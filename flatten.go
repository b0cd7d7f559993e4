// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package flatten

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/seed-81b0d42e/flatten/internal/steady"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/plan"
	"github.com/seed-81b0d42e/flatten/pkg/splice"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
	"github.com/seed-81b0d42e/flatten/pkg/whiteout"
)

// Flatten writes the filesystem of an image as a tar: to a file in opts.Dir
// named by its digest, or to opts.Output.
//
// An error is image.ErrCorrupt when the image is to blame. What opts.Output has
// received by then is not a complete stream; a file is not there at all.
func Flatten(ctx context.Context, img *image.Image, opts Options) (*Result, error) {
	m, err := Load(ctx, img, opts)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return m.Write(ctx, opts)
}

// Merged is an image whose layers have been scanned and merged.
type Merged struct {
	// Image is the image that was merged.
	Image *image.Image

	// View is the filesystem that its layers add up to.
	View *whiteout.View

	// Warnings are all that the rules tolerated: the source's, the layers' and
	// the merge's.
	Warnings []image.Warning

	blobs   blobs
	tempDir string
}

// Close releases the layers' blobs.
func (m *Merged) Close() error { return m.blobs.close() }

// Load scans the layers of an image and merges them. With opts.Strict the first
// warning is an error. Layers that opts.Cache knows are not read: see
// [Merged.Verify].
func Load(ctx context.Context, img *image.Image, opts Options) (_ *Merged, err error) {
	if opts.Jobs <= 0 {
		opts.Jobs = runtime.GOMAXPROCS(0)
	}
	m := &Merged{Image: img, Warnings: slices.Clone(img.Warnings), blobs: blobs{}, tempDir: opts.TempDir}
	defer func() {
		if err != nil {
			m.Close()
		}
	}()
	layers, err := scan(ctx, img, m.blobs, budget(img, opts.Limits), opts)
	if err != nil {
		return nil, err
	}
	for i, l := range layers {
		for _, w := range l.Warnings {
			w.Layer = i
			m.Warnings = append(m.Warnings, w)
		}
	}
	m.View, err = whiteout.Merge(layers, opts.merge())
	if err != nil {
		return nil, fmt.Errorf("merging: %w", err)
	}
	m.Warnings = append(m.Warnings, m.View.Warnings...)
	if opts.Strict && len(m.Warnings) > 0 {
		return nil, image.WithHint(image.Corruptf("%v", m.Warnings[0]),
			"without --strict this is a warning")
	}
	return m, nil
}

// merge are the options of the merge.
func (o *Options) merge() whiteout.Options {
	return whiteout.Options{FollowLower: o.FollowLowerSymlinks, Limits: o.Limits}
}

// Plan lists the pieces of the output.
func (m *Merged) Plan(opts Options) *plan.Plan {
	return plan.Of(m.View, plan.Options{
		Canonical: opts.Canonical, Epoch: opts.Epoch, RootEntry: opts.RootEntry,
	})
}

// LayerError is a failure that one layer is to blame for.
type LayerError struct {
	Layer  int           // index, lowest first from 0
	Digest digest.Digest // of the blob, or the diffID where the source has none
	Err    error
}

func (e *LayerError) Error() string {
	return fmt.Sprintf("layer %d %s: %v", e.Layer+1, short(e.Digest), e.Err)
}

func (e *LayerError) Unwrap() error { return e.Err }

// short is enough of a digest for people: "sha256:0123456789ab".
func short(d digest.Digest) string {
	if i := len("sha256:") + 12; len(d) > i {
		return string(d[:i])
	}
	return string(d)
}

// blobs are the open blobs of an image by the identity of their layer.
type blobs map[digest.Digest]image.Blob

func (b blobs) close() error {
	var errs []error
	for _, blob := range b {
		errs = append(errs, blob.Close())
	}
	clear(b)
	return errors.Join(errs...)
}

// identity is what a layer's blob is known by.
func identity(l *image.Layer) digest.Digest { return cmp.Or(l.Digest, l.DiffID) }

// scan reads each distinct layer once, several at a time, the largest first. All
// are opened before, so that a registry can send them.
func scan(ctx context.Context, img *image.Image, open blobs, budget *toc.Budget, opts Options) ([]*toc.Layer, error) {
	var distinct []int
	for _, i := range largestFirst(img) {
		l := &img.Layers[i]
		if open[identity(l)] != nil {
			continue
		}
		blob, err := l.Open(ctx)
		if err != nil {
			return nil, &LayerError{i, identity(l), err}
		}
		open[identity(l)] = steady.Of(blob) // it is read twice, to be verified and to be used
		distinct = append(distinct, i)
	}
	scanned := make([]*toc.Layer, len(img.Layers))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(opts.Jobs)
	for _, i := range distinct {
		group.Go(func() (err error) {
			id := identity(&img.Layers[i])
			if scanned[i], err = scanLayer(ctx, img, i, open[id], budget, opts); err != nil {
				return &LayerError{i, id, err}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return everywhere(img, scanned, distinct, budget)
}

// budget is what the layers of an image may cost.
func budget(img *image.Image, limits image.Limits) *toc.Budget {
	sizes := make([]int64, len(img.Layers))
	for i, l := range img.Layers {
		sizes[i] = l.Size
	}
	return toc.NewBudget(limits, sizes...)
}

// largestFirst are the indices of an image's layers.
func largestFirst(img *image.Image) []int {
	order := make([]int, len(img.Layers))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(img.Layers[b].Size, img.Layers[a].Size)
	})
	return order
}

// everywhere puts a layer's table wherever its blob stands in the stack. Each
// time counts for the limits.
func everywhere(img *image.Image, scanned []*toc.Layer, distinct []int, budget *toc.Budget) ([]*toc.Layer, error) {
	byID := map[digest.Digest]*toc.Layer{}
	for _, i := range distinct {
		byID[identity(&img.Layers[i])] = scanned[i]
	}
	for i := range img.Layers {
		l := &img.Layers[i]
		if scanned[i] == nil {
			scanned[i] = byID[identity(l)]
			if err := budget.Add(scanned[i]); err != nil {
				return nil, &LayerError{i, identity(l), err}
			}
		}
		if l.DiffID != "" && l.DiffID != scanned[i].DiffID {
			err := image.Corruptf("the configuration states diffID %s for a layer that has %s", l.DiffID, scanned[i].DiffID)
			return nil, &LayerError{i, identity(l), err}
		}
	}
	return scanned, nil
}

func scanLayer(ctx context.Context, img *image.Image, i int, blob image.Blob, budget *toc.Budget, opts Options) (*toc.Layer, error) {
	l := &img.Layers[i]
	return toc.Scan(ctx, blob, toc.Options{
		Digest: l.Digest, DiffID: l.DiffID, Size: l.Size, MediaType: l.MediaType,
		Cache: opts.Cache, Budget: budget,
		Progress: func(n int64) {
			opts.report(Event{Stage: Scan, Layer: i, Done: n, Total: blob.Size()})
		},
	})
}

func (o *Options) report(e Event) {
	if o.Progress != nil {
		o.Progress(e)
	}
}

// sources are the layers, open for reading.
type sources struct {
	layers  []splice.Layer // in the order of the stack
	readers map[digest.Digest]*toc.Reader
}

// sources opens the layers for reading. Ranges of which the cache, if there is
// one, has excerpts are taken from there.
func (m *Merged) sources(cache *toc.Cache) *sources {
	s := &sources{make([]splice.Layer, len(m.Image.Layers)), map[digest.Digest]*toc.Reader{}}
	group := toc.Group{TempDir: m.tempDir, Cache: cache}
	for i := range s.layers {
		id := identity(&m.Image.Layers[i])
		if s.readers[id] == nil {
			s.readers[id] = group.NewReader(m.View.Layers[i], m.blobs[id])
		}
		s.layers[i] = splice.Layer{Source: s.readers[id], Blob: m.blobs[id], Blocks: m.View.Layers[i].Blocks}
	}
	return s
}

func (s *sources) close() {
	for _, r := range s.readers {
		r.Close()
	}
}

// keep has the cache keep what was decoded. The layers must have been verified. A
// cache that cannot be written is no error.
func (s *sources) keep() {
	for _, r := range s.readers {
		_ = r.Keep()
	}
}
