// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package whiteout

import (
	"slices"
	"strings"

	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// link is a hard link whose target the layer did not have when it was read.
type link struct {
	node   int32 // the link's node, or none for a link to itself
	entry  int32
	target string
}

// replayLink binds a hard link to the file that its target names at this very
// moment in this layer, or keeps it for the end of the layer (rules 54 to 74).
func (r *replay) replayLink(e *toc.Entry, parent int32, base string) error {
	target, err := r.linkTarget(e)
	if err != nil {
		return err
	}
	id, err := r.find(target)
	if err != nil {
		return err
	}
	self := r.lookup(parent, base)
	switch {
	case id == none && r.isSelf(parent, base, target):
		r.links = append(r.links, link{none, r.at.Entry, target})
		return nil
	case id == none:
		return r.postpone(parent, base, target)
	case r.nodes[id].is(isDir):
		return r.fail(67, "a hard link to the directory %q", e.Link())
	case id == self:
		return nil // naming a file twice makes GNU tar write this (rule 68)
	case r.nodes[id].is(pending):
		return r.postpone(parent, base, target)
	}
	inode := r.shared(r.tree, id)
	if err := r.putFile(parent, base, inode); err != nil {
		return err
	}
	r.name(inode, r.at)
	return nil
}

// linkTarget cleans the target of a hard link against the root (rules 67 to 71).
func (r *replay) linkTarget(e *toc.Entry) (string, error) {
	c := clean(e.Link())
	if c.path == "" {
		return "", r.fail(67, "a hard link to %q", e.Link())
	}
	if c.escaped {
		r.warnHere(70, "the target %q climbs above the root; taken as %q", e.Link(), c.path)
	}
	if _, base := split(c.path); strings.HasPrefix(base, prefix) && !aufsMetadata(c.path) {
		return "", r.fail(67, "a hard link to the whiteout %q", e.Link())
	}
	return c.path, nil
}

// isSelf reports whether a target that does not exist is the link's own path.
func (r *replay) isSelf(parent int32, base, target string) bool {
	return strings.Join(append(r.tree.path(nil, parent), base), "/") == target
}

// postpone puts a link in place whose target is found at the end of the layer.
func (r *replay) postpone(parent int32, base, target string) error {
	if id := r.lookup(parent, base); id != none {
		r.replace(id)
	}
	id, err := r.put(parent, base, node{inode: none, at: r.at, flags: pending})
	if err != nil {
		return err
	}
	r.links = append(r.links, link{id, r.at.Entry, target})
	return nil
}

// capability is the one extended attribute that a change of owner takes away.
const capability = toc.XattrPrefix + "security.capability"

// name makes at one more header of a file: the last header's owner, mode and
// time count for all names, and extended attributes add up (rule 55), but for
// file capabilities: unpacking a link sets the owner again, at which the kernel
// drops them, so that only those of the last header stay.
func (m *merger) name(inode int32, at Position) {
	f := &m.inodes[inode]
	if f.Meta.Layer > at.Layer || f.Meta.Layer == at.Layer && f.Meta.Entry > at.Entry {
		return // the file's own header comes later, in a layer where the link waited for it
	}
	f.Meta = at
	own := xattrs(m.entry(f.Body))
	have := f.Xattrs
	if have == nil {
		have = own
	}
	kept := slices.DeleteFunc(slices.Clone(have), func(r toc.Record) bool { return r.Key == capability })
	merged := union(kept, xattrs(m.entry(at)))
	if f.Xattrs != nil || !slices.Equal(merged, own) {
		f.Xattrs = merged
	}
}

// resolvePending binds the links that were kept: to this layer's file of that
// name first, else to what the lower layers have there now that this layer's
// whiteouts are applied.
func (r *replay) resolvePending() error {
	byNode := make(map[int32]int, len(r.links))
	for i, l := range r.links {
		if l.node != none {
			byNode[l.node] = i
		}
	}
	for i := range r.links {
		if err := r.resolve(i, byNode); err != nil {
			return err
		}
	}
	return nil
}

// resolve binds one link, and the links on the way to its file when it names
// another link that is still pending.
func (r *replay) resolve(first int, byNode map[int32]int) error {
	var way []int
	for i := first; ; {
		l := &r.links[i]
		r.at = Position{r.layer, l.entry}
		if l.node == none {
			return r.resolveSelf(l)
		}
		if n := &r.nodes[l.node]; n.is(dead) || !n.is(pending) {
			return nil
		}
		way = append(way, i)
		id, err := r.find(l.target)
		if err != nil {
			return err
		}
		if id != none && r.nodes[id].is(pending) {
			if len(way) > len(r.links) {
				return r.fail(67, "hard links that name each other in a circle")
			}
			i = byNode[id]
			continue
		}
		inode, err := r.file(l, id)
		if err != nil {
			return err
		}
		return r.bind(way, inode)
	}
}

// file returns the inode that a kept link is bound to.
func (r *replay) file(l *link, own int32) (int32, error) {
	lower := r.findLower(l.target)
	switch {
	case own != none && r.nodes[own].is(isDir):
		return none, r.fail(67, "a hard link to the directory %q", l.target)
	case own != none:
		rule := 63
		if lower != none {
			rule = 64
		}
		r.warnHere(rule, "a hard link to %q, which stands later in the layer", l.target)
		return r.shared(r.tree, own), nil
	case lower == none:
		return none, r.fail(67, "a hard link to %q, which no layer has", l.target)
	case r.union.nodes[lower].is(isDir):
		return none, r.fail(67, "a hard link to the directory %q", l.target)
	}
	r.warnHere(56, "a hard link to %q of a lower layer", l.target)
	return r.shared(r.union, lower), nil
}

func (r *replay) bind(way []int, inode int32) error {
	for _, i := range way {
		l := &r.links[i]
		n := &r.nodes[l.node]
		n.inode = inode
		n.flags &^= pending
		r.name(inode, Position{r.layer, l.entry})
	}
	return nil
}

// resolveSelf handles a link to its own name that the layer did not have: fine
// when a lower layer has a file there, which then stays (rule 68).
func (r *replay) resolveSelf(l *link) error {
	if id := r.findLower(l.target); id == none || r.union.nodes[id].is(isDir) {
		return r.fail(68, "a hard link to itself")
	}
	r.warnHere(68, "a hard link to itself; the file of a lower layer stays")
	return nil
}

// findLower finds a path in the union of the lower layers, following symbolic
// links in all components but the last.
func (r *replay) findLower(p string) int32 {
	dir, base := split(p)
	if dir == "" {
		return r.union.lookup(root, base)
	}
	lower := &replay{merger: r.merger, tree: r.union, layer: r.layer, at: r.at}
	w := walker{replay: lower, todo: []string{dir}}
	parent, err := w.walk()
	if err != nil || parent == none {
		return none
	}
	return r.union.lookup(parent, base)
}
