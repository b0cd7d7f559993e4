// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package whiteout

import (
	"iter"
	"strings"

	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// replayMarker notes a whiteout or an opaque whiteout. Only its name counts: by
// its type and content it may be anything (rules 21, 25, 26).
func (r *replay) replayMarker(e *toc.Entry, dir, base string) error {
	rest := base[len(prefix):]
	switch rest {
	case "":
		return r.fail(22, "a whiteout that names nothing")
	case ".", "..":
		return r.fail(23, "a whiteout of %q", rest)
	}
	if aufsMetadata(dir) {
		return nil
	}
	if len(rest) > maxName {
		return r.fail(94, "the last component is %d bytes long, Linux has at most %d", len(rest), maxName)
	}
	r.checkComponents(dir)
	if base == opaqueName {
		return r.replayOpaque(e, dir)
	}
	if e.Type != toc.TypeLink && (e.Type != toc.TypeReg || e.Size != 0 || strings.HasSuffix(e.Name, "/")) {
		rule := 26
		if e.Type == toc.TypeDir {
			rule = 25
		}
		r.warnHere(rule, "the whiteout is not an empty regular file; it counts all the same")
	}
	parent, err := r.folder(dir, weak|marked)
	if err != nil {
		return err
	}
	if id := r.lookup(parent, rest); id != none {
		rule := 6
		if r.nodes[id].is(isDir) {
			rule = 9
		}
		if !r.nodes[id].is(weak) {
			r.warnHere(rule, "a whiteout of what the same layer brings; only lower layers lose it")
		}
	}
	if !r.hide(place{parent, rest}) {
		r.warnHere(11, "the layer has this whiteout twice")
	}
	return nil
}

func (r *replay) replayOpaque(e *toc.Entry, dir string) error {
	if e.Type != toc.TypeReg && e.Type != toc.TypeLink || e.Size != 0 {
		r.warnHere(21, "the opaque whiteout is not an empty regular file; it counts all the same")
	}
	id, err := r.folder(dir, weak)
	if err != nil {
		return err
	}
	if id == root {
		r.warnHere(16, "the root is opaque: everything that lower layers have is hidden, though overlayfs would show it")
	}
	r.nodes[id].flags |= opaque
	r.opaques = append(r.opaques, mark{id, r.at.Entry})
	return nil
}

// replayNullDevice treats a character device 0:0 as overlayfs does: as a
// whiteout of its own name (rule 36).
func (r *replay) replayNullDevice(parent int32, base string) {
	r.warnHere(36, "a character device 0:0 is a whiteout to overlayfs, and is taken as one")
	if id := r.lookup(parent, base); id != none {
		r.remove(id)
		r.lastOK = false
	}
	r.hide(place{parent, base})
}

// hide notes a whiteout and reports whether it is new.
func (r *replay) hide(p place) bool {
	if _, ok := r.white[p]; ok {
		return false
	}
	r.white[p] = r.at.Entry
	r.order = append(r.order, p)
	return true
}

// markers yields the folder of each marker and the entry that marked it.
func (r *replay) markers() iter.Seq2[int32, int32] {
	return func(yield func(dir, entry int32) bool) {
		for _, p := range r.order {
			if !yield(p.dir, r.white[p]) {
				return
			}
		}
		for _, o := range r.opaques {
			if !yield(o.dir, o.entry) {
				return
			}
		}
	}
}

// dropIdleParents removes the directories that only markers made and that are
// whited out themselves, or stand below what is (rule 10). It waits for the end
// of the layer because the order of markers does not matter.
func (r *replay) dropIdleParents() {
	for dir, entry := range r.markers() {
		top, gone := int32(none), false
		for id := dir; id != root; id = r.nodes[id].parent {
			n := &r.nodes[id]
			if n.is(weak) {
				top = id
			}
			// One that the layer brings stays, and what is made in it (rule 7).
			if _, white := r.white[place{n.parent, n.name}]; white && n.is(weak) {
				gone = true
			}
		}
		if gone && top != none && !r.nodes[top].is(dead) {
			r.warn(10, Position{r.layer, entry}, "a whiteout in a directory that is whited out itself; the directory goes")
			r.remove(top)
		}
	}
}

// warnMade warns of directories that exist only because a marker names them as
// its folder (rule 4).
func (r *replay) warnMade() {
	var parts []string
	for dir, entry := range r.markers() {
		if n := &r.nodes[dir]; !n.is(weak) || n.is(dead) {
			continue
		}
		parts = r.tree.path(parts[:0], dir)
		if r.tree.walk(parts) == dir && r.union.walk(parts) == none {
			r.warn(4, Position{r.layer, entry}, "a whiteout in a directory that no layer has; an empty one is made")
		}
	}
}

// prune takes out of the lower layers what this one hides.
func (r *replay) prune() {
	var parts []string
	for _, o := range r.opaques {
		parts = r.tree.path(parts[:0], o.dir)
		if id := r.union.walk(parts); id != none && r.union.nodes[id].is(isDir) {
			r.takeChildren(id, Position{r.layer, o.entry})
		}
	}
	for _, p := range r.order {
		parts = r.tree.path(parts[:0], p.dir)
		if id := r.union.walk(append(parts, p.name)); id != none {
			r.take(id, Position{r.layer, r.white[p]})
		}
		r.warnKept(p)
	}
}

// warnKept warns of a directory that the layer both whites out and brings, the
// whiteout standing first: overlayfs would show what lower layers have in it,
// the specification hides it (rules 7, 8).
func (r *replay) warnKept(p place) {
	id := r.lookup(p.dir, p.name)
	if id == none || !r.nodes[id].is(isDir) || r.nodes[id].first.Entry < r.white[p] {
		return
	}
	rule := 7
	if r.nodes[id].at == Implied {
		rule = 8
	}
	r.warn(rule, Position{r.layer, r.white[p]}, "a whiteout of a directory that the same layer brings; what lower layers have in it is hidden, though overlayfs would show it")
}
