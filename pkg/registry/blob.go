// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
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

	err error // set once it must not be read any more; guarded by d.mu
}

var _ image.Blob = (*blob)(nil)

// open makes a blob that reads d, which must have been entered with ctx. The
// end of ctx ends its reads.
func (d *download) open(ctx context.Context) *blob {
	b := &blob{d: d, leave: sync.OnceFunc(d.leave)}
	b.stop = context.AfterFunc(ctx, func() {
		b.fail(context.Cause(ctx))
		b.leave()
	})
	return b
}

func (b *blob) fail(err error) {
	b.d.mu.Lock()
	defer b.d.mu.Unlock()
	if b.err == nil {
		b.err = err
	}
	b.d.changed.Broadcast()
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
	for d.have < off+want && b.err == nil && d.err == nil {
		d.changed.Wait()
	}
	there, ended, failed, file := max(0, min(want, d.have-off)), b.err, d.err, d.file
	if d.closed {
		ended = fs.ErrClosed
	}
	d.mu.Unlock()

	if ended != nil {
		return 0, ended
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
	b.fail(fs.ErrClosed)
	b.leave()
	return nil
}
