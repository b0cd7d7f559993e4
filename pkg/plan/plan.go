// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"time"

	"github.com/seed-81b0d42e/flatten/pkg/toc"
	"github.com/seed-81b0d42e/flatten/pkg/whiteout"
)

// Options say what the output is to look like.
type Options struct {
	// Canonical sorts entries and writes every header anew, so that the same
	// filesystem gives the same bytes.
	Canonical bool

	// Epoch, when not nil, is the latest modification time in a canonical
	// output, and that of directories that no layer has an entry for.
	Epoch *time.Time

	// RootEntry writes an entry "./" with the topmost layer's metadata for the
	// root, if any layer has one.
	RootEntry bool
}

// Kind is what an extent is made of.
type Kind uint8

const (
	Copy   Kind = iota // bytes of a layer's tar stream
	Header             // a header written anew
	Zero               // zero bytes
)

func (k Kind) String() string { return [...]string{"copy", "header", "zeros"}[k] }

// Extent is a run of Length output bytes.
type Extent struct {
	Kind Kind

	// Layer is the index of the layer of a Copy.
	Layer int32

	// Offset is where a Copy begins in its layer's tar stream, in bytes. For a
	// Header it is the index in View.Paths of the entry, -1 for the root.
	Offset int64

	// Length is the number of bytes, greater than 0.
	Length int64
}

// Plan is the output, piece by piece.
type Plan struct {
	// View is what the plan was made of.
	View *whiteout.View

	// Extents are the pieces in the order of the output. Copies that touch in
	// the layer are one. The two zero blocks that end a tar are the last.
	Extents []Extent

	// Size is the length of the output in bytes, Entries the number of entries.
	Size    int64
	Entries int

	opts    Options
	primary []int32 // by inode: the index of its primary name
	scratch []byte
}

// Of plans the output for a view.
func Of(v *whiteout.View, opts Options) *Plan {
	p := &Plan{View: v, opts: opts, primary: make([]int32, len(v.Inodes))}
	p.choosePrimaries()
	if opts.RootEntry && v.Root != nil {
		p.header(-1)
		p.Entries++
	}
	if opts.Canonical {
		p.canonical()
	} else {
		p.layered()
	}
	p.zero(2 * 512)
	p.scratch = nil
	return p
}

// add appends an extent, or lengthens the last one when they touch.
func (p *Plan) add(e Extent) {
	if e.Length == 0 {
		return
	}
	p.Size += e.Length
	if n := len(p.Extents); n > 0 {
		last := &p.Extents[n-1]
		if e.Kind == Copy && last.Kind == Copy && last.Layer == e.Layer && last.Offset+last.Length == e.Offset ||
			e.Kind == Zero && last.Kind == Zero {
			last.Length += e.Length
			return
		}
	}
	p.Extents = append(p.Extents, e)
}

func (p *Plan) copy(layer int32, offset, length int64) {
	p.add(Extent{Kind: Copy, Layer: layer, Offset: offset, Length: length})
}

func (p *Plan) zero(length int64) { p.add(Extent{Kind: Zero, Length: length}) }

// header plans a new header for a path and returns the path's attributes.
func (p *Plan) header(path int32) {
	p.scratch = p.Header(p.scratch[:0], int(path))
	p.add(Extent{Kind: Header, Offset: int64(path), Length: int64(len(p.scratch))})
}

// body plans the content of a regular file and its padding.
func (p *Plan) body(at whiteout.Position) {
	e := p.View.Entry(at)
	if e.Type != toc.TypeReg {
		return
	}
	if !isSparse(e) && !p.opts.Canonical && e.Flags&toc.Unpadded == 0 {
		p.copy(at.Layer, e.Body(), e.End()-e.Body()) // with the padding that it has
		return
	}
	p.content(at.Layer, e)
	p.zero(toc.Pad(e.Size) - e.Size)
}

func isSparse(e *toc.Entry) bool { return e.Extra != nil && e.Extra.IsSparse }

// content plans the content of a regular file as it reads: its stored bytes, and
// its holes as zeros (rules 123, 124).
func (p *Plan) content(layer int32, e *toc.Entry) {
	if !isSparse(e) {
		p.copy(layer, e.Body(), e.Size)
		return
	}
	from, at := e.Body()+e.Extra.SparseHeader, int64(0)
	for _, f := range e.Extra.Sparse {
		p.zero(f.Offset - at)
		p.copy(layer, from, f.Length)
		from += f.Length
		at = f.Offset + f.Length
	}
	p.zero(e.Size - at)
}

// Content plans the content of the regular file that an entry holds, without
// header and padding. That of an entry of any other type is empty.
func Content(v *whiteout.View, at whiteout.Position) *Plan {
	p := &Plan{View: v}
	if e := v.Entry(at); e.Type == toc.TypeReg {
		p.content(at.Layer, e)
	}
	return p
}
