// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package overlaytest

import (
	"archive/tar"
	"cmp"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
)

// Names of whiteouts.
const (
	whiteoutPrefix = ".wh."
	opaqueName     = ".wh..wh..opq"
)

// style is how an engine writes a layer. Engines differ in all of this.
type style struct {
	prefixes   []string     // what names begin with
	slash      bool         // directories' names end in one
	root       bool         // the root has an entry
	order      order        // of the entries
	dropParent int          // one in so many directories that say nothing new is left out; 0: none
	expand     bool         // an opaque directory is written as a whiteout for each lower name
	rewhite    bool         // what replaces a lower path gets a whiteout too
	extras     bool         // headers hold what nobody needs
	formats    []tar.Format // of headers
	whole      bool         // seconds are not divided
	writer     string       // the program: "go", "gnutar", "bsdtar"
}

type order uint8

const (
	sorted   order = iota // as a walk finds them
	reversed              // in each directory the other way round
	topDown               // at random, but a directory before what is in it
	random                // at random
)

func randomStyle(r *rand.Rand) style {
	s := style{
		prefixes: pick(r, []string{""}, []string{""}, []string{"./"}, []string{"/"}, []string{"", "./", "/", ".//"}),
		slash:    !chance(r, 5),
		root:     chance(r, 4),
		order:    pick(r, sorted, sorted, reversed, topDown, random),
		expand:   chance(r, 3),
		rewhite:  chance(r, 5),
		extras:   chance(r, 4),
		whole:    chance(r, 3),
		writer:   "go",
		formats:  []tar.Format{tar.FormatPAX},
	}
	if chance(r, 2) {
		s.dropParent = pick(r, 1, 2, 3)
	}
	if chance(r, 2) {
		s.formats = pick(r, []tar.Format{tar.FormatGNU}, []tar.Format{tar.FormatUSTAR, tar.FormatGNU},
			[]tar.Format{tar.FormatUSTAR, tar.FormatGNU, tar.FormatPAX})
	}
	if chance(r, 8) {
		s.writer = pick(r, "gnutar", "bsdtar")
	}
	return s
}

// scribe writes the upper directory of a layer as entries.
type scribe struct {
	r     *rand.Rand
	s     style
	lower Tree // what the layers below add up to
	raw   Tree // the upper directory

	dropped map[string]bool // directories without an entry
	first   map[string]string
	items   []item
}

// item is one path of the upper directory with its entries.
type item struct {
	path    string
	entries []entry
}

// drop chooses the directories that are left out: what they say is what a
// reader takes for granted when a path below them has an entry. Their times are
// not theirs then, and are set in raw to what the rules say (79, 80 and 82).
func (w *scribe) drop() {
	w.dropped = map[string]bool{}
	if w.s.dropParent == 0 {
		return
	}
	names := w.raw.names()
	for i := len(names) - 1; i >= 0; i-- {
		p := names[i]
		n := w.raw[p]
		inside := i+1 < len(names) && strings.HasPrefix(nextBelow(names[i+1:], p), p+"/") || n.Opaque && !w.s.expand
		if n.Type != typeDir || !inside || !chance(w.r, w.s.dropParent) {
			continue
		}
		low := w.below(p)
		if low == nil {
			low = &Node{Type: typeDir, Mode: 0o755}
			if n.Opaque || w.raw[path.Dir(p)] != nil && w.raw[path.Dir(p)].Mode&0o2000 != 0 {
				continue
			}
		}
		if n.sameMeta(low) {
			w.dropped[p] = true
			n.Sec, n.Nsec = low.Sec, low.Nsec
		}
	}
}

// nextBelow is the first of the sorted names that lies below p, or "". Names
// with bytes smaller than a slash may stand between.
func nextBelow(names []string, p string) string {
	for _, q := range names {
		if strings.HasPrefix(q, p+"/") {
			return q
		}
		if !strings.HasPrefix(q, p) {
			break
		}
	}
	return ""
}

// below is the lower directory that shows through at p, nil if there is none.
func (w *scribe) below(p string) *Node {
	n := w.lower[p]
	if n == nil || n.Type != typeDir {
		return nil
	}
	for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
		if up := w.raw[dir]; up != nil && up.Opaque {
			return nil
		}
	}
	return n
}

// write returns the layer's entries in the order of the style.
func (w *scribe) write() []entry {
	if w.s.root {
		h := header("", &Node{Type: typeDir, Mode: 0o700, UID: 7, GID: 7, Sec: 1})
		w.items = append(w.items, item{"", []entry{{Header: h}}})
	}
	for _, p := range w.raw.names() {
		w.items = append(w.items, item{p, w.entriesFor(p, w.raw[p])})
	}
	w.sort()
	w.linkGroups()
	var out []entry
	for _, it := range w.items {
		out = append(out, it.entries...)
	}
	for i := range out {
		w.finish(&out[i])
	}
	return out
}

