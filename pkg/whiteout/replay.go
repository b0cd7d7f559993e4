// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package whiteout

import (
	"strings"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// The markers of OCI image-spec layer.md, "Whiteouts" and "Opaque Whiteout".
const (
	prefix     = ".wh."
	opaqueName = ".wh..wh..opq"
	aufsPrefix = ".wh..wh."
)

// replay is one layer's entries, replayed in order into a tree of its own. The
// layer's whiteouts are kept beside it: they never touch what the layer itself
// brings (OCI image-spec layer.md, "Whiteouts").
type replay struct {
	*merger
	*tree
	layer int32
	at    Position // the entry that is being replayed

	white   map[place]int32 // whiteouts, with the entry each came from
	order   []place         // their order, so that results do not depend on the map's
	opaques []mark
	links   []link

	// The folder of the entry before: most entries stand in the same one.
	lastDir  string
	lastNode int32
	lastOK   bool

	// What below was asked last, and its answer.
	belowDir, belowNode int32
	belowOK             bool
}

// place is a path in the layer's own tree: a folder and a name in it.
type place struct {
	dir  int32
	name string
}

// mark is an opaque whiteout: a folder and the entry that marked it.
type mark struct{ dir, entry int32 }

func (r *replay) run() error {
	entries := r.layers[r.layer].Entries
	for i := range entries {
		r.at = Position{r.layer, int32(i)}
		if err := r.replay(&entries[i]); err != nil {
			return err
		}
	}
	return nil
}

// fail makes an error of the entry that is being replayed.
func (r *replay) fail(rule int, format string, args ...any) error {
	e := r.entry(r.at)
	return &Error{
		Layer: int(r.layer), Entry: e.Name, Offset: e.Start, Rule: rule,
		Err: image.Corruptf(format, args...),
	}
}

func (r *replay) warnHere(rule int, format string, args ...any) {
	r.warn(rule, r.at, format, args...)
}

// replay applies one entry.
func (r *replay) replay(e *toc.Entry) error {
	c := clean(e.Name)
	switch {
	case c.escaped:
		r.warnHere(88, "the name climbs above the root; taken as %q", c.path)
	case c.dotdot:
		r.warnHere(87, "the name holds \"..\"; taken as %q", c.path)
	}
	if c.path == "" {
		return r.replayRoot(e)
	}
	if most := r.opts.Limits.PathBytes; int64(len(c.path)) > most {
		return r.fail(94, "the path is %d bytes long, %w", len(c.path), image.Over("PathBytes", most))
	}
	dir, base := split(c.path)
	if strings.HasPrefix(base, prefix) && !aufsMetadata(c.path) {
		return r.replayMarker(e, dir, base)
	}
	r.checkXattrs(e)
	r.checkComponents(dir)
	parent, err := r.folder(dir, 0)
	if err != nil {
		return err
	}
	if len(base) > maxName {
		return r.fail(94, "the last component is %d bytes long, Linux has at most %d", len(base), maxName)
	}
	if err := r.checkLength(parent, base); err != nil {
		return err
	}
	switch e.Type {
	case toc.TypeLink:
		return r.replayLink(e, parent, base)
	case toc.TypeDir:
		return r.putDir(parent, base)
	case toc.TypeChar:
		if x := e.Extra; x == nil || x.Devmajor == 0 && x.Devminor == 0 {
			r.replayNullDevice(parent, base)
			return nil
		}
	}
	return r.putFile(parent, base, none)
}

// replayRoot handles an entry for the root itself: its metadata is kept aside
// (rule 83), any other type is passed over (rule 84).
func (r *replay) replayRoot(e *toc.Entry) error {
	if e.Type != toc.TypeDir {
		r.warnHere(84, "an entry for the root that is not a directory is passed over")
		return nil
	}
	r.checkXattrs(e)
	r.rootAt = r.at
	return nil
}

// aufsMetadata reports whether a path is aufs's own bookkeeping: ".wh..wh.…" at
// the root and all below it, but not the root's opaque marker (rules 27, 28).
func aufsMetadata(p string) bool {
	return strings.HasPrefix(p, aufsPrefix) && p != opaqueName
}

// checkComponents warns of a whiteout name that is used as a folder (rule 24).
func (r *replay) checkComponents(dir string) {
	if !strings.Contains(dir, prefix) || strings.HasPrefix(dir, aufsPrefix) {
		return
	}
	for part := range strings.SplitSeq(dir, "/") {
		if strings.HasPrefix(part, prefix) {
			r.warnHere(24, "a folder with the name of a whiteout is kept as a folder")
			return
		}
	}
}

func (r *replay) checkLength(parent int32, base string) error {
	n, most := int64(r.nodes[parent].depth)+1+int64(len(base)), r.opts.Limits.PathBytes
	if parent != root && n > most {
		return r.fail(94, "the path is %d bytes long once its links are followed, %w", n, image.Over("PathBytes", most))
	}
	return nil
}

// put adds a node for the entry that is being replayed.
func (r *replay) put(parent int32, base string, n node) (int32, error) {
	n.name, n.first = base, r.at
	if parent == root && strings.HasPrefix(base, aufsPrefix) {
		n.flags |= hidden
	}
	return r.add(parent, n), nil
}

// putDir adds a directory, or gives one that is there its metadata.
func (r *replay) putDir(parent int32, base string) error {
	id := r.lookup(parent, base)
	if id != none && r.nodes[id].is(isDir) {
		n := &r.nodes[id]
		if n.at != Implied {
			r.warnHere(77, "the layer has this directory twice; the last one counts")
			r.mergeXattrs(n)
		}
		n.at = r.at
		n.flags &^= weak | marked
		return nil
	}
	if id != none {
		r.replace(id)
	}
	_, err := r.put(parent, base, node{inode: none, at: r.at, flags: isDir})
	return err
}

// mergeXattrs keeps the extended attributes of a directory that the layer has
// twice: its second entry adds to them, and no engine removes any. The directory
// gets an inode of its own for that.
func (r *replay) mergeXattrs(n *node) {
	had := xattrs(r.entry(n.at))
	if n.inode != none {
		had = r.inodes[n.inode].Xattrs
	}
	if len(had) == 0 {
		return
	}
	merged := union(had, xattrs(r.entry(r.at)))
	n.inode = int32(len(r.inodes))
	r.inodes = append(r.inodes, Inode{Body: r.at, Meta: r.at, Xattrs: merged})
}

// putFile adds anything that is not a directory.
func (r *replay) putFile(parent int32, base string, inode int32) error {
	if id := r.lookup(parent, base); id != none {
		r.replace(id)
	}
	_, err := r.put(parent, base, node{inode: inode, at: r.at})
	return err
}

// replace takes out a node of this layer that a later entry replaces: the last
// entry for a path counts.
func (r *replay) replace(id int32) {
	n := &r.nodes[id]
	switch {
	case n.is(opaque):
		r.warnHere(20, "the layer made this directory opaque and then replaces it")
	case n.is(weak):
	case n.is(isDir) != (r.entry(r.at).Type == toc.TypeDir):
		r.warnHere(43, "the layer has this path twice, as a directory and not; the last one counts")
	case n.inode != none:
		r.warnHere(65, "the layer has this path twice, with links to the first; they keep its content")
	default:
		r.warnHere(78, "the layer has this path twice; the last one counts")
	}
	r.remove(id)
	r.lastOK = false
}
