// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package whiteout

import (
	"strings"

	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// HiddenPath is a path that one layer brought and a later one took away.
type HiddenPath struct {
	// Name is the path, as in [Path].
	Name string

	// At is the entry that brought it, Implied for a directory without one.
	At Position

	// By is the entry that took it away: a whiteout, or with Replaced what
	// stands in its place.
	By       Position
	Replaced bool

	// Top is the path that By took away as a whole: Name, or a directory above.
	Top string

	// File is the entry that holds the content of a file with several names;
	// At for any other path. Alive says that another name of it survives.
	File  Position
	Alive bool

	// Dir reports whether the path was a directory.
	Dir bool
}

// Hidden merges layers as Merge does and lists what later ones take away from
// earlier ones: lowest taker first, a directory before what was in it. What a
// layer takes away from itself is not among it, nor is the metadata of a directory
// that several layers have an entry for.
func Hidden(layers []*toc.Layer, opts Options) ([]HiddenPath, error) {
	m := newMerger(layers, opts)
	m.recording = true
	if err := m.applyAll(); err != nil {
		return nil, err
	}
	m.view() // counts the names that survive
	var list []HiddenPath
	for _, t := range m.taken {
		list = m.listTaken(list, t, "")
	}
	return list, nil
}

// taken is a node of the union that a layer took away, with all that was below.
type taken struct {
	node     int32
	by       Position
	replaced bool
}

// take removes a node from the union, for a whiteout.
func (r *replay) take(id int32, by Position) { r.takeFor(taken{id, by, false}) }

// takeFor removes a node from the union.
func (r *replay) takeFor(t taken) {
	r.union.remove(t.node)
	if r.recording {
		r.taken = append(r.taken, t)
	}
}

// takeChildren removes all below a node from the union.
func (r *replay) takeChildren(id int32, by Position) {
	for c := range r.union.children(id) {
		r.take(c, by)
	}
	r.union.nodes[id].child = none
}

// firm is the entry that a directory stands for, one that implies it if it has
// none of its own.
func firm(n *node) Position {
	if n.at == Implied {
		return n.first
	}
	return n.at
}

// listTaken appends a node and what was below it when it was taken away: nodes
// that went before are dead on their own account. top is empty for the node that
// was taken itself.
func (m *merger) listTaken(list []HiddenPath, t taken, top string) []HiddenPath {
	n := &m.union.nodes[t.node]
	h := HiddenPath{
		Name: strings.Join(m.union.path(nil, t.node), "/"),
		At:   n.at, By: t.by, Replaced: t.replaced, Top: top, File: n.at, Dir: n.is(isDir),
	}
	if top == "" {
		h.Top = h.Name
	}
	if n.inode != none && !h.Dir {
		f := &m.inodes[n.inode]
		h.File, h.Alive = f.Body, f.Names > 0
	}
	list = append(list, h)
	for t.node = range m.union.children(t.node) {
		list = m.listTaken(list, t, h.Top)
	}
	return list
}
