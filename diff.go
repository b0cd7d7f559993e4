// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package flatten

import (
	"context"
	"crypto/sha256"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/seed-81b0d42e/flatten/pkg/diff"
	"github.com/seed-81b0d42e/flatten/pkg/tree"
	"github.com/seed-81b0d42e/flatten/pkg/whiteout"
)

// Diff returns what makes the filesystem before into after. Indexes in a change
// are those of the two views. Of the files in layers that both images have no byte
// is read.
func Diff(ctx context.Context, before, after *Merged, opts Options, how diff.Options) ([]diff.Change, error) {
	same := func(pairs []diff.Pair) ([]bool, error) {
		var old, new []whiteout.Position
		for _, p := range pairs {
			old, new = append(old, p.Old), append(new, p.New)
		}
		var a, b sums
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() (err error) { a, err = before.sums(ctx, opts, old); return err })
		group.Go(func() (err error) { b, err = after.sums(ctx, opts, new); return err })
		if err := group.Wait(); err != nil {
			return nil, err
		}
		return equal(pairs, a, b), nil
	}
	return diff.Compare(tree.Of(before.View), tree.Of(after.View), same, how)
}

// LayerDiff is what one layer does to the filesystem below it.
type LayerDiff struct {
	// Layer is the layer's index, lowest first from 0.
	Layer int

	// Before and After are the filesystems of the layers below it, and with it.
	Before, After *whiteout.View

	// Changes are in Docker's form: see [diff.Condense].
	Changes []diff.Change
}

// DiffLayers tells do what each of the layers from first up to, not including,
// last changes. opts are those that the image was loaded with. With brief, content
// is read only where nothing else tells: see [diff.Options].
func (m *Merged) DiffLayers(ctx context.Context, opts Options, first, last int, brief bool, do func(*LayerDiff) error) error {
	before, err := m.upTo(first, opts)
	if err != nil {
		return err
	}
	same := func(pairs []diff.Pair) ([]bool, error) {
		var both []whiteout.Position
		for _, p := range pairs {
			both = append(both, p.Old, p.New)
		}
		s, err := m.sums(ctx, opts, both)
		return equal(pairs, s, s), err
	}
	for layer := first; layer < last; layer++ {
		after, err := m.upTo(layer+1, opts)
		if err != nil {
			return err
		}
		changes, err := diff.Compare(before, after, same, diff.Options{FileTimes: true, Brief: brief})
		if err != nil {
			return err
		}
		err = do(&LayerDiff{Layer: layer, Before: before.View(), After: after.View(), Changes: diff.Condense(changes)})
		if err != nil {
			return err
		}
		before = after
	}
	return nil
}

// upTo is the filesystem of the lowest n layers.
func (m *Merged) upTo(n int, opts Options) (*tree.Tree, error) {
	if n == len(m.View.Layers) {
		return tree.Of(m.View), nil
	}
	view, err := whiteout.Merge(m.View.Layers[:n], opts.merge())
	if err != nil {
		return nil, err
	}
	return tree.Of(view), nil
}

// sums are the SHA-256 of the content of files.
type sums map[whiteout.Position][sha256.Size]byte

// sums reads files.
func (m *Merged) sums(ctx context.Context, opts Options, files []whiteout.Position) (sums, error) {
	s := make(sums, len(files))
	h := sha256.New()
	err := m.Contents(ctx, opts, files, func(file whiteout.Position, write func(io.Writer) error) error {
		h.Reset()
		if err := write(h); err != nil {
			return err
		}
		s[file] = [sha256.Size]byte(h.Sum(nil))
		return nil
	})
	return s, err
}

func equal(pairs []diff.Pair, old, new sums) []bool {
	same := make([]bool, len(pairs))
	for i, p := range pairs {
		same[i] = old[p.Old] == new[p.New]
	}
	return same
}
