// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package splice

import (
	"fmt"
	"sort"

	"github.com/seed-81b0d42e/flatten/pkg/inflate"
	"github.com/seed-81b0d42e/flatten/pkg/plan"
)

// minRun is how many uncompressed bytes blocks, or a part of one, must hold to
// be copied: fewer are cheaper to encode with what is around them.
const minRun = 4 << 10

// maxWords bounds the code words of a block that is split, since they are held in
// memory. Encoders end a block long before.
const maxWords = 1 << 20

// Piece is a run of output bytes that is either copied as compressed blocks, or
// as a part of one, or encoded.
type Piece struct {
	// Offset and Length are the run in the output's tar stream, in bytes.
	Offset, Length int64

	// Layer is where blocks First up to, not including, Last are copied from;
	// -1 when the run is encoded.
	Layer       int32
	First, Last int32

	// Part is what is copied of block First when it is not copied whole.
	Part *Part

	// Extent is the index in the plan of the extent that the run begins in, and
	// Skip how many of its bytes come before.
	Extent int32
	Skip   int64
}

// Part is some of the code words of a block, those for the bytes from From up
// to To of the layer's tar stream; of a stored block some of the bytes.
type Part struct {
	From, To int64

	// Header is the first bit after the block's header, and Begin and Finish
	// are where the code words begin and end, in bits of the blob. End is the
	// code word of the end of the block, EndBits bits of it, for the parts that
	// do not reach the end; otherwise EndBits is 0 and Finish is the block's end.
	// Not used for a stored block.
	Header, Begin, Finish int64
	End                   uint64
	EndBits               uint
}

// Encoded reports whether the piece is encoded, not copied.
func (p *Piece) Encoded() bool { return p.Layer < 0 }

// String is the piece on one line.
func (p Piece) String() string {
	switch {
	case p.Encoded():
		return fmt.Sprintf("encode %d..%d", p.Offset, p.Offset+p.Length)
	case p.Part != nil:
		return fmt.Sprintf("copy %d..%d: layer %d part of block %d", p.Offset, p.Offset+p.Length, p.Layer+1, p.First)
	}
	return fmt.Sprintf("copy %d..%d: layer %d blocks %d..%d", p.Offset, p.Offset+p.Length, p.Layer+1, p.First, p.Last)
}

// Splitter finds the largest part of a layer's block that stands for bytes in
// [from, to) and refers to none before from. It may find none.
type Splitter interface {
	Split(layer int32, block int32, from, to int64) (*Part, error)
}

// Cut divides a plan into pieces: a function of the plan, the layers' block
// maps, by layer, and the blocks that split splits. Without block maps there is
// one piece, encoded.
//
// A block is copied when all of its bytes are in one extent and its matches
// reach no further back than to the beginning of that extent: then the bytes
// that they refer to stand at the same distance in the output. Of other blocks
// that part is copied of which that is true.
func Cut(p *plan.Plan, blocks [][]inflate.Block, split Splitter) ([]Piece, error) {
	var pieces []Piece
	err := cut(p, blocks, split, func(p Piece) error {
		pieces = append(pieces, p)
		return nil
	})
	return pieces, err
}

// cut hands out the pieces of Cut one by one, until yield returns an error.
func cut(p *plan.Plan, blocks [][]inflate.Block, split Splitter, yield func(Piece) error) error {
	c := cutter{split: split, yield: yield}
	for i, e := range p.Extents {
		if e.Kind == plan.Copy && len(blocks) > 0 && e.Length >= minRun {
			if err := c.extent(i, e, blocks[e.Layer]); err != nil {
				return err
			}
		}
		c.encode(i, e.Length-c.done)
		c.done = 0
	}
	return c.flush()
}

// cutter makes pieces, extent by extent.
type cutter struct {
	split   Splitter
	yield   func(Piece) error
	pending Piece // the run to encode that is being gathered; Length 0 for none
	offset  int64 // in the output
	done    int64 // bytes of the current extent that are in pieces
}

// encode adds n bytes of an extent that are to be encoded.
func (c *cutter) encode(extent int, n int64) {
	if n == 0 {
		return
	}
	if c.pending.Length == 0 {
		c.pending = Piece{Offset: c.offset, Layer: -1, Extent: int32(extent), Skip: c.done}
	}
	c.pending.Length += n
	c.offset += n
	c.done += n
}

// flush hands out what is gathered.
func (c *cutter) flush() error {
	if c.pending.Length == 0 {
		return nil
	}
	p := c.pending
	c.pending = Piece{}
	return c.yield(p)
}

// copy hands out a piece that is copied, what lies between it and the last one
// encoded. from is where it begins in the extent.
func (c *cutter) copy(extent int, from int64, p Piece) error {
	c.encode(extent, from-c.done)
	if err := c.flush(); err != nil {
		return err
	}
	p.Offset, p.Extent, p.Skip = c.offset, int32(extent), c.done
	c.offset += p.Length
	c.done += p.Length
	return c.yield(p)
}

// extent hands out the runs and parts of blocks that can be copied, and what lies
// between.
func (c *cutter) extent(i int, e plan.Extent, blocks []inflate.Block) error {
	end := e.Offset + e.Length
	n := sort.Search(len(blocks), func(n int) bool { return blocks[n].Offset+blocks[n].Length > e.Offset })
	for n < len(blocks) && blocks[n].Offset < end {
		last := n
		for last < len(blocks) && whole(&blocks[last], e.Offset, end) {
			last++
		}
		if last > n {
			from, to := blocks[n].Offset, blocks[last-1].Offset+blocks[last-1].Length
			if to-from >= minRun {
				err := c.copy(i, from-e.Offset, Piece{Length: to - from, Layer: e.Layer, First: int32(n), Last: int32(last)})
				if err != nil {
					return err
				}
			}
			n = last
			continue
		}
		if err := c.part(i, e, int32(n), &blocks[n]); err != nil {
			return err
		}
		n++
	}
	return nil
}

// part hands out the part of a block that can be copied, if there is a large one.
func (c *cutter) part(i int, e plan.Extent, n int32, b *inflate.Block) error {
	from, to := max(e.Offset, b.Offset), min(e.Offset+e.Length, b.Offset+b.Length)
	if to-from < minRun || c.split == nil || min(b.Length, b.End-b.Start) > maxWords {
		return nil
	}
	part, err := c.split.Split(e.Layer, n, e.Offset, to)
	if err != nil || part == nil || part.To-part.From < minRun {
		return err
	}
	return c.copy(i, part.From-e.Offset, Piece{
		Length: part.To - part.From, Layer: e.Layer, First: n, Last: n + 1, Part: part,
	})
}

// whole reports whether a block and all that it refers to are in [from, to).
func whole(b *inflate.Block, from, to int64) bool {
	return b.Offset-int64(b.Reach) >= from && b.Offset+b.Length <= to
}
