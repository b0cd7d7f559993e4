// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

import (
	"bytes"
	"math"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// sparseKind is how the map of a sparse file is stored (GNU tar manual, "Storing
// Sparse Files").
type sparseKind uint8

const (
	notSparse    sparseKind = iota
	sparseOld               // type 'S': in the header block and in blocks behind it
	sparseInPAX             // formats 0.0 and 0.1: in PAX records
	sparseInBody            // format 1.0: text at the start of the body
)

// sparseKind tells whether the records describe a sparse file. A version that is
// not known is no sparse file, as for Go's reader.
func (p *paxHeader) sparseKind() sparseKind {
	major, minor := string(p.get(paxSparseMajor)), string(p.get(paxSparseMinor))
	switch {
	case major == "0" && (minor == "0" || minor == "1"):
		return sparseInPAX
	case major == "1" && minor == "0":
		return sparseInBody
	case major == "" && minor == "" && len(p.get(paxSparseMap)) > 0:
		return sparseInPAX
	}
	return notSparse
}

// applySparse lets the records of a sparse file override its name and size.
func (p *paxHeader) applySparse(h *header) error {
	if name := p.get(paxSparseName); len(name) > 0 {
		h.name = name
	}
	size := p.get(paxSparseSize)
	if len(size) == 0 {
		size = p.get(paxSparseRealSize)
	}
	if len(size) > 0 {
		var err error
		if h.size, _, err = decimal(size); err != nil {
			return image.Corruptf("bad size of a sparse file")
		}
	}
	return nil
}

// sparseFile is a sparse file whose map is being read.
type sparseFile struct {
	kind   sparseKind
	entry  Entry
	extra  *Extra
	stored int64 // bytes of the body
	blocks int   // blocks of the map, the header block not counted
	text   []byte
	lines  int   // line ends in text
	count  int64 // fragments that text promises, -1 before it is known
	end    int64 // where the last fragment ends
}

// add appends a fragment. Empty ones count, but are not kept.
func (f *sparseFile) add(offset, length int64) error {
	switch {
	case offset < 0 || length < 0 || offset > math.MaxInt64-length:
		return image.Corruptf("fragment of a sparse file is out of range")
	case offset+length > f.entry.Size:
		return image.Corruptf("fragment of a sparse file lies past its end")
	case offset < f.end:
		return image.Corruptf("fragments of a sparse file overlap or are not in order")
	}
	f.end = offset + length
	if length > 0 {
		f.extra.Sparse = append(f.extra.Sparse, Fragment{offset, length})
	}
	return nil
}

// addOld reads the fragments of an old GNU map, pairs of 12-byte numbers, and
// tells whether another block follows: by a flag behind the last pair. A pair
// that begins with a NUL ends the list.
func (f *sparseFile) addOld(b []byte) (more bool, err error) {
	pairs := len(b) / 24
	more = b[pairs*24] != 0
	for ; pairs > 0 && b[0] != 0; pairs-- {
		offset, _, ok := number(b[:12])
		length, _, ok2 := number(b[12:24])
		if !ok || !ok2 {
			return false, image.Corruptf("bad number in a sparse map")
		}
		if err := f.add(offset, length); err != nil {
			return false, err
		}
		b = b[24:]
	}
	return more, nil
}

// addPAX reads the map of formats 0.0 and 0.1.
func (f *sparseFile) addPAX(p *paxHeader) error {
	count, _, err := decimal(p.get(paxSparseNumBlocks))
	if err != nil || count < 0 {
		return image.Corruptf("bad number of fragments of a sparse file")
	}
	rest := p.get(paxSparseMap)
	numbers := int64(0)
	if len(rest) > 0 {
		numbers = int64(bytes.Count(rest, []byte(","))) + 1
	}
	if count > maxSpecial || numbers != 2*count {
		return image.Corruptf("sparse map does not have the %d fragments it should", count)
	}
	return f.addNumbers(count, func() (n []byte) {
		n, rest, _ = bytes.Cut(rest, []byte(","))
		return n
	})
}

// addText takes one block of the body of a file of format 1.0: decimal numbers,
// one to a line, the number of fragments first. It tells whether the map goes on.
func (f *sparseFile) addText(b *block) (more bool, err error) {
	f.text = append(f.text, b[:]...)
	f.lines += bytes.Count(b[:], []byte("\n"))
	if f.count < 0 && f.lines > 0 {
		line, _, _ := bytes.Cut(f.text, []byte("\n"))
		f.count, _, err = decimal(line)
		if err != nil || f.count < 0 || f.count > maxSpecial/4 {
			return false, image.Corruptf("bad number of fragments of a sparse file")
		}
	}
	if f.count < 0 || int64(f.lines) < 1+2*f.count {
		if len(f.text)+blockSize > maxSpecial {
			return false, image.Corruptf("map of a sparse file is longer than %d bytes", maxSpecial)
		}
		return true, nil
	}
	_, rest, _ := bytes.Cut(f.text, []byte("\n"))
	return false, f.addNumbers(f.count, func() (n []byte) {
		n, rest, _ = bytes.Cut(rest, []byte("\n"))
		return n
	})
}

// addNumbers adds count fragments of two decimal numbers each.
func (f *sparseFile) addNumbers(count int64, next func() []byte) error {
	for range count {
		offset, _, err := decimal(next())
		length, _, err2 := decimal(next())
		if err != nil || err2 != nil {
			return image.Corruptf("bad number in a sparse map")
		}
		if err := f.add(offset, length); err != nil {
			return err
		}
	}
	return nil
}

// check compares the map with the body: each byte that is stored belongs to a
// fragment, and each fragment is stored.
func (f *sparseFile) check() error {
	if stored := f.entry.Stored(); stored != f.stored {
		return image.Corruptf("fragments of a sparse file take %d bytes, but %d are stored", stored, f.stored)
	}
	return nil
}
