// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-81b0d42e/flatten/pkg/diff"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
	"github.com/seed-81b0d42e/flatten/pkg/tree"
	"github.com/seed-81b0d42e/flatten/pkg/whiteout"
)

// changeJSON is a change as --json prints it. Fields are added, never renamed.
type changeJSON struct {
	Kind      string `json:"kind"` // A, C or D
	Path      string `json:"path"` // without a leading slash, as in ls --json
	PathBytes []byte `json:"pathBytes,omitempty"`

	// Changes are the aspects that differ, by the names of diff.Aspect; empty for
	// a directory that is listed for what is in it.
	Changes []string `json:"changes,omitempty"`

	// Layer is the index, lowest first from 0, of the layer that made the change,
	// Digest and DiffID its own; not set when two images are compared.
	Layer  *int   `json:"layer,omitempty"`
	Digest string `json:"layerDigest,omitempty"`
	DiffID string `json:"layerDiffID,omitempty"`

	// Old and New are the path before and after, as ls --json prints it.
	Old *pathJSON `json:"old,omitempty"`
	New *pathJSON `json:"new,omitempty"`
}

// changePrinter shows changes from one filesystem to another.
type changePrinter struct {
	before, after *whiteout.View
	quote         func(name, also string) string
	json          [2]*jsonPrinter // before, after; set when first used
}

func newChangePrinter(before, after *whiteout.View, tty bool) *changePrinter {
	p := &changePrinter{before: before, after: after, quote: quotePipe}
	if tty {
		p.quote = quoteTTY
	}
	return p
}

// brief is a change as Docker prints it.
func (p *changePrinter) brief(c *diff.Change) string {
	return c.Kind.String() + " " + p.quote("/"+c.Path, "")
}

// full is a change with what differs behind a tab.
func (p *changePrinter) full(c *diff.Change) string {
	if c.Aspects == 0 {
		return p.brief(c)
	}
	return p.brief(c) + "\t" + p.detailText(c)
}

// detailText says on one line what differs.
func (p *changePrinter) detailText(c *diff.Change) string {
	return strings.Join(p.details(c), ", ")
}

// details say for each aspect what it was and is.
func (p *changePrinter) details(c *diff.Change) []string {
	a, b := p.before.Attributes(&p.before.Paths[c.Old]), p.after.Attributes(&p.after.Paths[c.New])
	var list []string
	add := func(aspect diff.Aspect, format string, args ...any) {
		if c.Aspects&aspect != 0 {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	add(diff.Type, "%s -> %s", typeNames[a.Type-'0'], typeNames[b.Type-'0'])
	add(diff.Mode, "mode %04o -> %04o", a.Mode, b.Mode)
	add(diff.Owner, "owner %d:%d -> %d:%d", a.UID, a.GID, b.UID, b.GID)
	if a.Size != b.Size {
		add(diff.Content, "size %d -> %d", a.Size, b.Size)
	} else {
		add(diff.Content, "content")
	}
	add(diff.Target, "target %s -> %s", p.quote(a.Link, ","), p.quote(b.Link, ","))
	add(diff.Device, "device %d,%d -> %d,%d", a.Devmajor, a.Devminor, b.Devmajor, b.Devminor)
	if c.Aspects&diff.Xattrs != 0 {
		list = append(list, p.xattrs(a.Xattrs, b.Xattrs)...)
	}
	add(diff.HardLink, "%s -> %s", p.link(c.OldLink), p.link(c.NewLink))
	add(diff.Time, "time %s -> %s", timeText(a.Sec, a.Nsec), timeText(b.Sec, b.Nsec))
	return list
}

// xattrs say which extended attributes differ.
func (p *changePrinter) xattrs(a, b []toc.Record) []string {
	name := func(r toc.Record) string { return p.quote(strings.TrimPrefix(r.Key, toc.XattrPrefix), ",") }
	var list []string
	for _, r := range a {
		i := slices.IndexFunc(b, func(other toc.Record) bool { return other.Key == r.Key })
		switch {
		case i < 0:
			list = append(list, "without xattr "+name(r))
		case b[i].Value != r.Value:
			list = append(list, "xattr "+name(r))
		}
	}
	for _, r := range b {
		if !slices.ContainsFunc(a, func(other toc.Record) bool { return other.Key == r.Key }) {
			list = append(list, "with xattr "+name(r))
		}
	}
	return list
}

// link says what a path is a name of.
func (p *changePrinter) link(to string) string {
	if to == "" {
		return "file of its own"
	}
	return "hard link to " + p.quote("/"+to, ",")
}

func timeText(sec int64, nsec int32) string {
	return time.Unix(sec, int64(nsec)).UTC().Format(time.RFC3339Nano)
}

// object is a change as JSON has it.
func (p *changePrinter) object(c *diff.Change) *changeJSON {
	if p.json[0] == nil {
		for i, v := range []*whiteout.View{p.before, p.after} {
			p.json[i] = &jsonPrinter{tree: tree.Of(v), owners: &owners{}, groups: linkGroups(v)}
		}
	}
	j := &changeJSON{Kind: c.Kind.String(), Path: c.Path, PathBytes: odd(c.Path), Changes: c.Aspects.Names()}
	if c.Old >= 0 {
		j.Old = p.json[0].path(c.Old)
	}
	if c.New >= 0 {
		j.New = p.json[1].path(c.New)
	}
	return j
}
