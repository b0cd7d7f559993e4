// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package whiteout

import (
	"strings"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

const (
	// maxHops is how many symbolic links one path may go through.
	maxHops = 255

	// maxSteps is how many components one path may have with all its links
	// followed: more than any path that Linux can look up.
	maxSteps = 8192

	// maxLinkSteps is how many components all paths of all layers may have behind
	// their first links, beside linkStepsEach for each entry.
	maxLinkSteps  = 16 << 20
	linkStepsEach = 64
)

// folder resolves the folder of an entry in the layer's own tree, following
// symbolic links of this layer as below a chroot (rules 45 to 52), and makes
// what is missing as implied directories. Directories that only markers speak
// of are made with mark's flags, weak among them; 0 makes firm ones, and makes
// firm what was weak.
func (r *replay) folder(dir string, mark flags) (int32, error) {
	if dir == "" {
		return root, nil
	}
	if r.lastOK && mark == 0 && dir == r.lastDir {
		return r.lastNode, nil
	}
	w := walker{replay: r, todo: []string{dir}, create: true, mark: mark}
	id, err := w.walk()
	if err != nil {
		return none, err
	}
	r.lastDir, r.lastNode, r.lastOK = dir, id, mark == 0
	return id, nil
}

// find resolves a path in the layer's own tree like folder, the last component
// not followed, and makes nothing. It returns none when there is nothing.
func (r *replay) find(p string) (int32, error) {
	dir, base := split(p)
	parent := int32(root)
	if dir != "" {
		var err error
		w := walker{replay: r, todo: []string{dir}}
		if parent, err = w.walk(); err != nil || parent == none {
			return none, err
		}
	}
	return r.lookup(parent, base), nil
}

// walker walks a path, one component after another.
type walker struct {
	*replay
	todo   []string // what is left of the path and of the links in it, innermost last
	create bool
	mark   flags
	hops   int
	steps  int
}

// next takes the next component off todo, empty at the end.
func (w *walker) next() string {
	for len(w.todo) > 0 {
		top := len(w.todo) - 1
		part, rest, more := strings.Cut(w.todo[top], "/")
		if more {
			w.todo[top] = rest
		} else {
			w.todo = w.todo[:top]
		}
		if part != "" && part != "." {
			return part
		}
	}
	return ""
}

func (w *walker) walk() (int32, error) {
	cur := int32(root)
	for {
		part := w.next()
		if part == "" {
			return cur, nil
		}
		if w.steps++; w.steps > maxSteps {
			return none, w.fail(51, "the path has more than %d components with its links followed", maxSteps)
		}
		if err := w.countSteps(); err != nil {
			return none, err
		}
		if part == ".." {
			if cur == root {
				w.warnHere(49, "a symbolic link in the path climbs above the root; clamped")
			} else {
				cur = w.nodes[cur].parent
			}
			continue
		}
		next, err := w.step(cur, part)
		if err != nil || next == none {
			return next, err
		}
		cur = next
	}
}

// step goes from a directory to its child, or to where a link there leads.
func (w *walker) step(cur int32, part string) (int32, error) {
	id := w.lookup(cur, part)
	if id == none {
		if target, ok := w.lowerLink(cur, part); ok {
			w.warnHere(45, "follows the symbolic link %q of a lower layer", part)
			return w.follow(cur, target)
		}
		if !w.create {
			return none, nil
		}
		return w.imply(cur, part)
	}
	n := &w.nodes[id]
	switch {
	case n.is(isDir):
		if w.create && w.mark == 0 {
			n.flags &^= weak | marked
		} else if n.is(weak) {
			n.flags |= w.mark & marked
		}
		return id, nil
	case n.is(pending) || n.inode != none && w.entry(w.inodes[n.inode].Body).Type != toc.TypeSymlink:
		return none, w.notDir(part)
	case n.inode != none:
		return w.follow(cur, w.entry(w.inodes[n.inode].Body).Link())
	case w.entry(n.at).Type == toc.TypeSymlink:
		return w.follow(cur, w.entry(n.at).Link())
	}
	return none, w.notDir(part)
}

// countSteps counts what links add to the work of a merge, lest each of many
// entries takes the longest way there is.
func (w *walker) countSteps() error {
	if w.hops == 0 {
		return nil
	}
	if w.linkSteps++; w.linkSteps-linkStepsEach*w.entries > maxLinkSteps {
		return w.fail(51, "the symbolic links in all paths lead through more than %d components", w.linkSteps-1)
	}
	return nil
}

func (w *walker) notDir(part string) error {
	rule := 44
	if w.hops > 0 {
		rule = 51
	}
	return w.fail(rule, "%q is in the way: the same layer has it as something other than a directory", part)
}

// follow puts a link's target before the rest of the path.
func (w *walker) follow(cur int32, target string) (int32, error) {
	if w.hops++; w.hops > maxHops {
		return none, w.fail(51, "too many symbolic links in the path")
	}
	w.todo = append(w.todo, target)
	if strings.HasPrefix(target, "/") {
		return root, nil
	}
	return cur, nil
}

// imply makes a directory for which the layer has no entry (so far).
func (w *walker) imply(parent int32, name string) (int32, error) {
	if len(name) > maxName {
		return none, w.fail(94, "a component is %d bytes long, Linux has at most %d", len(name), maxName)
	}
	if err := w.checkLength(parent, name); err != nil {
		return none, err
	}
	w.implied++
	if most := w.opts.Limits.HeaderBytes; w.implied-2*w.entries > most/impliedBytes {
		return none, w.fail(0, "%d directories that the layers have no entry for: %w", w.implied, image.Over("HeaderBytes", most))
	}
	gid := w.groupBelow(parent)
	return w.put(parent, name, node{inode: none, at: Implied, flags: isDir | w.mark, gid: gid})
}

// groupBelow is the group of a directory that is made below parent at this
// moment: the parent's when it has the set-group-ID bit (rule 80). A parent that
// this layer only implies is what it is in the lower layers.
func (w *walker) groupBelow(parent int32) uint32 {
	at := w.nodes[parent].at
	if at == Implied {
		lower := w.below(parent)
		if lower == none {
			return 0
		}
		at = w.union.nodes[lower].at
	}
	if at == Implied {
		return 0
	}
	if e := w.entry(at); e.Type == toc.TypeDir && e.Mode&0o2000 != 0 {
		return e.GID
	}
	return 0
}

// below is the directory of the lower layers where a directory of this layer
// lies, or none. Those of a path are asked for one after the other.
func (r *replay) below(dir int32) int32 {
	if dir == root {
		return root
	}
	if r.belowOK && r.belowDir == dir {
		return r.belowNode
	}
	var id int32
	if up := r.nodes[dir].parent; r.belowOK && r.belowDir == up {
		id = none
		if r.belowNode != none && r.union.nodes[r.belowNode].is(isDir) {
			id = r.union.lookup(r.belowNode, r.nodes[dir].name)
		}
	} else {
		id = r.union.walk(r.tree.path(nil, dir))
	}
	r.belowDir, r.belowNode, r.belowOK = dir, id, true
	return id
}

// lowerLink returns the target of the symbolic link that the lower layers have
// below a directory, when lower links are followed at all and this layer has
// not removed it.
func (w *walker) lowerLink(dir int32, name string) (string, bool) {
	if !w.opts.FollowLower {
		return "", false
	}
	if _, gone := w.white[place{dir, name}]; gone {
		return "", false
	}
	lower := w.below(dir)
	if lower == none || !w.union.nodes[lower].is(isDir) {
		return "", false
	}
	id := w.union.lookup(lower, name)
	if id == none || w.union.nodes[id].is(isDir) {
		return "", false
	}
	n := &w.union.nodes[id]
	at := n.at
	if n.inode != none {
		at = w.inodes[n.inode].Body
	}
	e := w.entry(at)
	return e.Link(), e.Type == toc.TypeSymlink
}
