// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package whiteout

import (
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// unite lays the layer's own tree over the union of the lower ones. The lower
// ones have been pruned by then.
func (r *replay) unite() {
	r.dropHidden()
	r.warnMade()
	if len(r.union.nodes) == 1 {
		r.union = r.tree // the lowest layer with anything in it
		return
	}
	r.uniteDir(root, root)
}

func (r *replay) dropHidden() {
	for id := range r.tree.children(root) {
		if r.nodes[id].is(hidden) {
			r.remove(id)
		}
	}
}

// uniteDir lays the children of an own directory over those of the same lower
// one. Its depth is bounded by the length of a path.
func (r *replay) uniteDir(own, lower int32) {
	for id := range r.tree.children(own) {
		n := &r.nodes[id]
		old := r.union.lookup(lower, n.name)
		switch {
		case !n.is(isDir):
			if old != none {
				r.takeFor(taken{old, n.at, true})
			}
			r.union.add(lower, *n)
			continue
		case old == none:
			old = r.union.add(lower, *n)
		case r.union.nodes[old].is(isDir):
			if n.at != Implied {
				r.union.nodes[old].at, r.union.nodes[old].inode = n.at, n.inode
			}
		default:
			r.warnInTheWay(n, old)
			r.takeFor(taken{old, firm(n), true})
			old = r.union.add(lower, *n)
		}
		r.union.nodes[old].flags &^= weak | marked | opaque
		r.uniteDir(id, old)
	}
}

// warnInTheWay warns of something lower that an implied directory replaces, as
// overlayfs does it (rules 35, 42, 45). Rule 19 allows it to an opaque one.
func (r *replay) warnInTheWay(n *node, old int32) {
	if n.at != Implied || n.is(weak) && !n.is(marked) {
		return
	}
	o := &r.union.nodes[old]
	at := o.at
	if o.inode != none {
		at = r.inodes[o.inode].Body
	}
	isLink := r.entry(at).Type == toc.TypeSymlink
	switch {
	case isLink && n.is(weak):
		r.warn(33, n.first, "its folder is a symbolic link in a lower layer; a real directory replaces the link")
	case isLink:
		r.warn(45, n.first, "its folder is a symbolic link in a lower layer; a real directory replaces the link, as overlayfs does it")
	case n.is(weak):
		r.warn(35, n.first, "its folder is a file in a lower layer; a directory replaces it")
	default:
		r.warn(42, n.first, "its folder is a file in a lower layer; a directory replaces it")
	}
}
