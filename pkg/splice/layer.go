// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package splice

import (
	"context"
	"fmt"
	"io"

	"github.com/seed-81b0d42e/flatten/pkg/inflate"
)

// Source gives ranges of one layer's tar stream. Ranges in ascending order are
// cheap.
type Source interface {
	// WriteRange writes the n bytes from offset off to w.
	WriteRange(ctx context.Context, w io.Writer, off, n int64) error
}

// Layer is what a plan's copies come from. It is read by one goroutine for
// its Source and by another for its Blob.
type Layer struct {
	Source

	// Blob is the layer as stored, whose bytes have been verified.
	Blob io.ReaderAt

	// Blocks is the block map of a gzip blob; nil for any other, of which
	// everything is encoded.
	Blocks []inflate.Block
}

// LayerError is a layer that could not be read while a plan was carried out,
// although it could be when it was scanned.
type LayerError struct {
	Layer int // index, lowest first from 0
	Err   error
}

func (e *LayerError) Error() string {
	return fmt.Sprintf("layer %d: reading it again: %v", e.Layer+1, e.Err)
}

func (e *LayerError) Unwrap() error { return e.Err }
