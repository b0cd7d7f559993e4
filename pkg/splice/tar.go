// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package splice

import (
	"context"
	"fmt"
	"io"

	"github.com/seed-81b0d42e/flatten/pkg/plan"
)

// Source gives ranges of one layer's tar stream. Ranges in ascending order are
// cheap.
type Source interface {
	// WriteRange writes the n bytes from offset off to w.
	WriteRange(ctx context.Context, w io.Writer, off, n int64) error
}

// SourceError is a layer that could not be read while a plan was carried out,
// although it could be when it was scanned.
type SourceError struct {
	Layer int // index, lowest first from 0
	Err   error
}

func (e *SourceError) Error() string {
	return fmt.Sprintf("layer %d: reading it again: %v", e.Layer+1, e.Err)
}

func (e *SourceError) Unwrap() error { return e.Err }

// Tar writes the tar stream that a plan stands for. sources are the layers of
// the plan's view, in its order.
func Tar(ctx context.Context, w io.Writer, p *plan.Plan, sources []Source) error {
	t := &tarWriter{Writer: w}
	var header []byte
	for _, e := range p.Extents {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		switch e.Kind {
		case plan.Copy:
			err := sources[e.Layer].WriteRange(ctx, t, e.Offset, e.Length)
			if err != nil && t.err == nil && ctx.Err() == nil {
				return &SourceError{int(e.Layer), err}
			}
		case plan.Header:
			header = p.Header(header[:0], int(e.Offset))
			t.Write(header)
		case plan.Zero:
			t.zeros(e.Length)
		}
		if t.err != nil {
			return t.err
		}
	}
	return ctx.Err()
}

// tarWriter remembers the first error of the writer below it, so that it can be
// told from an error of a source. The error is sticky.
type tarWriter struct {
	io.Writer
	err error
}

func (t *tarWriter) Write(p []byte) (int, error) {
	if t.err != nil {
		return 0, t.err
	}
	n, err := t.Writer.Write(p)
	t.err = err
	return n, err
}

var zeroBlock [32 << 10]byte

func (t *tarWriter) zeros(n int64) {
	for n > 0 && t.err == nil {
		m := min(n, int64(len(zeroBlock)))
		t.Write(zeroBlock[:m])
		n -= m
	}
}
