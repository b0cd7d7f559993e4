// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	"github.com/seed-81b0d42e/flatten/pkg/toc"
	"github.com/seed-81b0d42e/flatten/pkg/whiteout"
)

// choosePrimaries picks for each inode the name that carries its body: in the
// order of paths for a canonical output, otherwise the name that stands with
// the body in its layer, or the first of those that survived.
func (p *Plan) choosePrimaries() {
	for i := range p.primary {
		p.primary[i] = -1
	}
	for i := range p.View.Paths {
		path := &p.View.Paths[i]
		if !path.Linked() {
			continue
		}
		first := &p.primary[path.Inode]
		if *first < 0 || p.precedes(path, &p.View.Paths[*first]) {
			*first = int32(i)
		}
	}
}

// precedes reports whether a is a better primary than b, another name of the
// same file.
func (p *Plan) precedes(a, b *whiteout.Path) bool {
	if p.opts.Canonical {
		return ComparePaths(a.Name, b.Name) < 0
	}
	body := p.View.Inodes[a.Inode].Body
	if (a.At == body) != (b.At == body) {
		return a.At == body
	}
	if a.At.Layer != b.At.Layer {
		return a.At.Layer < b.At.Layer
	}
	return a.At.Entry < b.At.Entry
}

// ComparePaths orders paths as a walk does that visits the names in a folder in
// the order of their bytes, and what is in a folder right after it.
func ComparePaths(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			switch {
			case a[i] == '/':
				return -1
			case b[i] == '/':
				return 1
			}
			return int(a[i]) - int(b[i])
		}
	}
	return len(a) - len(b)
}

// canonical plans all entries by path.
func (p *Plan) canonical() {
	order := make([]int32, len(p.View.Paths))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		return ComparePaths(p.View.Paths[a].Name, p.View.Paths[b].Name)
	})
	for _, i := range order {
		p.rewrite(i)
	}
}

// layered plans all entries in the order of the layers.
func (p *Plan) layered() {
	q := queue{
		Plan:    p,
		done:    make([]bool, len(p.View.Paths)),
		waiting: map[int32][]int32{},
	}
	first, next := q.byPosition()
	for _, i := range first {
		for ; i >= 0; i = next[i] {
			q.emit(i)
		}
	}
}

// queue is the state of planning in the order of the layers.
type queue struct {
	*Plan
	done    []bool            // by path: it stands in the plan
	waiting map[int32][]int32 // by inode: links that came before their primary
}

// byPosition sorts paths by where they are to stand: first[n] is the first path
// for the n-th entry of all layers, and next chains the others for the same.
func (q *queue) byPosition() (first, next []int32) {
	start := make([]int, len(q.View.Layers)+1)
	for i, l := range q.View.Layers {
		start[i+1] = start[i] + len(l.Entries)
	}
	first = slices.Repeat([]int32{-1}, start[len(start)-1])
	next = make([]int32, len(q.View.Paths))
	for i := len(q.View.Paths) - 1; i >= 0; i-- {
		at := q.position(int32(i))
		n := start[at.Layer] + int(at.Entry)
		next[i], first[n] = first[n], int32(i)
	}
	return first, next
}

// position is the entry in whose place a path stands.
func (q *queue) position(i int32) whiteout.Position {
	path := &q.View.Paths[i]
	if path.Linked() && q.primary[path.Inode] == i {
		return q.View.Inodes[path.Inode].Body
	}
	return path.First
}

// emit plans a path, its folders first.
func (q *queue) emit(i int32) {
	if q.done[i] {
		return
	}
	path := &q.View.Paths[i]
	if path.Linked() {
		if primary := q.primary[path.Inode]; primary != i && !q.done[primary] {
			q.waiting[path.Inode] = append(q.waiting[path.Inode], i)
			return
		}
	}
	if path.Parent >= 0 {
		q.emit(path.Parent)
	}
	q.done[i] = true
	q.entry(i)
	if path.Linked() {
		links := q.waiting[path.Inode]
		delete(q.waiting, path.Inode) // before each of them looks for others
		for _, link := range links {
			q.emit(link)
		}
	}
}

// entry plans one path: carried where its header is clean, else re-written.
func (q *queue) entry(i int32) {
	at, ok := q.clean(i)
	if !ok {
		q.rewrite(i)
		return
	}
	q.Entries++
	e := q.View.Entry(at)
	length := e.End() - e.Start
	if e.Flags&toc.Unpadded == 0 {
		q.copy(at.Layer, e.Start, length)
		return
	}
	padding := toc.Pad(e.Stored()) - e.Stored()
	q.copy(at.Layer, e.Start, length-padding)
	q.zero(padding)
}

// rewrite plans one path with a new header.
func (p *Plan) rewrite(i int32) {
	p.Entries++
	p.header(i)
	path := &p.View.Paths[i]
	if path.Dir || path.Linked() && p.primary[path.Inode] != i {
		return
	}
	p.body(p.View.Content(path))
}
