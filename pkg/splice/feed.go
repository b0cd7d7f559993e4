// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package splice

import (
	"context"
	"hash/crc32"

	"golang.org/x/sync/errgroup"

	"github.com/seed-81b0d42e/flatten/pkg/plan"
)

// item is one step of the output: a piece to copy, or with chunk a part of an
// encoded one. crc is that of a piece which is a part of a block.
type item struct {
	piece Piece
	crc   uint32
	chunk chan chunk
}

// feeder walks the pieces in order, reads what is to be encoded and has it
// compressed, a few chunks ahead of the assembler.
type feeder struct {
	opts  Options
	queue chan item
	read  reader
	enc   encoder
	group errgroup.Group

	extent int   // the extent that is being read
	skip   int64 // bytes of it that have been

	// buf is the window and what is gathered of the current chunk. window is
	// the length of the former.
	buf    []byte
	window int
}

func newFeeder(p *plan.Plan, layers []Layer, opts Options) *feeder {
	f := &feeder{
		opts:  opts,
		queue: make(chan item, 4*opts.Jobs),
		enc:   encoder{level: opts.level()},
	}
	f.read = reader{plan: p, layers: layers}
	f.read.w.Writer = gather{f}
	f.group.SetLimit(opts.Jobs)
	return f
}

// gather appends to the current chunk.
type gather struct{ *feeder }

func (g gather) Write(p []byte) (int, error) {
	g.buf = append(g.buf, p...)
	return len(p), nil
}

// run feeds all pieces and closes the queue.
func (f *feeder) run(ctx context.Context, pieces <-chan Piece) error {
	defer f.group.Wait()
	for {
		p, ok, err := receive(ctx, pieces)
		if err != nil {
			return err
		}
		if !ok {
			close(f.queue)
			return nil
		}
		switch {
		case p.Encoded():
			err = f.encode(ctx, p)
		case p.Part != nil:
			err = f.sum(ctx, p)
		default:
			err = send(ctx, f.queue, item{piece: p})
		}
		if err != nil {
			return err
		}
	}
}

// sum reads a part of a block, for its CRC, of which the block map has only that
// of the whole.
func (f *feeder) sum(ctx context.Context, p Piece) error {
	f.extent, f.skip = int(p.Extent), p.Skip
	crc := crc32.NewIEEE()
	f.read.w.Writer = crc
	defer func() { f.read.w.Writer = gather{f} }()
	if err := f.pass(ctx, p.Length); err != nil {
		return err
	}
	return send(ctx, f.queue, item{piece: p, crc: crc.Sum32()})
}

// encode reads one piece and has it compressed, chunk by chunk. The first chunk
// has no window: what stands before it is not at hand uncompressed.
func (f *feeder) encode(ctx context.Context, p Piece) error {
	f.extent, f.skip = int(p.Extent), p.Skip
	f.buf = nil
	for left := p.Length; left > 0; {
		n := min(left, chunkSize)
		left -= n
		window := f.buf[max(0, len(f.buf)-windowSize):]
		f.buf = append(make([]byte, 0, len(window)+int(n)), window...)
		f.window = len(window)
		if err := f.pass(ctx, n); err != nil {
			return err
		}
		if err := f.compress(ctx); err != nil {
			return err
		}
	}
	return nil
}

// pass reads the next n bytes of the output: into the current chunk, unless the
// reader was given another writer.
func (f *feeder) pass(ctx context.Context, n int64) error {
	for n > 0 {
		length := f.read.plan.Extents[f.extent].Length
		part := min(n, length-f.skip)
		if err := f.read.extent(ctx, f.extent, f.skip, part); err != nil {
			return err
		}
		n -= part
		if f.skip += part; f.skip == length {
			f.extent, f.skip = f.extent+1, 0
		}
	}
	return nil
}

// compress hands the current chunk to a goroutine.
func (f *feeder) compress(ctx context.Context) error {
	window, data := f.buf[:f.window], f.buf[f.window:]
	if f.opts.TarHash != nil {
		f.opts.TarHash.Write(data)
	}
	result := make(chan chunk, 1)
	if err := send(ctx, f.queue, item{chunk: result}); err != nil {
		return err
	}
	f.group.Go(func() error {
		result <- f.enc.encode(window, data)
		return nil
	})
	return nil
}
