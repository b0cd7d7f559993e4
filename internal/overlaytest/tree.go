// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package overlaytest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"
)

// The types of node, which are those of tar entries. A hard link is no type:
// its names have one Group.
const (
	typeReg     = '0'
	typeSymlink = '2'
	typeChar    = '3'
	typeBlock   = '4'
	typeDir     = '5'
	typeFifo    = '6'
)

// Node is everything that can be seen of one path.
type Node struct {
	Type     byte
	Mode     uint32 // permission bits with setuid, setgid and sticky
	UID, GID uint32
	Sec      int64 // modification time
	Nsec     int64
	Data     []byte // content of a regular file
	Link     string // target of a symbolic link
	Major    uint32 // of a device
	Minor    uint32
	Xattrs   map[string]string

	// Group is the first name, in byte order, of all that are the same file;
	// empty for a file with one name.
	Group string

	// Opaque marks a directory of a layer that hides what is below it. No tree
	// that ReadTar returns has one.
	Opaque bool
}

// Tree is a file system: clean relative paths without the root.
type Tree map[string]*Node

// names returns the paths in byte order.
func (t Tree) names() []string { return slices.Sorted(maps.Keys(t)) }

// whiteout reports whether the node hides a lower path when it lies in a layer.
func (n *Node) whiteout() bool {
	return n.Type == typeChar && n.Major == 0 && n.Minor == 0
}

// sameMeta reports whether two nodes agree in all that chmod, chown and setxattr
// change.
func (n *Node) sameMeta(m *Node) bool {
	return n.Mode == m.Mode && n.UID == m.UID && n.GID == m.GID && maps.Equal(n.Xattrs, m.Xattrs)
}

// String is the node on one line.
func (n *Node) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %04o %d:%d %s", typeName(n.Type), n.Mode, n.UID, n.GID, timeString(n.Sec, n.Nsec))
	switch n.Type {
	case typeReg:
		fmt.Fprintf(&b, " %d bytes", len(n.Data))
	case typeSymlink:
		fmt.Fprintf(&b, " -> %q", n.Link)
	case typeChar, typeBlock:
		fmt.Fprintf(&b, " %d:%d", n.Major, n.Minor)
	}
	for _, k := range slices.Sorted(maps.Keys(n.Xattrs)) {
		fmt.Fprintf(&b, " %s=%q", k, n.Xattrs[k])
	}
	if n.Group != "" {
		fmt.Fprintf(&b, " one file with %q", n.Group)
	}
	if n.Opaque {
		b.WriteString(" opaque")
	}
	return b.String()
}

func typeName(t byte) string {
	switch t {
	case typeReg:
		return "file"
	case '1':
		return "hard link"
	case typeSymlink:
		return "symlink"
	case typeChar:
		return "char"
	case typeBlock:
		return "block"
	case typeDir:
		return "dir"
	case typeFifo:
		return "fifo"
	}
	return fmt.Sprintf("type %q", t)
}

func timeString(sec, nsec int64) string {
	return time.Unix(sec, nsec).UTC().Format("2006-01-02T15:04:05.999999999")
}

// Diff lists in what got differs from want, one line each, in byte order of the
// paths. Empty when they are the same.
func Diff(want, got Tree) []string {
	all := map[string]bool{}
	for p := range want {
		all[p] = true
	}
	for p := range got {
		all[p] = true
	}
	var out []string
	for _, p := range slices.Sorted(maps.Keys(all)) {
		w, g := want[p], got[p]
		switch {
		case w == nil:
			out = append(out, fmt.Sprintf("%q: extra: %s", p, g))
		case g == nil:
			out = append(out, fmt.Sprintf("%q: missing: %s", p, w))
		default:
			for _, d := range diffNode(w, g) {
				out = append(out, fmt.Sprintf("%q: %s", p, d))
			}
		}
	}
	return out
}

// diffNode lists the differences of one path.
func diffNode(w, g *Node) []string {
	if w.Type != g.Type {
		return []string{fmt.Sprintf("is %s, want %s", g, w)}
	}
	var out []string
	differ := func(what string, g, w any) {
		if g != w {
			out = append(out, fmt.Sprintf("%s %v, want %v", what, g, w))
		}
	}
	differ("mode", fmt.Sprintf("%04o", g.Mode), fmt.Sprintf("%04o", w.Mode))
	differ("owner", fmt.Sprintf("%d:%d", g.UID, g.GID), fmt.Sprintf("%d:%d", w.UID, w.GID))
	differ("time", timeString(g.Sec, g.Nsec), timeString(w.Sec, w.Nsec))
	differ("link", fmt.Sprintf("%q", g.Link), fmt.Sprintf("%q", w.Link))
	differ("device", fmt.Sprintf("%d:%d", g.Major, g.Minor), fmt.Sprintf("%d:%d", w.Major, w.Minor))
	differ("hard link group", fmt.Sprintf("%q", g.Group), fmt.Sprintf("%q", w.Group))
	if !bytes.Equal(w.Data, g.Data) {
		out = append(out, fmt.Sprintf("content of %d bytes %s, want %d bytes %s",
			len(g.Data), excerpt(g.Data), len(w.Data), excerpt(w.Data)))
	}
	for k, v := range w.Xattrs {
		if gv, ok := g.Xattrs[k]; !ok {
			out = append(out, fmt.Sprintf("xattr %s missing, want %q", k, v))
		} else if gv != v {
			out = append(out, fmt.Sprintf("xattr %s %q, want %q", k, gv, v))
		}
	}
	for k, v := range g.Xattrs {
		if _, ok := w.Xattrs[k]; !ok {
			out = append(out, fmt.Sprintf("xattr %s extra: %q", k, v))
		}
	}
	sort.Strings(out)
	return out
}

// excerpt is the beginning of a content, quoted.
func excerpt(b []byte) string {
	if len(b) > 32 {
		return fmt.Sprintf("%q…", b[:32])
	}
	return fmt.Sprintf("%q", b)
}

// setGroups fills in Group from the names of each file.
func setGroups(t Tree, files map[uint64][]string) {
	for _, names := range files {
		if len(names) < 2 {
			continue
		}
		first := slices.Min(names)
		for _, name := range names {
			t[name].Group = first
		}
	}
}
