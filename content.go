// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package flatten

import (
	"cmp"
	"context"
	"io"
	"slices"

	"github.com/seed-81b0d42e/flatten/pkg/plan"
	"github.com/seed-81b0d42e/flatten/pkg/splice"
	"github.com/seed-81b0d42e/flatten/pkg/whiteout"
)

// Contents reads the content of regular files, sparse ones with their holes as
// zeros. files are the entries that hold it: see [whiteout.View.Content]. do is
// called once for each, not in the order of files but in that of the layers and
// of the entries in them, so that each layer is read forward once. It may call
// write, which writes the content to w, once.
//
// Layers that the cache knew are verified meanwhile: what do has been given counts
// only when Contents returns nil. An error of do or of w ends it.
func (m *Merged) Contents(ctx context.Context, opts Options, files []whiteout.Position,
	do func(file whiteout.Position, write func(w io.Writer) error) error) error {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b whiteout.Position) int {
		return cmp.Or(cmp.Compare(a.Layer, b.Layer), cmp.Compare(a.Entry, b.Entry))
	})
	files = slices.Compact(files)
	if len(files) == 0 {
		return nil
	}
	return m.verified(ctx, opts, func(ctx context.Context) error {
		src := m.sources(nil)
		defer src.close()
		for _, file := range files {
			err := do(file, func(w io.Writer) error {
				return splice.Tar(ctx, w, plan.Content(m.View, file), src.layers)
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}
