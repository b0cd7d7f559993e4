// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package tally

import (
	"cmp"
	"slices"
	"sort"
	"strings"

	"github.com/seed-81b0d42e/flatten/pkg/plan"
	"github.com/seed-81b0d42e/flatten/pkg/splice"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
	"github.com/seed-81b0d42e/flatten/pkg/whiteout"
)

// Tally is what becomes of the bytes. All numbers but those of files are bytes.
type Tally struct {
	// Copied and Encoded are the output's; together they are its tar stream. New
	// is a part of Encoded.
	Copied, Encoded, New int64

	// Dropped and Wasted are the layers' together. Wasted is a part of Dropped.
	Dropped, Wasted int64

	// WastedStored is about how many bytes of blobs hold the wasted ones.
	WastedStored int64

	// Output is about how many bytes the gzip output has: see Output.
	Output int64

	// Layers are the layers, lowest first.
	Layers []Layer

	// Waste are the paths that are hidden, those with the most bytes first.
	Waste []Waste

	// Extents are how many bytes of each of the plan's extents are copied.
	Extents []int64
}

// Layer is what becomes of one layer's bytes.
type Layer struct {
	Copied, Encoded, Dropped int64

	// Wasted is what later layers hide of this one, Hides what this one hides
	// of earlier ones.
	Wasted, Hides int64
}

// Waste is a path that one layer brought and a later one hides.
type Waste struct {
	// Path is what was hidden as a whole, without a trailing slash.
	Path string

	// Dir reports whether that was a directory.
	Dir bool

	// Layer brought it, By hides it: indices, lowest first from 0. Replaced:
	// By has something else in its place; otherwise it just removes it.
	Layer, By int32
	Replaced  bool

	// Files is the number of paths of Layer that are hidden with it, itself
	// among them, directories not counted.
	Files int

	// Size is the number of bytes, Stored about how many the blob has for them.
	Size, Stored int64
}

// Of adds up a plan, the pieces that it is cut into, and the paths of the plan's
// view that are hidden: see [whiteout.Hidden].
func Of(p *plan.Plan, pieces []splice.Piece, hidden []whiteout.HiddenPath) *Tally {
	t := &Tally{Layers: make([]Layer, len(p.View.Layers)), Extents: make([]int64, len(p.Extents))}
	for i := range pieces {
		piece := &pieces[i]
		if piece.Encoded() {
			t.Encoded += piece.Length
			continue
		}
		t.Copied += piece.Length
		t.Layers[piece.Layer].Copied += piece.Length
		t.Extents[piece.Extent] += piece.Length
	}
	for i, e := range p.Extents {
		if e.Kind == plan.Copy {
			t.Layers[e.Layer].Encoded += e.Length - t.Extents[i]
		} else {
			t.New += e.Length
		}
	}
	t.Output = Output(p)
	for i, l := range p.View.Layers {
		sum := &t.Layers[i]
		sum.Dropped = l.Size - sum.Copied - sum.Encoded
		t.Dropped += sum.Dropped
	}
	t.waste(p.View, hidden)
	return t
}

// newRatio is about how much smaller headers and zeros become.
const newRatio = 8

// Output is about how many bytes the gzip output of a plan has, whatever of it is
// copied: what is stored for its bytes in the layers.
func Output(p *plan.Plan) int64 {
	var bytes, fresh int64
	for _, e := range p.Extents {
		if e.Kind == plan.Copy {
			bytes += stored(p.View.Layers[e.Layer], e.Offset, e.Offset+e.Length)
		} else {
			fresh += e.Length
		}
	}
	return bytes + fresh/newRatio
}

// group is what is counted together: what was hidden as a whole, by layer.
type group struct {
	path      string
	layer, by int32
}

// waste adds up hidden paths.
func (t *Tally) waste(v *whiteout.View, hidden []whiteout.HiddenPath) {
	last := map[whiteout.Position]int{} // the last name of a file to be hidden
	for i := range hidden {
		if h := &hidden[i]; !h.Alive && h.At != whiteout.Implied {
			last[h.File] = i
		}
	}
	index := map[group]int{}
	for i := range hidden {
		h := &hidden[i]
		if h.At == whiteout.Implied {
			continue
		}
		add := func(at whiteout.Position, files int) {
			g := group{h.Top, at.Layer, h.By.Layer}
			n, ok := index[g]
			if !ok {
				n = len(t.Waste)
				index[g] = n
				t.Waste = append(t.Waste, Waste{Path: h.Top, Layer: at.Layer, By: h.By.Layer, Replaced: h.Replaced})
			}
			w, e := &t.Waste[n], v.Entry(at)
			w.Dir = w.Dir || h.Dir || h.Name != h.Top
			w.Files += files
			l := v.Layers[at.Layer]
			end := min(e.End(), l.Size)
			w.Size += end - e.Start
			w.Stored += stored(l, e.Start, end)
		}
		files := 1
		if h.Dir {
			files = 0
		}
		if n, ok := last[h.File]; ok && n == i {
			add(h.File, files)
			files = 0
		}
		if h.At != h.File {
			add(h.At, files)
		}
	}
	t.sum()
}

// sum adds up the waste and sorts it.
func (t *Tally) sum() {
	for _, w := range t.Waste {
		t.Wasted += w.Size
		t.WastedStored += w.Stored
		t.Layers[w.Layer].Wasted += w.Size
		t.Layers[w.By].Hides += w.Size
	}
	slices.SortFunc(t.Waste, compareWaste)
}

// compareWaste puts what has most bytes first.
func compareWaste(a, b Waste) int {
	return cmp.Or(cmp.Compare(b.Size, a.Size), strings.Compare(a.Path, b.Path),
		cmp.Compare(a.Layer, b.Layer), cmp.Compare(a.By, b.By))
}

// stored is about how many bytes of a layer's blob hold a range of its tar stream.
func stored(l *toc.Layer, from, to int64) int64 {
	if l.Size == 0 {
		return 0
	}
	if l.Blocks == nil {
		return share(l.BlobSize, to-from, l.Size)
	}
	bits := int64(0)
	n := sort.Search(len(l.Blocks), func(n int) bool { return l.Blocks[n].Offset+l.Blocks[n].Length > from })
	for ; n < len(l.Blocks) && l.Blocks[n].Offset < to; n++ {
		if b := &l.Blocks[n]; b.Length > 0 {
			bits += share(b.End-b.Start, min(to, b.Offset+b.Length)-max(from, b.Offset), b.Length)
		}
	}
	return bits / 8
}

// share is whole*part/of, for a part of something.
func share(whole, part, of int64) int64 {
	return int64(float64(whole) * (float64(part) / float64(of)))
}
