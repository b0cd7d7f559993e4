// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package whiteout

import (
	"fmt"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// Options vary the merge. The zero value is what a container would see.
type Options struct {
	// FollowLower resolves an entry's parents through symbolic links of lower
	// layers too (rule 45), as unpacking all layers into one folder would.
	FollowLower bool

	// Limits are those of paths, and of directories that no entry stands for.
	Limits image.Limits
}

const (
	// maxWarnings bounds how many warnings are kept; the last one then tells
	// how many more there were.
	maxWarnings = 1000

	// impliedBytes is what an implied directory counts for [image.Limits], which
	// 2 for each entry do not.
	impliedBytes = 256
)

// Error is a layer that breaks a rule.
type Error struct {
	// Layer is the layer's index, lowest first from 0.
	Layer int

	// Entry is the entry's name as stored, Offset where its headers begin in
	// the layer's tar stream, in bytes.
	Entry  string
	Offset int64

	// Rule is the number of the rule in docs/semantics.md, 0 for a limit that is
	// in none.
	Rule int

	Err error
}

func (e *Error) Error() string {
	s := fmt.Sprintf("layer %d: entry %s at offset %d: %v", e.Layer+1, image.Quote(e.Entry), e.Offset, e.Err)
	if e.Rule != 0 {
		s += fmt.Sprintf(" (rule %d)", e.Rule)
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Merge applies layers, lowest first, and returns the filesystem that they add
// up to. It reads nothing but its arguments, and the same layers always give
// the same view. An error is an [*Error] and [image.ErrCorrupt].
func Merge(layers []*toc.Layer, opts Options) (*View, error) {
	m := newMerger(layers, opts)
	if err := m.applyAll(); err != nil {
		return nil, err
	}
	return m.view(), nil
}

// merger holds what is carried from one layer to the next.
type merger struct {
	layers    []*toc.Layer
	opts      Options
	union     *tree
	inodes    []Inode
	rootAt    Position
	implied   int64 // directories ever made that no entry stood for
	entries   int64 // of the layers applied, the present one included
	linkSteps int64 // components walked behind symbolic links

	warnings []image.Warning
	more     int // warnings not kept

	recording bool
	taken     []taken
}

func newMerger(layers []*toc.Layer, opts Options) *merger {
	opts.Limits = opts.Limits.WithDefaults()
	return &merger{layers: layers, opts: opts, union: newTree(0), rootAt: Implied}
}

func (m *merger) applyAll() error {
	for i := range m.layers {
		if err := m.apply(i); err != nil {
			return err
		}
	}
	return nil
}

func (m *merger) apply(layer int) error {
	m.entries += int64(len(m.layers[layer].Entries))
	r := &replay{
		merger: m,
		tree:   newTree(len(m.layers[layer].Entries)),
		layer:  int32(layer),
		white:  map[place]int32{},
	}
	if err := r.run(); err != nil {
		return err
	}
	r.dropIdleParents()
	r.prune()
	r.belowOK = false
	if err := r.resolvePending(); err != nil {
		return err
	}
	r.unite()
	return nil
}

func (m *merger) warn(rule int, at Position, format string, args ...any) {
	if len(m.warnings) >= maxWarnings {
		m.more++
		return
	}
	w := image.Warning{Rule: rule, Layer: int(at.Layer), Text: fmt.Sprintf(format, args...)}
	if at.Entry >= 0 {
		w.Entry = m.entry(at).Name
	}
	m.warnings = append(m.warnings, w)
}

func (m *merger) entry(p Position) *toc.Entry { return &m.layers[p.Layer].Entries[p.Entry] }

// shared returns the inode of a file node, making it one that can have several
// names. Type and content stay those of the node's entry.
func (m *merger) shared(t *tree, id int32) int32 {
	n := &t.nodes[id]
	if n.inode == none {
		n.inode = int32(len(m.inodes))
		m.inodes = append(m.inodes, Inode{Body: n.at, Meta: n.at})
	}
	return n.inode
}
