// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"slices"
	"strings"

	"github.com/seed-81b0d42e/flatten/pkg/toc"
	"github.com/seed-81b0d42e/flatten/pkg/tree"
	"github.com/seed-81b0d42e/flatten/pkg/whiteout"
)

// Options say what counts beside what always does: type, mode, owner, content,
// target, device and extended attributes.
type Options struct {
	// FileTimes and DirTimes: modification times count, those of directories and
	// those of all else.
	FileTimes, DirTimes bool

	// HardLinks: it counts which names are one file.
	HardLinks bool

	// Brief: content is compared only where nothing else differs, to save reading
	// it. A change then lacks the aspect Content unless the sizes differ.
	Brief bool
}

// Pair is two regular files of the same size: the entries that hold their bytes.
type Pair struct{ Old, New whiteout.Position }

// SameContent tells for each pair whether the bytes of both files are the same.
// The same pair may come several times.
type SameContent func(pairs []Pair) ([]bool, error)

// Compare returns what makes before into after. same is called once, or not at all
// when nothing has to be read; its error is returned.
func Compare(before, after *tree.Tree, same SameContent, opts Options) ([]Change, error) {
	c := &comparison{
		opts: opts,
		old:  side{before, before.View(), map[int32]int32{}},
		new:  side{after, after.View(), map[int32]int32{}},
	}
	c.folders(tree.Root, tree.Root)
	if len(c.pairs) > 0 {
		equal, err := same(c.pairs)
		if err != nil {
			return nil, err
		}
		for i, n := range c.asked {
			if !equal[i] {
				c.found[n].Aspects |= Content
			}
		}
	}
	return slices.DeleteFunc(c.found, func(f Change) bool { return f.Kind == Changed && f.Aspects == 0 }), nil
}

// comparison is one call of Compare.
type comparison struct {
	opts     Options
	old, new side
	found    []Change // with those of which only the content can differ
	pairs    []Pair
	asked    []int // by pair: the index in found
}

// side is one of the two filesystems.
type side struct {
	*tree.Tree
	view  *whiteout.View
	first map[int32]int32 // by inode: the old index of the first of its names that both have
}

// folders compares what is in two folders. Its depth is bounded by the length of
// a path.
func (c *comparison) folders(old, new int32) {
	a, b := c.old.Children(old), c.new.Children(new)
	for len(a) > 0 || len(b) > 0 {
		order := 0
		switch {
		case len(b) == 0:
			order = -1
		case len(a) == 0:
			order = 1
		default:
			order = strings.Compare(c.old.Base(a[0]), c.new.Base(b[0]))
		}
		switch {
		case order < 0:
			c.all(&c.old, Deleted, a[0])
			a = a[1:]
		case order > 0:
			c.all(&c.new, Added, b[0])
			b = b[1:]
		default:
			c.both(a[0], b[0])
			a, b = a[1:], b[1:]
		}
	}
}

// all adds a path that one side alone has, and all below it.
func (c *comparison) all(s *side, kind Kind, id int32) {
	f := Change{Kind: kind, Path: s.view.Paths[id].Name, Old: id, New: -1}
	if kind == Added {
		f.Old, f.New = -1, id
	}
	c.found = append(c.found, f)
	for _, child := range s.Children(id) {
		c.all(s, kind, child)
	}
}

// both compares a path that both sides have, and all below it.
func (c *comparison) both(old, new int32) {
	c.path(old, new)
	a, b := c.old.Dir(old), c.new.Dir(new)
	switch {
	case a && b:
		c.folders(old, new)
	case a:
		for _, child := range c.old.Children(old) {
			c.all(&c.old, Deleted, child)
		}
	case b:
		for _, child := range c.new.Children(new) {
			c.all(&c.new, Added, child)
		}
	}
}

// path compares the path itself.
func (c *comparison) path(old, new int32) {
	p, q := &c.old.view.Paths[old], &c.new.view.Paths[new]
	a, b := c.old.view.Attributes(p), c.new.view.Attributes(q)
	f := Change{Kind: Changed, Path: q.Name, Old: old, New: new, Aspects: c.attributes(&a, &b)}
	if f.Aspects&Type == 0 && c.opts.HardLinks {
		c.links(&f, p, q)
	}
	ask := f.Aspects&Type == 0 && a.Type == toc.TypeReg && a.Size == b.Size && a.Size > 0 &&
		!(c.opts.Brief && f.Aspects != 0)
	if ask {
		pair := Pair{c.old.view.Content(p), c.new.view.Content(q)}
		if ask = !c.samePlace(pair); ask {
			c.pairs, c.asked = append(c.pairs, pair), append(c.asked, len(c.found))
		}
	}
	if ask || f.Aspects != 0 {
		c.found = append(c.found, f)
	}
}

// attributes compares all that tables of contents can tell.
func (c *comparison) attributes(a, b *whiteout.Attributes) Aspect {
	var d Aspect
	differ := func(aspect Aspect, differ bool) {
		if differ {
			d |= aspect
		}
	}
	differ(Mode, a.Mode != b.Mode)
	differ(Owner, a.UID != b.UID || a.GID != b.GID)
	differ(Xattrs, !slices.Equal(a.Xattrs, b.Xattrs))
	if a.Type != b.Type {
		return d&^Mode | Type
	}
	times := c.opts.FileTimes
	switch a.Type {
	case toc.TypeReg:
		differ(Content, a.Size != b.Size)
	case toc.TypeSymlink:
		differ(Target, a.Link != b.Link)
	case toc.TypeChar, toc.TypeBlock:
		differ(Device, a.Devmajor != b.Devmajor || a.Devminor != b.Devminor)
	case toc.TypeDir:
		times = c.opts.DirTimes
	}
	differ(Time, times && (a.Sec != b.Sec || a.Nsec != b.Nsec && a.Nsec != 0 && b.Nsec != 0))
	return d
}

// samePlace reports whether two bodies are the same bytes of the same tar stream.
func (c *comparison) samePlace(p Pair) bool {
	a, b := c.old.view.Layers[p.Old.Layer], c.new.view.Layers[p.New.Layer]
	return (a == b || a.DiffID != "" && a.DiffID == b.DiffID) && p.Old.Entry == p.New.Entry
}

// links compares what a path is another name of. Paths come in order, so that the
// first name of a file is seen first.
func (c *comparison) links(f *Change, p, q *whiteout.Path) {
	a, b := c.old.leader(p, f.Old), c.new.leader(q, f.Old)
	if a == b {
		return
	}
	f.Aspects |= HardLink
	if a != f.Old {
		f.OldLink = c.old.view.Paths[a].Name
	}
	if b != f.Old {
		f.NewLink = c.old.view.Paths[b].Name
	}
}

// leader is the first of the names of the file that a path is a name of, by its
// index in the old filesystem.
func (s *side) leader(p *whiteout.Path, old int32) int32 {
	if !p.Linked() {
		return old
	}
	if first, ok := s.first[p.Inode]; ok {
		return first
	}
	s.first[p.Inode] = old
	return old
}
