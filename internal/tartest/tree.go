// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package tartest

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Tree is the filesystem that a tar holds.
type Tree struct {
	// Nodes are the paths in byte order, without the root.
	Nodes []Node

	// Root is the root directory's entry, nil when there is none.
	Root *Node

	// Faults say where the tar breaks the output contract, rules 167 to 169.
	Faults []string
}

// Node is one path of a tree. Names of one file (hard links) have the same
// metadata; the first of them in byte order has the content.
type Node struct {
	Path         string // clean, relative, without a trailing slash
	Type         byte   // a type flag of archive/tar: TypeReg, TypeDir, …
	Mode         int64
	UID, GID     int
	Uname, Gname string
	ModTime      time.Time
	Body         []byte   // of a regular file
	Target       string   // of a symbolic link
	Same         string   // the first of the paths that are this file, if another
	Major, Minor int64    // of a device
	Xattrs       []Record // sorted; keys without "SCHILY.xattr."

	// Records are the PAX records that say nothing of what a container sees:
	// atime, comments, other tools' own. Sorted.
	Records []Record
}

// Read reads a tar, which need not hold to the output contract to be read.
func Read(tarball []byte) (*Tree, error) {
	src := bytes.NewReader(tarball)
	r := &reader{tar: tar.NewReader(src), tree: &Tree{}, seen: map[string]int{}}
	end := int64(0) // where the last entry's padding ends
	for {
		hdr, err := r.tar.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(r.tar)
		if err != nil {
			return nil, err
		}
		end = (int64(len(tarball)-src.Len()) + blockSize - 1) / blockSize * blockSize
		r.add(hdr, body)
	}
	if tail := tarball[min(end, int64(len(tarball))):]; !bytes.Equal(tail, make([]byte, 2*blockSize)) {
		r.fault("the last entry is followed by %d bytes, not by two zero blocks", len(tail))
	}
	r.finish()
	return r.tree, nil
}

// reader gathers a tree entry by entry.
type reader struct {
	tar  *tar.Reader
	tree *Tree
	seen map[string]int // path to index in tree.Nodes, in the tar's order
}

func (r *reader) fault(format string, args ...any) {
	r.tree.Faults = append(r.tree.Faults, fmt.Sprintf(format, args...))
}

// add adds an entry and checks it against those before it.
func (r *reader) add(hdr *tar.Header, body []byte) {
	r.checkHeader(hdr)
	if hdr.Typeflag == tar.TypeXGlobalHeader {
		return
	}
	n := newNode(hdr, body)
	if n.Path == "." {
		r.tree.Root = &n
		return
	}
	if _, twice := r.seen[n.Path]; twice {
		r.fault("%q: a second time", n.Path)
	}
	if i := strings.LastIndexByte(n.Path, '/'); i >= 0 {
		parent, ok := r.seen[n.Path[:i]]
		if !ok || r.tree.Nodes[parent].Type != tar.TypeDir {
			r.fault("%q: no directory entry for its parent before it", n.Path)
		}
	}
	if hdr.Typeflag == tar.TypeLink {
		n = r.link(n, hdr)
	}
	r.seen[n.Path] = len(r.tree.Nodes)
	r.tree.Nodes = append(r.tree.Nodes, n)
}

// link is the node of a hard link: the file that it names, by another path.
func (r *reader) link(n Node, hdr *tar.Header) Node {
	i, ok := r.seen[hdr.Linkname]
	if !ok {
		r.fault("%q: hard link to %q, which is not before it", n.Path, hdr.Linkname)
		return n
	}
	first := r.tree.Nodes[i]
	if first.Same != "" {
		r.fault("%q: hard link to %q, which is a hard link itself", n.Path, hdr.Linkname)
	}
	symlink := first.Type == tar.TypeSymlink
	if n.Mode != first.Mode && !symlink || n.UID != first.UID || n.GID != first.GID || !n.ModTime.Equal(first.ModTime) {
		r.fault("%q: hard link whose mode, owner or time is not that of %q", n.Path, first.Path)
	}
	for _, x := range n.Xattrs {
		if !slices.Contains(first.Xattrs, x) {
			r.fault("%q: hard link with attribute %q, which %q has not", n.Path, x.Key, first.Path)
		}
	}
	path := n.Path
	n = first
	n.Path, n.Same = path, first.Path
	return n
}

// finish sorts the paths and gives the content of each file to the first of its
// names.
func (r *reader) finish() {
	nodes := r.tree.Nodes
	least := map[string]string{} // primary in the tar's order, to first in byte order
	for _, n := range nodes {
		primary := n.primary()
		if first, ok := least[primary]; !ok || n.Path < first {
			least[primary] = n.Path
		}
	}
	for i, n := range nodes {
		nodes[i].Same = ""
		if first := least[n.primary()]; first != n.Path {
			nodes[i].Same = first
		}
	}
	slices.SortStableFunc(nodes, func(a, b Node) int { return strings.Compare(a.Path, b.Path) })
}

func (n *Node) primary() string {
	if n.Same != "" {
		return n.Same
	}
	return n.Path
}
