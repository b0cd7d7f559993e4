// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package whiteout

import (
	"fmt"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// view lists what is left in the union.
func (m *merger) view() *View {
	v := &View{Layers: m.layers, Inodes: m.inodes, Warnings: m.warnings}
	if m.more > 0 {
		v.Warnings = append(v.Warnings, image.Warning{
			Layer: -1, Text: fmt.Sprintf("%d more warnings", m.more),
		})
	}
	if m.rootAt != Implied {
		v.Root = &Path{At: m.rootAt, First: m.rootAt, Parent: none, Inode: none, Dir: true}
	}
	s := surfacer{merger: m, view: v}
	v.Paths = make([]Path, 0, s.count(root))
	s.list(root, none, 0)
	return v
}

// surfacer walks the union from the root down.
type surfacer struct {
	*merger
	view *View
	path []byte // of what is being listed
}

func (s *surfacer) count(dir int32) int {
	n := 0
	for id := range s.union.children(dir) {
		n++
		if s.union.nodes[id].is(isDir) {
			n += s.count(id)
		}
	}
	return n
}

// list appends what is below a directory. parent is the directory's index, the
// first length bytes of s.path its own path with a slash behind.
func (s *surfacer) list(dir, parent int32, length int) {
	for id := range s.union.children(dir) {
		n := &s.union.nodes[id]
		s.path = append(s.path[:length], n.name...)
		p := Path{
			Name: s.name(n), At: n.at, First: n.first,
			Parent: parent, Inode: n.inode, Dir: n.is(isDir),
		}
		if n.inode != none {
			s.view.Inodes[n.inode].Names++
		}
		if p.At == Implied {
			p.GID = n.gid
		}
		s.view.Paths = append(s.view.Paths, p)
		if p.Dir {
			s.path = append(s.path, '/')
			s.list(id, int32(len(s.view.Paths)-1), len(s.path))
		}
	}
}

// name is s.path as a string: a piece of the entry's own name where that is
// the same, so that a clean layer costs nothing.
func (s *surfacer) name(n *node) string {
	at := n.at
	if at == Implied {
		at = n.first
	}
	c := clean(s.entry(at).Name).path
	if len(c) >= len(s.path) && c[:len(s.path)] == string(s.path) {
		return c[:len(s.path)]
	}
	return string(s.path)
}
