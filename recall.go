// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package flatten

import (
	"cmp"
	"context"
	"errors"
	"io"
	"runtime"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/seed-81b0d42e/flatten/pkg/splice"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// Verify reads the blobs of the layers that the cache knew and compares their
// digests, once. Write does it by itself; it is for those who read layers
// otherwise.
func (m *Merged) Verify(ctx context.Context, opts Options) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, cmp.Or(opts.Jobs, runtime.GOMAXPROCS(0))/2)) // Write wants the others
	seen := map[digest.Digest]bool{}
	for _, i := range largestFirst(m.Image) {
		id := identity(&m.Image.Layers[i])
		if seen[id] {
			continue
		}
		seen[id] = true
		blob := m.blobs[id]
		group.Go(func() error {
			err := toc.Verify(ctx, blob, m.View.Layers[i], func(n int64) {
				opts.report(Event{Stage: Scan, Layer: i, Done: n, Total: blob.Size()})
			})
			if err != nil {
				return &LayerError{i, id, err}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, l := range m.View.Layers {
		l.Unverified = false
	}
	return nil
}

// unverified reports whether a layer's blob has not been read.
func (m *Merged) unverified() bool {
	for _, l := range m.View.Layers {
		if l.Unverified {
			return true
		}
	}
	return false
}

// verified runs write while the layers that the cache knew are verified, so that
// neither waits for the other. Its error comes first: what else may go wrong with
// a damaged blob is for that reason.
func (m *Merged) verified(ctx context.Context, opts Options, write func(context.Context) error) error {
	if !m.unverified() {
		return write(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	verdict := make(chan error, 1)
	go func() {
		err := m.Verify(ctx, opts)
		if err != nil {
			cancel()
		}
		verdict <- err
	}()
	err := write(ctx)
	var layer *splice.LayerError
	if err != nil && !errors.As(err, &layer) {
		cancel()
	}
	if verr := <-verdict; verr != nil && (err == nil || !errors.Is(verr, context.Canceled)) {
		return verr
	}
	return err
}

// withheld is a writer that keeps the end of what is written back, so that no
// reader takes the stream for complete before release.
type withheld struct {
	w    io.Writer
	last []byte
}

// Write implements io.Writer.
func (w *withheld) Write(p []byte) (int, error) {
	if err := w.release(); err != nil || len(p) == 0 {
		return 0, err
	}
	keep := len(p)
	if keep > 1024 {
		keep = 1
	}
	n, err := w.w.Write(p[:len(p)-keep])
	if err != nil {
		return n, err
	}
	w.last = append(w.last, p[n:]...)
	return len(p), nil
}

// release writes what was kept back.
func (w *withheld) release() error {
	if len(w.last) == 0 {
		return nil
	}
	_, err := w.w.Write(w.last)
	w.last = w.last[:0]
	return err
}
