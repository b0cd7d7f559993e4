// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package tartest

import (
	"archive/tar"
	"crypto/sha256"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

const xattrPrefix = "SCHILY.xattr."

// The records that archive/tar turns into fields of a header.
var fields = []string{
	"path", "linkpath", "size", "uid", "gid", "uname", "gname", "mtime",
}

func newNode(hdr *tar.Header, body []byte) Node {
	n := Node{
		Path:    path.Clean(strings.TrimLeft(hdr.Name, "/")),
		Type:    hdr.Typeflag,
		Mode:    hdr.Mode & 0o7777, // no reader heeds the others (rule 110)
		UID:     hdr.Uid,
		GID:     hdr.Gid,
		Uname:   hdr.Uname,
		Gname:   hdr.Gname,
		ModTime: hdr.ModTime,
		Body:    body,
		Major:   hdr.Devmajor,
		Minor:   hdr.Devminor,
	}
	if n.Type == tar.TypeSymlink {
		n.Target = hdr.Linkname
	}
	for key, value := range hdr.PAXRecords {
		if name, ok := strings.CutPrefix(key, xattrPrefix); ok {
			n.Xattrs = append(n.Xattrs, Record{name, value})
		} else if !slices.Contains(fields, key) {
			n.Records = append(n.Records, Record{key, value})
		}
	}
	byKey := func(a, b Record) int { return strings.Compare(a.Key, b.Key) }
	slices.SortFunc(n.Xattrs, byKey)
	slices.SortFunc(n.Records, byKey)
	return n
}

// checkHeader checks what one header alone can break of the contract.
func (r *reader) checkHeader(hdr *tar.Header) {
	name := strings.TrimSuffix(hdr.Name, "/")
	switch hdr.Typeflag {
	case tar.TypeReg, tar.TypeLink, tar.TypeSymlink, tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		if hdr.Name != name {
			r.fault("%q: trailing slash, but no directory", hdr.Name)
		}
	case tar.TypeDir:
		if hdr.Name == name {
			r.fault("%q: directory without a trailing slash", hdr.Name)
		}
	default:
		r.fault("%q: type %q", hdr.Name, hdr.Typeflag)
		return
	}
	if name == "." {
		return // the root: for the caller to judge
	}
	if name != path.Clean(name) || name == ".." || strings.HasPrefix(name, "/") || strings.HasPrefix(name, "../") {
		r.fault("%q: not a clean relative name", hdr.Name)
	}
	// A folder may have such a name when it is not a whiteout (rule 24).
	if strings.HasPrefix(path.Base(name), ".wh.") && hdr.Typeflag != tar.TypeDir {
		r.fault("%q: a whiteout", hdr.Name)
	}
	if hdr.Typeflag == tar.TypeLink && hdr.Linkname != path.Clean(hdr.Linkname) {
		r.fault("%q: link name %q is not clean", hdr.Name, hdr.Linkname)
	}
	if hdr.Mode&^0o177777 != 0 {
		r.fault("%q: mode %o", hdr.Name, hdr.Mode)
	}
}

// Lines are the paths of the tree, one on a line, in byte order. A line is made
// of, leaving out what a line of a test seldom needs:
//
//	d/                 a directory             f "1"         a file
//	s -> t             a symbolic link         g == f        another name of f
//	c char 1,3         a character device      b block 8,0   a block device
//	p fifo             a named pipe
//	0600               the mode, unless 0755 for a directory or 0644 for others
//	1:2                owner and group, unless 0:0
//	@5                 the time, unless [Time]
//	user.k="v"         an extended attribute
//	(root:wheel)       the owner's and the group's name, unless both are empty
//	{comment=hello}    a PAX record of no effect
//
// Another name of a file has no such additions: they are on the first. Names
// with unusual characters are quoted.
func (t *Tree) Lines() []string {
	lines := make([]string, 0, len(t.Nodes))
	for _, n := range t.Nodes {
		lines = append(lines, n.String())
	}
	return lines
}

// String is the node on one line, as [Tree.Lines] says.
func (n Node) String() string {
	name := quote(n.Path)
	if n.Same != "" {
		return name + " == " + quote(n.Same)
	}
	usual := int64(0o644)
	switch n.Type {
	case tar.TypeDir:
		name, usual = name+"/", 0o755
	case tar.TypeReg:
		name += " " + Content(string(n.Body))
	case tar.TypeSymlink:
		name, usual = name+" -> "+quote(n.Target), n.Mode // no system keeps it
	case tar.TypeChar:
		name += fmt.Sprintf(" char %d,%d", n.Major, n.Minor)
	case tar.TypeBlock:
		name += fmt.Sprintf(" block %d,%d", n.Major, n.Minor)
	case tar.TypeFifo:
		name += " fifo"
	default:
		name += fmt.Sprintf(" type %q", n.Type)
	}
	if n.Mode != usual {
		name += fmt.Sprintf(" %04o", n.Mode)
	}
	return name + n.rest()
}

// rest is the additions from the owner on.
func (n Node) rest() string {
	var s string
	if n.UID != 0 || n.GID != 0 {
		s += fmt.Sprintf(" %d:%d", n.UID, n.GID)
	}
	if sec, nsec := n.ModTime.Unix(), n.ModTime.Nanosecond(); sec != Time || nsec != 0 {
		s += fmt.Sprintf(" @%d", sec)
		if nsec != 0 {
			s += strings.TrimRight(fmt.Sprintf(".%09d", nsec), "0")
		}
	}
	for _, x := range n.Xattrs {
		s += fmt.Sprintf(" %s=%q", x.Key, x.Value)
	}
	if n.Uname != "" || n.Gname != "" {
		s += fmt.Sprintf(" (%s:%s)", n.Uname, n.Gname)
	}
	for _, x := range n.Records {
		s += fmt.Sprintf(" {%s=%s}", x.Key, x.Value)
	}
	return s
}

// Content is a file's content as a line of a tree has it: quoted or, when it is
// long, its size and the beginning of its SHA-256.
func Content(body string) string {
	if len(body) <= 64 {
		return strconv.Quote(body)
	}
	return fmt.Sprintf("%d bytes %.4x", len(body), sha256.Sum256([]byte(body)))
}

// quote quotes a name that holds more than plain characters.
func quote(name string) string {
	if q := strconv.Quote(name); q != `"`+name+`"` || strings.ContainsAny(name, " ") {
		return q
	}
	return name
}
