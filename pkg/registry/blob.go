// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"sync"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// blob reads a download while it goes on.
type blob struct {
	d     *download
	stop  func() bool // unlinks the blob from its context
	leave func()      // once: the download has a user less

	// Both are guarded by d.mu.
	ended  error // why it no longer waits: its context is over
	closed bool
}

var _ image.Blob = (*blob)(nil)

// open makes a blob that reads d, which must have been entered with ctx. The
// end of ctx ends its waits; what is there can still be read.
func (d *download) open(ctx context.Context) *blob {
	b := &blob{d: d, leave: sync.OnceFunc(d.leave)}
	b.stop = context.AfterFunc(ctx, func() {
		d.mu.Lock()
		b.ended = context.Cause(ctx)
		d.changed.Broadcast()
		d.mu.Unlock()
		b.leave()
	})
	return b
}

// Size is the size that the manifest states.
func (b *blob) Size() int64 { return b.d.size }

// ReadAt waits until the bytes have arrived. When the download fails first, it
// reads those that are there and returns the error.
func (b *blob) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("registry: read before the begin of a blob")
	}
	d := b.d
	if off >= d.size {
		return 0, io.EOF
	}
	want := min(int64(len(p)), d.size-off)

	d.mu.Lock()
	for d.have < off+want && b.ended == nil && !b.closed && d.err == nil {
		d.changed.Wait()
	}
	there, closed, file := max(0, min(want, d.have-off)), b.closed || d.closed, d.file
	failed := cmp.Or(b.ended, d.err)
	d.mu.Unlock()

	if closed {
		return 0, fs.ErrClosed
	}
	n, err := file.ReadAt(p[:there], off)
	switch {
	case err != nil:
		return n, err
	case there < want:
		return n, failed
	case n < len(p):
		return n, io.EOF
	}
	return n, nil
}

// Close ends reads that wait. The bytes that have arrived stay until the image
// is closed.
func (b *blob) Close() error {
	b.stop()
	b.d.mu.Lock()
	b.closed = true
	b.d.changed.Broadcast()
	b.d.mu.Unlock()
	b.leave()
	return nil
}
