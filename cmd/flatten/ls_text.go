// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"strconv"

	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten/pkg/toc"
	"github.com/seed-81b0d42e/flatten/pkg/tree"
	"github.com/seed-81b0d42e/flatten/pkg/whiteout"
)

// textPrinter prints rows for people and for what reads lines.
type textPrinter struct {
	tree        *tree.Tree
	out         *bufio.Writer
	null, layer bool
	quote       func(name, also string) string
	long        *long // nil: names alone
}

func (p *textPrinter) heading(name string, first bool) {
	if p.null {
		return
	}
	if !first {
		p.out.WriteByte('\n')
	}
	p.out.WriteString(p.quote(name, ":") + ":\n")
}

func (p *textPrinter) block(rows []row) {
	var columns []columns
	var widths columnWidths
	anyQuoted := false
	if p.long != nil {
		for _, r := range rows {
			c := p.long.columns(p.tree, r.id)
			widths.add(&c)
			columns = append(columns, c)
			anyQuoted = anyQuoted || p.long.tty && p.quote(r.name, "") != r.name
		}
	}
	for i, r := range rows {
		if p.layer {
			p.layerColumn(r.id)
		}
		name := p.name(r)
		if p.long == nil {
			p.out.WriteString(name)
		} else {
			if anyQuoted && !p.null && name == r.name {
				name = " " + name // as GNU ls aligns what has no quotes
			}
			p.out.WriteString(widths.line(&columns[i]) + name + p.target(r.id))
		}
		if p.null {
			p.out.WriteByte(0)
		} else {
			p.out.WriteByte('\n')
		}
	}
}

func (p *textPrinter) name(r row) string {
	if p.null {
		return r.path
	}
	return p.quote(r.name, "")
}

// target is where a link leads to.
func (p *textPrinter) target(id int32) string {
	a := attributes(p.tree, id)
	switch {
	case a.Type != toc.TypeSymlink:
		return ""
	case p.null:
		return " -> " + a.Link
	}
	return " -> " + p.quote(a.Link, "")
}

// layerColumn prints the number of a path's layer and the beginning of its
// digest.
func (p *textPrinter) layerColumn(id int32) {
	layers := p.tree.View().Layers
	width := len(strconv.Itoa(len(layers)))
	i := layerOf(p.tree, id)
	if i < 0 { // the root, when no layer has an entry for it
		fmt.Fprintf(p.out, "%*s %-19s  ", width, "-", "-")
		return
	}
	fmt.Fprintf(p.out, "%*d %s  ", width, i+1, shortDigest(layers[i].Digest))
}

// layerOf is the index of the layer that a path comes from: for a directory the
// one that its metadata is of, or the one that first implied it. -1 for a root
// without an entry.
func layerOf(t *tree.Tree, id int32) int {
	path := pathOf(t, id)
	if path.At != whiteout.Implied {
		return int(path.At.Layer)
	}
	return int(path.First.Layer)
}

// pathOf is the path with an index, the root among them.
func pathOf(t *tree.Tree, id int32) *whiteout.Path {
	v := t.View()
	switch {
	case id != tree.Root:
		return &v.Paths[id]
	case v.Root != nil:
		return v.Root
	}
	return &whiteout.Path{At: whiteout.Implied, First: whiteout.Implied, Parent: tree.Root, Inode: -1, Dir: true}
}

func attributes(t *tree.Tree, id int32) whiteout.Attributes {
	return t.View().Attributes(pathOf(t, id))
}

// linkCount is how many names a path's file has: for a folder its own, ".", and
// the ".." of each folder in it.
func linkCount(t *tree.Tree, id int32) int {
	if t.Dir(id) {
		n := 2
		for _, child := range t.Children(id) {
			if t.Dir(child) {
				n++
			}
		}
		return n
	}
	if path := pathOf(t, id); path.Linked() {
		return int(t.View().Inodes[path.Inode].Names)
	}
	return 1
}

// shortDigest is enough of a digest for people.
func shortDigest(d digest.Digest) string {
	const n = len("sha256:") + 12
	return string(d[:min(n, len(d))])
}
