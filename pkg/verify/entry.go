// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// entryCheck goes through the entries of an archive in their order.
type entryCheck struct {
	*check
	entries []toc.Entry
	at      int            // the entry that is looked at
	seen    map[string]int // by clean path: the last entry for it so far
	end     int64          // where the entry before ends

	replaced bool            // something came in the place of a directory
	lacking  map[string]bool // folders without an entry that were told of
	all      map[string]int  // by clean path: the last entry for it; made when first needed
}

func newEntryCheck(c *check) *entryCheck {
	return &entryCheck{
		check: c, entries: c.layer.Entries,
		seen: make(map[string]int, len(c.layer.Entries)), lacking: map[string]bool{},
	}
}

// found adds a problem of the entry that is looked at.
func (c *entryCheck) found(kind Kind, format string, args ...any) {
	e := &c.entries[c.at]
	c.problems.add(Problem{kind, e.Name, e.Start, fmt.Sprintf(format, args...)})
}

// entry looks at an entry; those before have been looked at.
func (c *entryCheck) entry(i int) {
	c.at = i
	e := &c.entries[i]
	if e.Start > c.end {
		c.problems.add(Problem{Clean, "", c.end, fmt.Sprintf("%d bytes of headers that are no entry's, such as a global PAX header", e.Start-c.end)})
	}
	c.end = e.End()
	if e.Extra != nil && e.Extra.IsSparse {
		c.found(Clean, "a sparse file, which not every reader expands")
	}
	name := c.cleanName(e)
	if name == "" {
		return
	}
	c.folders(name)
	if e.Type == toc.TypeLink {
		c.link(e)
	}
	if before, twice := c.seen[name]; twice {
		c.found(Clean, "the path stands twice, before at byte %d", c.entries[before].Start)
		c.replaced = c.replaced || e.Type != toc.TypeDir && c.entries[before].Type == toc.TypeDir
	}
	c.seen[name] = i
}

// cleanName judges the name of an entry and returns it as a clean path, empty when
// it is not one below the root.
func (c *entryCheck) cleanName(e *toc.Entry) string {
	name, how := clean(e.Name)
	switch {
	case how != "":
		c.found(Unsafe, "the name %s", how)
		return ""
	case name == "":
		if !c.opts.RootEntry || c.at > 0 || e.Name != "./" || e.Type != toc.TypeDir {
			c.found(Clean, "an entry for the root")
		}
		return ""
	}
	want := name
	if e.Type == toc.TypeDir {
		want += "/"
	}
	if e.Name != want {
		c.found(Clean, "the name is not clean: that would be %s", image.Quote(want))
	}
	if e.Type != toc.TypeDir && strings.HasPrefix(path.Base(name), ".wh.") {
		c.found(Clean, "a whiteout")
	}
	return name
}

// clean is a name as a path below the root, empty for the root itself. how says how
// the name leads out of the folder that it is unpacked in.
func clean(name string) (p, how string) {
	switch p = path.Clean(name); {
	case strings.HasPrefix(name, "/"):
		return "", "is absolute"
	case p == "..", strings.HasPrefix(p, "../"):
		return "", "climbs out of the root"
	case p == ".":
		return "", ""
	}
	return p, ""
}

// folders judges the way to a path. Those around a directory were judged when that
// came, unless something was replaced since.
func (c *entryCheck) folders(name string) {
	for {
		slash := strings.LastIndexByte(name, '/')
		if slash < 0 {
			return
		}
		name = name[:slash]
		i, ok := c.seen[name]
		switch {
		case !ok && !c.lacking[name]:
			c.lacking[name] = true
			c.found(Clean, "no entry for the folder %s before it", image.Quote(name+"/"))
		case !ok:
		case c.entries[i].Type == toc.TypeSymlink:
			c.found(Unsafe, "the folder %s is a symbolic link to %s, at byte %d", image.Quote(name), image.Quote(c.entries[i].Link()), c.entries[i].Start)
			return
		case c.entries[i].Type != toc.TypeDir:
			c.found(Tar, "the folder %s is no directory, at byte %d", image.Quote(name), c.entries[i].Start)
			return
		case !c.replaced:
			return
		}
	}
}

// link judges the target of a hard link.
func (c *entryCheck) link(e *toc.Entry) {
	target, how := clean(e.Link())
	if how != "" {
		c.found(Unsafe, "the target %s of the hard link %s", image.Quote(e.Link()), how)
		return
	}
	i, ok := c.seen[target]
	if !ok {
		i, ok = c.anywhere(target)
		switch {
		case !ok:
			c.found(Tar, "a hard link to %s, which is not in the archive", image.Quote(e.Link()))
			return
		case i == c.at:
			c.found(Tar, "a hard link to itself")
			return
		}
		c.found(Clean, "a hard link to %s, which comes later, at byte %d", image.Quote(e.Link()), c.entries[i].Start)
	}
	file := &c.entries[i]
	switch {
	case file.Type == toc.TypeDir:
		c.found(Tar, "a hard link to %s, which is a directory", image.Quote(e.Link()))
	case file.Type == toc.TypeLink:
		c.found(Clean, "a hard link to %s, which is a hard link itself", image.Quote(e.Link()))
	case !agree(e, file):
		c.found(Clean, "mode, owner, time or attributes of the hard link are not those of %s", image.Quote(e.Link()))
	}
	if e.Link() != target {
		c.found(Clean, "the target of the hard link is not clean: %s", image.Quote(e.Link()))
	}
}

// agree reports whether it makes no difference if an extractor applies a hard
// link's own header to the file.
func agree(link, file *toc.Entry) bool {
	if link.Mode != file.Mode && file.Type != toc.TypeSymlink ||
		link.UID != file.UID || link.GID != file.GID || link.Sec != file.Sec || link.Nsec != file.Nsec {
		return false
	}
	if link.Extra == nil {
		return true
	}
	for _, r := range link.Extra.Records {
		if strings.HasPrefix(r.Key, toc.XattrPrefix) && (file.Extra == nil || !slices.Contains(file.Extra.Records, r)) {
			return false
		}
	}
	return true
}

// anywhere finds a path in the whole archive.
func (c *entryCheck) anywhere(name string) (int, bool) {
	if c.all == nil {
		c.all = make(map[string]int, len(c.entries))
		for i := range c.entries {
			if p, _ := clean(c.entries[i].Name); p != "" {
				c.all[p] = i
			}
		}
	}
	i, ok := c.all[name]
	return i, ok
}

// The rules of docs/semantics.md about the stream as a whole: see stream.end.
const (
	ruleGlobal  = 97
	ruleNoEnd   = 130
	ruleAnother = 132
)

// warning makes a problem of what the scanner tolerates, but for what has been
// judged here.
func (c *entryCheck) warning(w image.Warning) {
	switch w.Rule {
	case ruleGlobal, ruleNoEnd, ruleAnother:
		return
	}
	p := Problem{Clean, w.Entry, -1, w.Text}
	if name, _ := clean(w.Entry); name != "" {
		if i, ok := c.anywhere(name); ok {
			p.Offset = c.entries[i].Start
		}
	}
	c.problems.add(p)
}