// entriesFor makes the entries of one path: itself, and what it hides.
func (w *scribe) entriesFor(p string, n *Node) []entry {
	var out []entry
	if n.whiteout() {
		return []entry{w.whiteout(p)}
	}
	if w.lower[p] != nil && w.s.rewhite && w.mayRewhite(p, n) {
		out = append(out, w.whiteout(p))
	}
	if !w.dropped[p] {
		out = append(out, entry{Header: header(p, n), body: n.Data})
	}
	if !n.Opaque {
		return out
	}
	if !w.s.expand {
		mark := w.whiteout(p)
		mark.Name = p + "/" + opaqueName
		return append(out, mark)
	}
	if w.lower[p] == nil || w.lower[p].Type != typeDir {
		return out // nothing to hide
	}
	return append(out, w.expandOpaque(p)...)
}

// mayRewhite tells whether a whiteout may stand before the path's own entry. It
// would hide all that is below a directory, and no engine unpacks one after what
// it hides.
func (w *scribe) mayRewhite(p string, n *Node) bool {
	return n.Type != typeDir || n.Opaque && !w.dropped[p] && w.s.order != random
}

// expandOpaque makes whiteouts for the lower paths that an opaque directory
// hides, in place of the mark. A name that is in both gets none unless it is a
// directory in both, whose lower part is hidden in the same way.
func (w *scribe) expandOpaque(p string) []entry {
	var out []entry
	for _, q := range w.lower.names() {
		if path.Dir(q) != p {
			continue
		}
		switch up := w.raw[q]; {
		case up == nil:
			out = append(out, w.whiteout(q))
		case up.Type == typeDir && !up.Opaque && w.lower[q].Type == typeDir:
			delete(w.dropped, q)
			out = append(out, w.expandOpaque(q)...)
		}
	}
	return out
}

// whiteout makes the entry that hides a path.
func (w *scribe) whiteout(p string) entry {
	dir, base := path.Split(p)
	n := &Node{Type: typeReg, Mode: pick[uint32](w.r, 0, 0o600, 0o644), Sec: w.r.Int64N(1_700_000_000)}
	return entry{Header: header(dir+whiteoutPrefix+base, n)}
}

// sort puts the items in the order of the style.
func (w *scribe) sort() {
	key := func(it item) []string { return strings.Split(it.path, "/") }
	switch w.s.order {
	case sorted:
		slices.SortStableFunc(w.items, func(a, b item) int { return slices.Compare(key(a), key(b)) })
	case reversed:
		slices.SortStableFunc(w.items, func(a, b item) int {
			return slices.CompareFunc(key(a), key(b), func(x, y string) int { return cmp.Compare(y, x) })
		})
	case topDown:
		w.r.Shuffle(len(w.items), func(i, j int) { w.items[i], w.items[j] = w.items[j], w.items[i] })
		slices.SortStableFunc(w.items, func(a, b item) int { return cmp.Compare(depth(a.path), depth(b.path)) })
	case random:
		w.r.Shuffle(len(w.items), func(i, j int) { w.items[i], w.items[j] = w.items[j], w.items[i] })
	}
}

func depth(p string) int {
	if p == "" {
		return 0
	}
	return 1 + strings.Count(p, "/")
}

// linkGroups makes hard links of all names of a file but the first.
func (w *scribe) linkGroups() {
	w.first = map[string]string{}
	for _, it := range w.items {
		n := w.raw[it.path]
		if n == nil || n.Group == "" || n.whiteout() {
			continue
		}
		e := &it.entries[len(it.entries)-1]
		first, ok := w.first[n.Group]
		if !ok {
			w.first[n.Group] = it.path
			continue
		}
		e.Typeflag, e.Linkname = tar.TypeLink, pick(w.r, w.s.prefixes...)+first
		e.Size, e.body, e.Devmajor, e.Devminor = 0, nil, 0, 0
		if n.Xattrs["security.capability"] == "" && chance(w.r, 4) {
			// The attributes are those of the file, of which an engine would
			// lose this one: setting the owner again removes it.
			e.PAXRecords = nil
		}
	}
}

// finish gives an entry what does not change its meaning.
func (w *scribe) finish(e *entry) {
	e.Name = pick(w.r, w.s.prefixes...) + e.Name
	if e.Name == "" {
		e.Name = "."
	}
	if e.Typeflag == typeDir && w.s.slash && !strings.HasSuffix(e.Name, "/") {
		e.Name += "/"
	}
	if w.s.extras {
		e.Uname, e.Gname = pick(w.r, "", "root", "some body"), pick(w.r, "", "root", "grüppe")
		if chance(w.r, 3) {
			key := pick(w.r, "comment", "LIBARCHIVE.creationtime", "SCHILY.dev", "RHT.security.selinux", "MSWINDOWS.rawsd")
			setRecord(&e.Header, key, "1234567890.5")
		}
		if chance(w.r, 3) && len(e.PAXRecords) > 0 {
			e.AccessTime, e.ChangeTime = e.ModTime, e.ModTime
		}
	}
	chooseFormat(w.r, &e.Header, w.s.formats)
}
