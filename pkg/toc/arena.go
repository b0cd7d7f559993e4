// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

import (
	"encoding/binary"
	"strings"
)

// arena makes strings that share long-lived chunks, so that a million names are
// a few thousand objects.
type arena struct {
	chunk strings.Builder
	used  int64 // bytes of all strings
}

// Chunks double in size between these.
const (
	minArena = 1 << 10
	maxArena = 64 << 10
)

// text returns b as a string.
func (a *arena) text(b []byte) string {
	n := len(b)
	a.used += int64(n)
	switch {
	case n == 0:
		return ""
	case n > maxArena/8:
		return string(b)
	case n > a.chunk.Cap()-a.chunk.Len():
		size := min(max(2*a.chunk.Cap(), minArena, n), maxArena)
		a.chunk = strings.Builder{}
		a.chunk.Grow(size)
	}
	// The builder never grows past its capacity, so its strings stay whole.
	at := a.chunk.Len()
	a.chunk.Write(b)
	return a.chunk.String()[at:]
}

// entryList grows without copying: a million entries are large enough that the
// slack of append and the copies it leaves behind count.
type entryList struct {
	full [][]Entry
	last []Entry
	n    int64
}

func (l *entryList) add(e Entry) {
	if len(l.last) == cap(l.last) {
		if len(l.last) > 0 {
			l.full = append(l.full, l.last)
		}
		l.last = make([]Entry, 0, min(max(16, 2*cap(l.last)), 8192))
	}
	l.last = append(l.last, e)
	l.n++
}

// tail is the entry that was added last.
func (l *entryList) tail() *Entry { return &l.last[len(l.last)-1] }

// join returns all entries in one slice without slack, and empties the list.
func (l *entryList) join() []Entry {
	if l.n == 0 {
		return nil
	}
	all := make([]Entry, 0, l.n)
	for i, chunk := range l.full {
		all = append(all, chunk...)
		l.full[i] = nil
	}
	all = append(all, l.last...)
	*l = entryList{}
	return all
}

// extras makes Extra values, sharing those that many entries have alike: the
// owners' names, and attributes such as a security label.
type extras struct {
	arena  *arena
	shared map[string]*Extra
	keys   map[string]string // of records
	key    []byte
}

// How much is remembered for sharing: a layer has few owners, labels and keys
// of records, or else nothing is gained.
const (
	maxShared    = 4096
	maxSharedKey = 1024
	maxKeys      = 256
)

func newExtras(a *arena) extras {
	return extras{arena: a, shared: map[string]*Extra{}, keys: map[string]string{}}
}

// make returns the Extra of an entry, nil when all of it is zero. x holds the
// parts that are not text.
func (m *extras) make(x Extra, h *header, records []record) *Extra {
	if x.Devmajor != 0 || x.Devminor != 0 || h.atime.set || h.ctime.set || len(h.link) > 0 || x.IsSparse {
		return m.build(x, h, records)
	}
	m.key = appendPart(appendPart(m.key[:0], h.uname), h.gname)
	for _, r := range records {
		m.key = appendPart(appendPart(m.key, r.key), r.value)
	}
	if len(m.key) == 2 {
		return nil // two empty names
	}
	if shared, ok := m.shared[string(m.key)]; ok {
		return shared
	}
	built := m.build(x, h, records)
	if len(m.key) <= maxSharedKey && len(m.shared) < maxShared {
		m.shared[string(m.key)] = built
	}
	return built
}

func appendPart(b, part []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(part))), part...)
}

func (m *extras) build(x Extra, h *header, records []record) *Extra {
	x.Link = m.arena.text(h.link)
	x.Uname, x.Gname = m.intern(h.uname), m.intern(h.gname)
	x.AccessTime, x.ChangeTime = h.atime.time(), h.ctime.time()
	if len(records) > 0 {
		x.Records = make([]Record, len(records))
		for i, r := range records {
			x.Records[i] = Record{m.intern(r.key), m.arena.text(r.value)}
		}
	}
	m.arena.used += extraSize + int64(len(records))*recordSize
	return &x
}

// Sizes in memory, for Layer.HeaderBytes. Of a fragment also what is made of it
// later counts.
const (
	extraSize    = 176
	recordSize   = 32
	fragmentSize = 64
)

// intern returns a text that is likely to come again.
func (m *extras) intern(b []byte) string {
	if s, ok := m.keys[string(b)]; ok {
		return s
	}
	s := m.arena.text(b)
	if len(m.keys) < maxKeys && len(b) <= maxSharedKey {
		m.keys[s] = s
	}
	return s
}
