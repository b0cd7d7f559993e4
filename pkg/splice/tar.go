// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package splice

import (
	"context"
	"io"

	"github.com/seed-81b0d42e/flatten/pkg/plan"
)

// Tar writes the tar stream that a plan stands for. layers are those of the
// plan's view, in its order; only their Source is used.
func Tar(ctx context.Context, w io.Writer, p *plan.Plan, layers []Layer) error {
	r := reader{plan: p, layers: layers, w: stickyWriter{Writer: w}}
	for i := range p.Extents {
		if err := r.extent(ctx, i, 0, p.Extents[i].Length); err != nil {
			return err
		}
	}
	return nil
}

// reader produces the bytes that extents stand for.
type reader struct {
	plan   *plan.Plan
	layers []Layer
	w      stickyWriter
	header []byte
}

// extent writes the n bytes from offset off of an extent.
func (r *reader) extent(ctx context.Context, i int, off, n int64) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	switch e := r.plan.Extents[i]; e.Kind {
	case plan.Copy:
		err := r.layers[e.Layer].WriteRange(ctx, &r.w, e.Offset+off, n)
		if err != nil && r.w.err == nil && ctx.Err() == nil {
			return &LayerError{int(e.Layer), err}
		}
	case plan.Header:
		r.header = r.plan.Header(r.header[:0], int(e.Offset))
		r.w.Write(r.header[off : off+n])
	case plan.Zero:
		r.w.zeros(n)
	}
	if r.w.err != nil {
		return r.w.err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// stickyWriter remembers the first error of the writer below it, so that it can
// be told from an error of a layer.
type stickyWriter struct {
	io.Writer
	err error // sticky: Write keeps it so
}

func (w *stickyWriter) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.Writer.Write(p)
	w.err = err
	return n, err
}

var zeroes [32 << 10]byte

func (w *stickyWriter) zeros(n int64) {
	for n > 0 && w.err == nil {
		m := min(n, int64(len(zeroes)))
		w.Write(zeroes[:m])
		n -= m
	}
}
