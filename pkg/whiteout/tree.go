// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package whiteout

import (
	"hash/maphash"
	"iter"
)

// tree is a directory tree whose nodes are numbers: one layer's own, or the
// union of all layers so far. A node is found by its parent and name.
//
// Invariant: nodes[root] is the root directory; a live node's parent is live.
type tree struct {
	nodes []node
	table []int32 // open addressing, a power of two long; 0 is empty, since the root is never looked up
	seed  maphash.Seed
}

const (
	root = 0
	none = -1
)

type node struct {
	name   string // last component of the path
	parent int32
	child  int32 // last added child, none without one; dead ones are still in the list
	next   int32 // child of the same parent added before
	inode  int32 // index in merger.inodes once the file had a second name, otherwise none
	at     Position
	first  Position
	depth  int32  // bytes of the whole path
	gid    uint32 // of an implied directory
	flags  flags
}

type flags uint8

const (
	dead    flags = 1 << iota // replaced or removed; what is below it is out of reach
	isDir                     // a directory
	weak                      // an implied directory that only whiteouts speak of
	marked                    // weak because of a plain whiteout, not only of an opaque one
	opaque                    // this layer hides what lower layers have below it
	hidden                    // aufs metadata: there for links to resolve, never shown
	pending                   // a hard link whose target is not known yet
)

func (n *node) is(f flags) bool { return n.flags&f != 0 }

// newTree returns a tree with nothing but a root, and room for about n nodes
// more.
func newTree(n int) *tree {
	size := 64
	for size < 2*n {
		size *= 2
	}
	nodes := make([]node, 1, n+n/16+16)
	nodes[root] = node{parent: none, child: none, next: none, inode: none, at: Implied, flags: isDir}
	return &tree{nodes: nodes, table: make([]int32, size), seed: maphash.MakeSeed()}
}

func (t *tree) hash(parent int32, name string) uint64 {
	return maphash.String(t.seed, name) ^ (uint64(parent) * 0x9E3779B97F4A7C15)
}

// lookup finds the live child of parent with that name, or none.
func (t *tree) lookup(parent int32, name string) int32 {
	mask := uint64(len(t.table) - 1)
	for i := t.hash(parent, name) & mask; t.table[i] != 0; i = (i + 1) & mask {
		n := &t.nodes[t.table[i]]
		if n.parent == parent && !n.is(dead) && n.name == name {
			return t.table[i]
		}
	}
	return none
}

// add puts a new node below parent and returns its number. There must be no
// live one of that name.
func (t *tree) add(parent int32, n node) int32 {
	if 2*len(t.nodes) >= len(t.table) {
		t.grow()
	}
	id := int32(len(t.nodes))
	p := &t.nodes[parent]
	n.parent, n.child, n.next = parent, none, p.child
	n.depth = int32(len(n.name))
	if parent != root {
		n.depth += p.depth + 1
	}
	p.child = id
	t.nodes = append(t.nodes, n)
	t.place(id)
	return id
}

func (t *tree) place(id int32) {
	n := &t.nodes[id]
	mask := uint64(len(t.table) - 1)
	i := t.hash(n.parent, n.name) & mask
	for t.table[i] != 0 {
		i = (i + 1) & mask
	}
	t.table[i] = id
}

func (t *tree) grow() {
	t.table = make([]int32, 2*len(t.table))
	for id := 1; id < len(t.nodes); id++ {
		if !t.nodes[id].is(dead) {
			t.place(int32(id))
		}
	}
}

// remove takes a node and all below it out of the tree.
func (t *tree) remove(id int32) { t.nodes[id].flags |= dead }

// children yields the live children of a node, last added first.
func (t *tree) children(id int32) iter.Seq[int32] {
	return func(yield func(int32) bool) {
		for c := t.nodes[id].child; c != none; c = t.nodes[c].next {
			if !t.nodes[c].is(dead) && !yield(c) {
				return
			}
		}
	}
}

// path appends the components of a node's path to parts, topmost first.
func (t *tree) path(parts []string, id int32) []string {
	from := len(parts)
	for ; id != root; id = t.nodes[id].parent {
		parts = append(parts, t.nodes[id].name)
	}
	for i, j := from, len(parts)-1; i < j; i, j = i+1, j-1 {
		parts[i], parts[j] = parts[j], parts[i]
	}
	return parts
}

// walk follows a path through directories only, without following links, and
// returns the node there, or none.
func (t *tree) walk(parts []string) int32 {
	id := int32(root)
	for _, name := range parts {
		if !t.nodes[id].is(isDir) {
			return none
		}
		if id = t.lookup(id, name); id == none {
			return none
		}
	}
	return id
}
