// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"slices"
	"sort"
	"strings"

	"github.com/seed-81b0d42e/flatten/pkg/toc"
	"github.com/seed-81b0d42e/flatten/pkg/whiteout"
)

// Root is the index of the root directory, which View.Paths does not have.
const Root = -1

// Tree is a view by folders.
type Tree struct {
	view *whiteout.View

	// child are the indices of all paths, those of a folder next to each other
	// and in the order of their names: those of the folder i are from
	// start[i+1] up to start[i+2].
	start, child []int32
}

// Of sorts a view into folders.
func Of(v *whiteout.View) *Tree {
	t := &Tree{view: v, start: make([]int32, len(v.Paths)+3), child: make([]int32, len(v.Paths))}
	for i := range v.Paths {
		t.start[v.Paths[i].Parent+3]++
	}
	for i := 1; i < len(t.start); i++ {
		t.start[i] += t.start[i-1]
	}
	for i := range v.Paths {
		next := &t.start[v.Paths[i].Parent+2]
		t.child[*next] = int32(i)
		*next++
	}
	for i := Root; i < len(v.Paths); i++ {
		slices.SortFunc(t.Children(int32(i)), func(a, b int32) int {
			return strings.Compare(t.Base(a), t.Base(b))
		})
	}
	return t
}

// View is what the tree was made of.
func (t *Tree) View() *whiteout.View { return t.view }

// Children are the indices of what is in a folder, sorted by the bytes of their
// names. It is empty for what is not a folder.
func (t *Tree) Children(dir int32) []int32 {
	return t.child[t.start[dir+1]:t.start[dir+2]]
}

// Base is the last component of a path, "/" for the root.
func (t *Tree) Base(i int32) string {
	if i == Root {
		return "/"
	}
	name := t.view.Paths[i].Name
	return name[strings.LastIndexByte(name, '/')+1:]
}

// Dir reports whether an index is that of a directory.
func (t *Tree) Dir(i int32) bool { return i == Root || t.view.Paths[i].Dir }

// lookup finds a name in a folder.
func (t *Tree) lookup(dir int32, name string) (int32, bool) {
	list := t.Children(dir)
	n, ok := sort.Find(len(list), func(n int) int { return strings.Compare(name, t.Base(list[n])) })
	if !ok {
		return 0, false
	}
	return list[n], true
}

// link is the target of a symbolic link.
func (t *Tree) link(i int32) (target string, ok bool) {
	if t.Dir(i) {
		return "", false
	}
	e := t.view.Entry(t.view.Content(&t.view.Paths[i]))
	return e.Link(), e.Type == toc.TypeSymlink
}
