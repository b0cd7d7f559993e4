// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

import (
	"cmp"
	"io"
	"slices"
	"sort"

	"github.com/opencontainers/go-digest"
)

// excerpt is a range of a layer's tar stream that is kept with its table of
// contents, so that the blob need not be decoded for it.
type excerpt struct {
	Offset int64 // in bytes
	Data   []byte
}

func (e *excerpt) end() int64 { return e.Offset + int64(len(e.Data)) }

// excerptedSize is how long a tar stream is at least of which there are excerpts: a
// shorter one is decoded in no time.
const excerptedSize = 1 << 20

// maxExcerpts bounds the bytes of a layer's excerpts, and of those that a group
// learns: what is read for more is better decoded.
const maxExcerpts = 32 << 20

// excerpts are what a reader knows of a layer without its blob, and what it has
// learned.
type excerpts struct {
	loaded bool
	known  []excerpt // ascending, apart from each other
	used   []bool    // by known

	learned []excerpt // as they were read
	size    int64     // of learned
}

// load reads what the cache has, once.
func (x *excerpts) load(c *Cache, of digest.Digest) {
	if !x.loaded {
		x.loaded, x.known = true, c.loadExcerpts(of)
		x.used = make([]bool, len(x.known))
	}
}

// find returns n bytes from off on, if they are known.
func (x *excerpts) find(off, n int64) []byte {
	i := sort.Search(len(x.known), func(i int) bool { return x.known[i].end() >= off+n })
	if i == len(x.known) || x.known[i].Offset > off {
		return nil
	}
	x.used[i] = true
	return x.known[i].Data[off-x.known[i].Offset:][:n]
}

// learn begins an excerpt of n bytes at off, which are those that are written to
// the result. They are passed on to w.
func (x *excerpts) learn(w io.Writer, off, n int64) io.Writer {
	x.size += n
	x.learned = append(x.learned, excerpt{Offset: off, Data: make([]byte, 0, n)})
	return &learner{w, &x.learned[len(x.learned)-1].Data}
}

// learner passes on what is written to it, and keeps it.
type learner struct {
	w  io.Writer
	to *[]byte
}

func (l *learner) Write(p []byte) (int, error) {
	*l.to = append(*l.to, p...)
	return l.w.Write(p)
}

// merged are the excerpts to be kept, nil when that is what is kept already: what
// was learned, with it what was known, or if that is too much what was used, or if
// that is too much nothing.
func (x *excerpts) merged() []excerpt {
	if len(x.learned) == 0 {
		return nil
	}
	var all, used []excerpt
	var allSize, usedSize int64
	for i, e := range x.known {
		all, allSize = append(all, e), allSize+int64(len(e.Data))
		if x.used[i] {
			used, usedSize = append(used, e), usedSize+int64(len(e.Data))
		}
	}
	list := slices.Clone(x.learned)
	switch room := maxExcerpts - x.size; {
	case allSize <= room:
		list = append(list, all...)
	case usedSize <= room:
		list = append(list, used...)
	}
	slices.SortFunc(list, func(a, b excerpt) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(b.end(), a.end()))
	})
	return joined(list)
}

// joined are excerpts that are in order, those that touch or overlap as one.
func joined(list []excerpt) []excerpt {
	out := list[:0]
	for _, e := range list {
		if len(out) == 0 || e.Offset > out[len(out)-1].end() {
			e.Data = slices.Clip(e.Data)
			out = append(out, e)
			continue
		}
		last := &out[len(out)-1]
		if more := e.end() - last.end(); more > 0 {
			last.Data = append(last.Data, e.Data[int64(len(e.Data))-more:]...)
		}
	}
	return out
}

// encodeExcerpts appends the encoding of a layer's excerpts to buf.
func encodeExcerpts(buf []byte, of digest.Digest, list []excerpt) []byte {
	e := &encoder{buf}
	e.string(string(of))
	e.uint(uint64(len(list)))
	end := int64(0)
	for i := range list {
		e.uint(uint64(list[i].Offset - end))
		e.string(string(list[i].Data))
		end = list[i].end()
	}
	return e.buf
}

// decodeExcerpts reads what encodeExcerpts wrote, all of buf. The excerpts refer
// to buf.
func decodeExcerpts(buf []byte) (of digest.Digest, list []excerpt, err error) {
	d := &layerDecoder{buf: buf}
	of = digest.Digest(d.string())
	list = make([]excerpt, d.count(2))
	end := int64(0)
	for i := range list {
		e := &list[i]
		e.Offset = end + int64(d.uint()&(1<<62-1))
		e.Data = d.bytes(d.uint())
		if end = e.end(); e.Offset < 0 || end < 0 {
			d.fail()
		}
	}
	if d.err == nil && len(d.buf) > 0 {
		d.fail()
	}
	return of, list, d.err
}
