// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed-81b0d42e/flatten/pkg/toc"
	"github.com/seed-81b0d42e/flatten/pkg/tree"
	"github.com/seed-81b0d42e/flatten/pkg/whiteout"
)

// pathJSON is what ls --json prints of a path. Fields are added, never renamed.
// Text that is not UTF-8 cannot be a JSON string: then the field Bytes beside it
// has the bytes in base64.
type pathJSON struct {
	Path      string `json:"path"` // without a leading slash; "." is the root
	PathBytes []byte `json:"pathBytes,omitempty"`
	Type      string `json:"type"`
	Mode      string `json:"mode"` // octal
	UID       uint32 `json:"uid"`
	GID       uint32 `json:"gid"`
	User      string `json:"user,omitempty"`  // by the image's /etc/passwd
	Group     string `json:"group,omitempty"` // by the image's /etc/group
	Size      int64  `json:"size"`            // of a file, or of a link's target
	Time      string `json:"mtime"`           // RFC 3339, UTC

	Target      string  `json:"target,omitempty"` // of a symbolic link
	TargetBytes []byte  `json:"targetBytes,omitempty"`
	Major       *uint32 `json:"major,omitempty"`
	Minor       *uint32 `json:"minor,omitempty"`

	// Xattrs are the extended attributes, the values in base64.
	Xattrs map[string][]byte `json:"xattrs,omitempty"`

	// Links is the number of hard links, as ls -l has it. Names of one file
	// have the same group: the first of its names in byte order.
	Links          int    `json:"links"`
	LinkGroup      string `json:"linkGroup,omitempty"`
	LinkGroupBytes []byte `json:"linkGroupBytes,omitempty"`

	// Layer is the index, lowest first from 0, of the layer that the path comes
	// from: see layerOf. Null for a root without an entry. Implied: that layer
	// has no entry for the directory, only for what is in it.
	Layer       *int   `json:"layer"`
	LayerDigest string `json:"layerDigest,omitempty"`
	LayerDiffID string `json:"layerDiffID,omitempty"`
	Implied     bool   `json:"implied,omitempty"`

	// ContentLayer is that of a file's content, when its name came later.
	ContentLayer *int `json:"contentLayer,omitempty"`
}

// typeNames are the types of paths, by the digit of a tar entry's type.
var typeNames = [...]string{"file", "", "symlink", "char", "block", "directory", "fifo"}

// jsonPrinter prints an object a line.
type jsonPrinter struct {
	tree   *tree.Tree
	out    *bufio.Writer
	owners *owners
	groups map[int32]string
}

func (p *jsonPrinter) heading(string, bool) {}

func (p *jsonPrinter) block(rows []row) {
	for _, r := range rows {
		line, err := marshalJSON(p.path(r.id), "")
		if err != nil {
			panic("internal error: " + err.Error()) // strings, numbers and bytes can be encoded
		}
		p.out.WriteString(line)
	}
}

func (p *jsonPrinter) path(id int32) *pathJSON {
	path, a := pathOf(p.tree, id), attributes(p.tree, id)
	j := &pathJSON{
		Path: path.Name, PathBytes: odd(path.Name),
		Type: typeNames[a.Type-'0'], Mode: fmt.Sprintf("%04o", a.Mode),
		UID: a.UID, GID: a.GID, User: p.owners.users[a.UID], Group: p.owners.groups[a.GID],
		Size: a.Size, Time: time.Unix(a.Sec, int64(a.Nsec)).UTC().Format(time.RFC3339Nano),
		Target: a.Link, TargetBytes: odd(a.Link),
		Links: linkCount(p.tree, id),
	}
	if id == tree.Root {
		j.Path = "."
	}
	if a.Type == toc.TypeSymlink {
		j.Size = int64(len(a.Link))
	}
	if a.Type == toc.TypeChar || a.Type == toc.TypeBlock {
		j.Major, j.Minor = &a.Devmajor, &a.Devminor
	}
	if path.Linked() {
		j.LinkGroup = p.groups[path.Inode]
		j.LinkGroupBytes = odd(j.LinkGroup)
	}
	for _, x := range a.Xattrs {
		if j.Xattrs == nil {
			j.Xattrs = map[string][]byte{}
		}
		j.Xattrs[strings.TrimPrefix(x.Key, toc.XattrPrefix)] = []byte(x.Value)
	}
	p.layer(j, path, id)
	return j
}

func (p *jsonPrinter) layer(j *pathJSON, path *whiteout.Path, id int32) {
	i := layerOf(p.tree, id)
	if i < 0 {
		return
	}
	l := p.tree.View().Layers[i]
	j.Layer, j.LayerDigest, j.LayerDiffID = &i, string(l.Digest), string(l.DiffID)
	j.Implied = path.At == whiteout.Implied
	if content := int(p.tree.View().Content(path).Layer); path.Linked() && content != i {
		j.ContentLayer = &content
	}
}

// odd is text that is not UTF-8, and nil for other text.
func odd(s string) []byte {
	if utf8.ValidString(s) {
		return nil
	}
	return []byte(s)
}

// linkGroups are the files with several names, by inode: the first of the names.
func linkGroups(v *whiteout.View) map[int32]string {
	first := map[int32]string{}
	for i := range v.Paths {
		path := &v.Paths[i]
		if !path.Linked() || v.Inodes[path.Inode].Names < 2 {
			continue
		}
		if name, ok := first[path.Inode]; !ok || path.Name < name {
			first[path.Inode] = path.Name
		}
	}
	return first
}
