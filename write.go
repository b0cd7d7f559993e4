// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package flatten

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"

	godigest "github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/seed-81b0d42e/flatten/pkg/digest"
	"github.com/seed-81b0d42e/flatten/pkg/plan"
	"github.com/seed-81b0d42e/flatten/pkg/splice"
)

// Write writes the merged filesystem as opts say: to a digest-named file in
// opts.Dir, or to opts.Output.
func (m *Merged) Write(ctx context.Context, opts Options) (*Result, error) {
	if opts.Level < 0 || opts.Level > 9 {
		return nil, fmt.Errorf("level %d: there are 1 to 9, and 0 for the default", opts.Level)
	}
	p := m.Plan(opts)
	r := &Result{Entries: p.Entries, TarSize: p.Size, Warnings: m.Warnings, Layers: m.layers()}
	if opts.Output != nil {
		out := newMeter(opts.Output)
		if err := m.encode(ctx, out, p, opts, r); err != nil {
			return nil, err
		}
		r.Digest, r.Size = out.digest(), out.n
		return r, nil
	}
	file, err := digest.Create(cmp.Or(opts.Dir, "."))
	if err != nil {
		return nil, err
	}
	defer file.Discard()
	if err := m.encode(ctx, file, p, opts, r); err != nil {
		return nil, err
	}
	suffix := ".tar.gz"
	if opts.Uncompressed {
		suffix = ".tar"
	}
	r.Size = file.Size()
	r.Path, r.Digest, err = file.Publish(suffix)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// encode carries the plan out, compressed or not.
func (m *Merged) encode(ctx context.Context, w io.Writer, p *plan.Plan, opts Options, r *Result) error {
	layers, done := m.sources()
	defer done()
	progress := func(n int64) { opts.report(Event{Stage: Write, Done: n, Total: p.Size}) }
	if opts.Uncompressed {
		tar := newMeter(w)
		tar.progress = progress
		if err := splice.Tar(ctx, tar, p, layers); err != nil {
			return err
		}
		r.Encoder, r.TarDigest = "none", tar.digest()
		return nil
	}
	o := splice.Options{Level: opts.Level, Reencode: opts.Canonical, Jobs: opts.Jobs, Progress: progress}
	tar := newMeter(io.Discard)
	whole := o.Level != 0 || o.Reencode
	if whole {
		o.TarHash = tar.hash
	}
	group, ctx := errgroup.WithContext(ctx)
	if opts.TarDigest && !whole {
		group.Go(func() error { return m.hashTar(ctx, tar, p) })
		whole = true
	}
	group.Go(func() error {
		stats, err := splice.Gzip(ctx, w, p, layers, o)
		r.Encoder, r.Copied, r.Encoded = o.Encoder(), stats.Copied, stats.Encoded
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	if whole {
		r.TarDigest = tar.digest()
	}
	return nil
}

// hashTar writes the tar stream a second time, decompressed, to be hashed: the
// digest of a spliced output's tar cannot be had for less.
func (m *Merged) hashTar(ctx context.Context, w io.Writer, p *plan.Plan) error {
	layers, done := m.sources()
	defer done()
	return splice.Tar(ctx, w, p, layers)
}

func (m *Merged) layers() []ResultLayer {
	layers := make([]ResultLayer, len(m.View.Layers))
	for i, l := range m.View.Layers {
		layers[i] = ResultLayer{
			Digest: l.Digest, DiffID: l.DiffID, Size: l.BlobSize,
			Uncompressed: l.Size, Entries: len(l.Entries),
		}
	}
	return layers
}

// meter counts and hashes what is written through it.
type meter struct {
	w        io.Writer
	hash     hash.Hash
	n        int64
	progress func(int64)
}

func newMeter(w io.Writer) *meter { return &meter{w: w, hash: sha256.New()} }

func (m *meter) Write(p []byte) (int, error) {
	n, err := m.w.Write(p)
	m.hash.Write(p[:n])
	m.n += int64(n)
	if m.progress != nil {
		m.progress(m.n)
	}
	return n, err
}

func (m *meter) digest() godigest.Digest { return godigest.NewDigest(godigest.SHA256, m.hash) }
