// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package splice

import (
	"fmt"
	"sort"

	"github.com/seed-81b0d42e/flatten/pkg/inflate"
	"github.com/seed-81b0d42e/flatten/pkg/plan"
)

// minRun is how many uncompressed bytes a run of blocks must hold to be copied:
// a shorter one is cheaper to encode with what is around it than to align to.
const minRun = 8 << 10

// Piece is a run of output bytes that is either copied as compressed blocks or
// encoded.
type Piece struct {
	// Offset and Length are the run in the output's tar stream, in bytes.
	Offset, Length int64

	// Layer is where blocks First up to, not including, Last are copied from;
	// -1 when the run is encoded.
	Layer       int32
	First, Last int32

	// Extent is the index in the plan of the extent that the run begins in, and
	// Skip how many of its bytes come before.
	Extent int32
	Skip   int64
}

// Encoded reports whether the piece is encoded, not copied.
func (p *Piece) Encoded() bool { return p.Layer < 0 }

// String is the piece on one line.
func (p Piece) String() string {
	if p.Encoded() {
		return fmt.Sprintf("encode %d..%d", p.Offset, p.Offset+p.Length)
	}
	return fmt.Sprintf("copy %d..%d: layer %d blocks %d..%d", p.Offset, p.Offset+p.Length, p.Layer+1, p.First, p.Last)
}

// Cut divides a plan into pieces: a pure function of the plan and the layers'
// block maps, by layer. Without block maps there is one piece, encoded.
//
// A block is copied when all of its bytes are in one extent and its matches
// reach no further back than to the beginning of that extent: then the bytes
// that they refer to stand at the same distance in the output.
func Cut(p *plan.Plan, blocks [][]inflate.Block) []Piece {
	c := cutter{}
	for i, e := range p.Extents {
		if e.Kind == plan.Copy && len(blocks) > 0 {
			c.extent(i, e, blocks[e.Layer])
		}
		c.encode(i, e.Length-c.done)
		c.done = 0
	}
	return c.pieces
}

// cutter makes pieces, extent by extent.
type cutter struct {
	pieces []Piece
	offset int64 // in the output
	done   int64 // bytes of the current extent that are in pieces
}

// encode appends n bytes of an extent that are to be encoded.
func (c *cutter) encode(extent int, n int64) {
	if n == 0 {
		return
	}
	if last := len(c.pieces) - 1; last >= 0 && c.pieces[last].Encoded() {
		c.pieces[last].Length += n
	} else {
		c.pieces = append(c.pieces, Piece{
			Offset: c.offset, Length: n, Layer: -1, Extent: int32(extent), Skip: c.done,
		})
	}
	c.offset += n
	c.done += n
}

// extent appends the runs of blocks that can be copied, and what lies between.
func (c *cutter) extent(i int, e plan.Extent, blocks []inflate.Block) {
	end := e.Offset + e.Length
	first := sort.Search(len(blocks), func(n int) bool { return blocks[n].Offset >= e.Offset })
	for first < len(blocks) {
		for first < len(blocks) && !whole(&blocks[first], e.Offset, end) {
			if blocks[first].Offset >= end {
				return
			}
			first++
		}
		last := first
		for last < len(blocks) && whole(&blocks[last], e.Offset, end) {
			last++
		}
		if first == last {
			return
		}
		from := blocks[first].Offset
		to := blocks[last-1].Offset + blocks[last-1].Length
		if to-from >= minRun {
			c.encode(i, from-e.Offset-c.done)
			c.pieces = append(c.pieces, Piece{
				Offset: c.offset, Length: to - from, Layer: e.Layer,
				First: int32(first), Last: int32(last), Extent: int32(i), Skip: c.done,
			})
			c.offset += to - from
			c.done += to - from
		}
		first = last
	}
}

// whole reports whether a block and all that it refers to are in [from, to).
func whole(b *inflate.Block, from, to int64) bool {
	return b.Offset-int64(b.Reach) >= from && b.Offset+b.Length <= to && b.Offset < to
}
