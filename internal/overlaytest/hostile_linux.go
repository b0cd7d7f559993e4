// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package overlaytest

import (
	"archive/tar"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// hostileImage makes layers that no engine writes and every engine runs. Paths
// are few and short, so that entries collide.
func (s *scratch) hostileImage(r *rand.Rand, dir string) ([]*layer, error) {
	var layers []*layer
	lower := Tree{}
	for i := range 1 + r.IntN(4) {
		l := &layer{dir: filepath.Join(dir, fmt.Sprint(i))}
		h := &hostile{r: r, user: s.userXattrs}
		if err := l.fillHostile(h, lower, 3+r.IntN(25)); err != nil {
			return nil, err
		}
		layers = append(layers, l)
		var err error
		if lower, err = readMerged(dir, dirsOf(layers)); err != nil {
			return nil, err
		}
	}
	return layers, nil
}

// fillHostile makes entries, n at most, and unpacks them. What is refused is
// taken back.
func (l *layer) fillHostile(h *hostile, lower Tree, n int) error {
	if err := os.Mkdir(l.dir, 0o755); err != nil {
		return err
	}
	u := newUnpacker(l.dir, lower)
	for range n {
		e := h.entry()
		if u.apply(&e) == nil {
			l.entries = append(l.entries, e)
			continue
		}
		var err error
		if u, err = l.unpack(lower); err != nil {
			return fmt.Errorf("unpacking again: %w", err)
		}
	}
	l.bottom = u.opaque[""]
	if err := u.finish(); err != nil {
		return err
	}
	var err error
	if l.tar, err = writeTar(l.entries); err != nil {
		return err
	}
	l.blob, l.how = compress(h.r, l.tar)
	return nil
}

// unpack unpacks the layer's entries into its directory, emptied.
func (l *layer) unpack(lower Tree) (*unpacker, error) {
	if err := os.RemoveAll(l.dir); err != nil {
		return nil, err
	}
	if err := os.Mkdir(l.dir, 0o755); err != nil {
		return nil, err
	}
	u := newUnpacker(l.dir, lower)
	for i := range l.entries {
		if err := u.apply(&l.entries[i]); err != nil {
			return nil, fmt.Errorf("entry %q: %w", l.entries[i].Name, err)
		}
	}
	return u, nil
}

// hostile makes entries.
type hostile struct {
	r    *rand.Rand
	user bool
	used []string // paths with an entry
}

// path is a clean path of one to three names.
func (h *hostile) path() string {
	if len(h.used) > 0 && chance(h.r, 3) {
		p := pick(h.r, h.used...)
		if chance(h.r, 3) {
			p = path.Join(p, pick(h.r, "a", "b", "c"))
		}
		return p
	}
	p := pick(h.r, "a", "b", "c", "d", "e", "lib", "usr")
	for range h.r.IntN(3) {
		p = path.Join(p, pick(h.r, "a", "b", "c", "d", "lib"))
	}
	return p
}

// spell writes a clean path in one of the ways that mean the same.
func (h *hostile) spell(p string) string {
	switch h.r.IntN(16) {
	case 0:
		return "/" + p
	case 1, 2:
		return "./" + p
	case 3:
		return strings.ReplaceAll(p, "/", "//")
	case 4:
		return strings.ReplaceAll(p, "/", "/./")
	case 5:
		return "x/../" + p
	case 6:
		return "../" + p
	case 7:
		return "/../" + p
	}
	return p
}

// entry makes an entry.
func (h *hostile) entry() entry {
	r := h.r
	p := h.path()
	n := &Node{Type: typeReg, Mode: randomMode(r), UID: uint32(randomOwner(r)), GID: uint32(randomOwner(r))}
	n.Sec, n.Nsec = randomTime(r)
	switch w := r.IntN(100); {
	case w < 15:
		return h.whiteout(p, n)
	case w < 20:
		p = path.Join(p, opaqueName)
	case w < 48:
		n.Type = typeDir
	case w < 60:
		n.Type, n.Link = typeSymlink, h.target()
	case w < 72:
		return h.link(p, n)
	case w < 75:
		n.Type = typeFifo
	case w < 79:
		n.Type, n.Major, n.Minor = pick[byte](r, typeChar, typeBlock), pick[uint32](r, 0, 1, 300), pick[uint32](r, 0, 3, 70000)
	case w < 81:
		return h.odd(n)
	default:
		n.Data = randomContent(r)[:0]
		n.Data = append(n.Data, fmt.Sprintf("content %d of %s", r.IntN(1000), p)...)
	}
	h.used = append(h.used, p)
	return h.dress(p, n)
}

// dress makes the entry of a node, with attributes at times.
func (h *hostile) dress(p string, n *Node) entry {
	if chance(h.r, 5) && path.Base(p) != opaqueName {
		n.Xattrs = map[string]string{}
		k, v := randomXattr(h.r, h.user)
		n.Xattrs[k] = v
		if chance(h.r, 4) {
			n.Xattrs[pick(h.r, "trusted.overlay.opaque", "trusted.overlay.redirect", "trusted.x")] = "y"
		}
	}
	e := entry{Header: header(h.spell(p), n), body: n.Data}
	if n.Type == typeDir && !chance(h.r, 5) {
		e.Name += "/"
	}
	h.format(&e)
	return e
}

func (h *hostile) format(e *entry) {
	if chance(h.r, 2) {
		chooseFormat(h.r, &e.Header, []tar.Format{tar.FormatPAX, tar.FormatGNU, tar.FormatUSTAR})
	}
}

// target is the target of a symbolic link, often one to follow.
func (h *hostile) target() string {
	switch h.r.IntN(6) {
	case 0:
		return randomTarget(h.r, nil)
	case 1:
		return "/" + h.path()
	case 2:
		return "../" + h.path()
	case 3:
		return "../../../../" + h.path()
	}
	return h.path()
}

// whiteout makes a marker, of any type and with a body at times.
func (h *hostile) whiteout(p string, n *Node) entry {
	dir, base := path.Split(p)
	switch h.r.IntN(12) {
	case 0:
		n.Type = typeDir
	case 1:
		n.Type, n.Link = typeSymlink, "a"
	case 2:
		n.Data = []byte("not empty")
	case 3:
		n.Type = typeChar // of number 0:0, without a prefix
		return h.dress(p, n)
	}
	e := entry{Header: header(h.spell(dir+whiteoutPrefix+base), n), body: n.Data}
	h.format(&e)
	return e
}

// link makes a hard link, most often to what may exist.
func (h *hostile) link(p string, n *Node) entry {
	e := h.dress(p, n)
	e.Typeflag, e.Size, e.body = tar.TypeLink, 0, nil
	e.Linkname = h.spell(h.path())
	h.used = append(h.used, p)
	return e
}

// odd makes an entry for the root, one of aufs, or one that few know.
func (h *hostile) odd(n *Node) entry {
	switch h.r.IntN(6) {
	case 0:
		n.Type = typeDir
		return entry{Header: header(pick(h.r, "./", "/", ".", "a/.."), n)}
	case 1:
		return entry{Header: header(opaqueName, n)}
	case 2:
		n.Type = typeDir
		return entry{Header: header(pick(h.r, ".wh..wh.orph/", ".wh..wh.plnk/", "./.wh..wh.plnk"), n)}
	case 3:
		return entry{Header: header(pick(h.r, ".wh..wh.aufs", "a/.wh..wh.aufs", "a/.wh..wh.b"), n)}
	case 4:
		return entry{Header: tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"mtime": "5", "comment": "x"}}}
	}
	e := h.dress(h.path(), n)
	setRecord(&e.Header, "LIBARCHIVE.xattr.user.x", "eHg=")
	e.Format = tar.FormatPAX
	return e
}
