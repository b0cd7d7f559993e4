// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package flatten

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	godigest "github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/seed-81b0d42e/flatten/pkg/digest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/plan"
	"github.com/seed-81b0d42e/flatten/pkg/splice"
	"github.com/seed-81b0d42e/flatten/pkg/tally"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// Write writes the merged filesystem as opts say: to a digest-named file in
// opts.Dir, or to opts.Output.
func (m *Merged) Write(ctx context.Context, opts Options) (*Result, error) {
	if opts.Level < 0 || opts.Level > 9 {
		return nil, fmt.Errorf("level %d: there are 1 to 9, and 0 for the default", opts.Level)
	}
	p := m.Plan(opts)
	r := &Result{Entries: p.Entries, TarSize: p.Size, Warnings: m.Warnings, Layers: m.layers()}
	src := m.sources(opts.excerpts())
	defer src.close()
	write := m.writeFile
	if opts.Output != nil {
		write = m.writeStream
	}
	if err := write(ctx, src, p, opts, r); err != nil {
		return nil, err
	}
	src.keep()
	return r, nil
}

// excerpts is the cache for ranges of layers: those that lie between copied blocks.
// When everything is encoded, everything is read.
func (o *Options) excerpts() *toc.Cache {
	if o.Uncompressed || o.whole() {
		return nil
	}
	return o.Cache
}

// whole reports whether the output is compressed as a whole.
func (o *Options) whole() bool { return o.Level != 0 || o.Canonical }

// writeFile writes to a digest-named file in opts.Dir.
func (m *Merged) writeFile(ctx context.Context, src *sources, p *plan.Plan, opts Options, r *Result) error {
	file, err := digest.Create(cmp.Or(opts.Dir, "."))
	if err != nil {
		return err
	}
	defer file.Discard()
	err = m.verified(ctx, opts, func(ctx context.Context) error { return m.encode(ctx, file, src, p, opts, r) })
	if err != nil {
		return withNeeded(err, p, opts)
	}
	suffix := ".tar.gz"
	if opts.Uncompressed {
		suffix = ".tar"
	}
	r.Size = file.Size()
	r.Path, r.Digest, err = file.Publish(suffix)
	return err
}

// writeStream writes to opts.Output, its end only when all layers are verified.
func (m *Merged) writeStream(ctx context.Context, src *sources, p *plan.Plan, opts Options, r *Result) error {
	held := &withheld{w: opts.Output}
	out := newMeter(held)
	err := m.verified(ctx, opts, func(ctx context.Context) error { return m.encode(ctx, out, src, p, opts, r) })
	if err == nil {
		err = held.release()
	}
	r.Digest, r.Size = out.digest(), out.n
	return withNeeded(err, p, opts)
}

// withNeeded adds to an error for want of room how much the output takes: to the
// byte for a plain tar, otherwise an estimate, and rather more than less.
func withNeeded(err error, p *plan.Plan, opts Options) error {
	var space *image.SpaceError
	if errors.As(err, &space) && space.Needed == 0 {
		space.Needed = p.Size
		if !opts.Uncompressed {
			space.Needed = max(space.Written, tally.Output(p)*9/8)
		}
	}
	return err
}

// encode carries the plan out, compressed or not.
func (m *Merged) encode(ctx context.Context, w io.Writer, src *sources, p *plan.Plan, opts Options, r *Result) error {
	progress := func(n int64) { opts.report(Event{Stage: Write, Done: n, Total: p.Size}) }
	if opts.Uncompressed {
		tar := newMeter(w)
		tar.progress = progress
		if err := splice.Tar(ctx, tar, p, src.layers); err != nil {
			return err
		}
		r.Encoder, r.TarDigest = "none", tar.digest()
		return nil
	}
	o := opts.splice()
	o.Progress = progress
	tar := newMeter(io.Discard)
	whole := opts.whole()
	if whole {
		o.TarHash = tar.hash
	}
	group, ctx := errgroup.WithContext(ctx)
	if opts.TarDigest && !whole {
		group.Go(func() error { return m.hashTar(ctx, tar, p) })
		whole = true
	}
	group.Go(func() error {
		stats, err := splice.Gzip(ctx, w, p, src.layers, o)
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

// splice are the options of the compressed output.
func (o *Options) splice() splice.Options {
	return splice.Options{Level: o.Level, Reencode: o.Canonical, Jobs: o.Jobs}
}

// hashTar writes the tar stream a second time, decompressed, to be hashed: the
// digest of a spliced output's tar cannot be had for less.
func (m *Merged) hashTar(ctx context.Context, w io.Writer, p *plan.Plan) error {
	src := m.sources(nil)
	defer src.close()
	return splice.Tar(ctx, w, p, src.layers)
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
	err = image.CheckSpace(err, "", m.n, 0)
	if m.progress != nil {
		m.progress(m.n)
	}
	return n, err
}

func (m *meter) digest() godigest.Digest { return godigest.NewDigest(godigest.SHA256, m.hash) }
