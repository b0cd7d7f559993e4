// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package splice

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/seed-81b0d42e/flatten/pkg/inflate"
	"github.com/seed-81b0d42e/flatten/pkg/plan"
)

// Options say how a plan is compressed. The zero value copies what can be
// copied.
type Options struct {
	// Level, from 1 to 9, encodes everything at that level; 0 copies blocks
	// and encodes the rest at DefaultLevel.
	Level int

	// Reencode encodes everything at the default level when Level is 0.
	Reencode bool

	// Jobs is how many chunks are compressed at once; 0 means one for each
	// processor. The bytes do not depend on it.
	Jobs int

	// TarHash, when not nil, is fed the tar stream. It is only when everything
	// is encoded; see [Pieces].
	TarHash hash.Hash

	// Progress, when not nil, is told how many bytes of the tar stream are
	// written.
	Progress func(int64)
}

func (o *Options) level() int {
	if o.Level == 0 {
		return DefaultLevel
	}
	return o.Level
}

// Encoder names what makes the compressed bytes and all that they depend on
// beside the plan and the blobs.
func (o *Options) Encoder() string {
	how := "splice"
	if o.Level != 0 || o.Reencode {
		how = "encode"
	}
	return fmt.Sprintf("%s/1 (%s, level %d, %d KiB chunks)", how, library, o.level(), chunkSize>>10)
}

// Pieces divides a plan as Gzip does with these options.
func Pieces(p *plan.Plan, layers []Layer, o Options) ([]Piece, error) {
	blocks, split := o.cutting(layers)
	return Cut(p, blocks, split)
}

// cutting is what a plan is cut by.
func (o *Options) cutting(layers []Layer) ([][]inflate.Block, Splitter) {
	if o.Level != 0 || o.Reencode {
		return nil, nil
	}
	blocks := make([][]inflate.Block, len(layers))
	for i := range layers {
		blocks[i] = layers[i].Blocks
	}
	return blocks, &splitter{layers: layers}
}

// Stats are what became of the bytes of a tar stream.
type Stats struct {
	// Copied and Encoded are uncompressed bytes; together they are the tar.
	Copied, Encoded int64
}

// gzipHeader begins the output: deflate, no flags, no time, unknown system
// (RFC 1952 section 2.3).
var gzipHeader = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff}

// Gzip writes the tar stream that a plan stands for as one gzip member. After
// an error what was written has no end that a reader would accept. w is written
// to by one goroutine at a time, and by none once Gzip has returned.
//
// Five kinds of goroutines work one behind the other: the cutter divides the
// plan into pieces, the feeder reads what is to be encoded, encoders compress
// it, the assembler puts all together bit by bit, and the last one writes.
func Gzip(ctx context.Context, w io.Writer, p *plan.Plan, layers []Layer, opts Options) (Stats, error) {
	if opts.Jobs <= 0 {
		opts.Jobs = runtime.GOMAXPROCS(0)
	}
	group, ctx := errgroup.WithContext(ctx)
	pieces := make(chan Piece, 64)
	group.Go(func() error {
		blocks, split := opts.cutting(layers)
		err := cut(p, blocks, split, func(p Piece) error { return send(ctx, pieces, p) })
		if err == nil {
			close(pieces)
		}
		return err
	})
	f := newFeeder(p, layers, opts)
	group.Go(func() error { return f.run(ctx, pieces) })
	out := newPipe()
	group.Go(func() error { return out.run(w) })
	a := assembler{out: newBitWriter(out), layers: layers, progress: opts.Progress}
	group.Go(func() error {
		defer out.close()
		return a.run(ctx, f.queue)
	})
	if err := group.Wait(); err != nil {
		return Stats{}, err
	}
	return a.stats, nil
}

// send sends v unless ctx ends before there is room for it.
func send[T any](ctx context.Context, to chan<- T, v T) error {
	select {
	case to <- v:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// receive waits for what send sends. It is false when all has been: a sender that
// fails does not close its channel, but ends ctx.
func receive[T any](ctx context.Context, from <-chan T) (v T, ok bool, err error) {
	select {
	case v, ok = <-from:
		return v, ok, nil
	case <-ctx.Done():
		return v, false, context.Cause(ctx)
	}
}

// assembler puts pieces together in the order of the output.
type assembler struct {
	out      *bitWriter
	copier   copier
	layers   []Layer
	progress func(int64)
	crc      uint32
	done     int64
	stats    Stats
}

// run writes the member that what comes through the queue makes.
func (a *assembler) run(ctx context.Context, queue <-chan item) error {
	a.copier.out = a.out
	a.out.bytes(gzipHeader)
	for {
		it, ok, err := receive(ctx, queue)
		if err != nil {
			return err
		}
		if !ok {
			return a.finish()
		}
		if it.chunk == nil {
			err = a.copy(&it.piece, it.crc)
		} else {
			err = a.encoded(<-it.chunk)
		}
		if err != nil {
			return err
		}
		if a.progress != nil {
			a.progress(a.done)
		}
	}
}

// copy writes a piece that is copied. crc is that of its bytes when it is a part
// of a block.
func (a *assembler) copy(p *Piece, crc uint32) error {
	l := &a.layers[p.Layer]
	blocks := l.Blocks[p.First:p.Last]
	var err error
	if p.Part != nil {
		err = a.copier.part(l.Blob, &blocks[0], p.Part)
		a.add(crc, p.Length)
	} else {
		err = a.copier.run(l.Blob, blocks)
		for i := range blocks {
			a.add(blocks[i].CRC, blocks[i].Length)
		}
	}
	if err != nil && a.out.err == nil {
		return &LayerError{int(p.Layer), err}
	}
	a.stats.Copied += p.Length
	return a.out.err
}

func (a *assembler) encoded(c chunk) error {
	a.out.align()
	a.out.bytes(c.deflate)
	a.add(c.crc, c.size)
	a.stats.Encoded += c.size
	return a.out.err
}

func (a *assembler) add(crc uint32, n int64) {
	a.crc = inflate.CombineCRC(a.crc, crc, n)
	a.done += n
}

// finish ends the stream with an empty final block of fixed codes, and the
// member with its trailer.
func (a *assembler) finish() error {
	a.out.bits(1|1<<1, 3) // BFINAL, BTYPE 01
	a.out.bits(0, 7)      // end of block
	a.out.pad()
	var trailer [8]byte
	binary.LittleEndian.PutUint32(trailer[:4], a.crc)
	binary.LittleEndian.PutUint32(trailer[4:], uint32(a.done))
	a.out.bytes(trailer[:])
	a.out.flush()
	return a.out.err
}
