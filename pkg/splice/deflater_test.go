// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package splice_test

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"

	"github.com/seed-81b0d42e/flatten/pkg/inflate"
)

// deflater writes gzip members of a tar stream block by block and code word by
// code word, as no compressor would. Calls must account for every byte of it.
type deflater struct {
	tar []byte
	at  int // bytes of tar that are in blocks
	low int // where the member began

	out   []byte
	acc   uint64
	n     uint
	final bool // the next block is the last of its member
}

// newDeflater begins the first member.
func newDeflater(tar []byte) *deflater {
	d := &deflater{tar: tar}
	d.header()
	return d
}

func (d *deflater) header() {
	d.out = append(d.out, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff)
	d.low = d.at
}

// finish ends the member behind its final block and returns all members.
func (d *deflater) finish() []byte {
	d.pad()
	member := d.tar[d.low:d.at]
	d.out = binary.LittleEndian.AppendUint32(d.out, crc32.ChecksumIEEE(member))
	d.out = binary.LittleEndian.AppendUint32(d.out, uint32(len(member)))
	d.final = false
	return d.out
}

// member ends a member behind its final block and begins another.
func (d *deflater) member() {
	d.finish()
	d.header()
}

// last makes the block that is written next the final one of its member.
func (d *deflater) last() *deflater {
	d.final = true
	return d
}

// phase is the bit of a byte at which the next block begins.
func (d *deflater) phase() uint { return d.n }

func (d *deflater) bits(v uint64, n uint) {
	d.acc |= v << d.n
	for d.n += n; d.n >= 8; d.n -= 8 {
		d.out = append(d.out, byte(d.acc))
		d.acc >>= 8
	}
}

func (d *deflater) pad() {
	if d.n > 0 {
		d.bits(0, 8-d.n)
	}
}

// code writes a Huffman code word, of which the highest bit comes first.
func (d *deflater) code(v, n uint) { d.bits(bits.Reverse64(uint64(v))>>(64-n), n) }

func (d *deflater) block(kind inflate.Type) {
	final := uint64(0)
	if d.final {
		final = 1
	}
	d.bits(final|uint64(kind)<<1, 3)
}

// stored writes a stored block of n bytes, 65535 at most.
func (d *deflater) stored(n int) {
	d.block(inflate.Stored)
	d.pad()
	d.bits(uint64(n)|uint64(^uint16(n))<<16, 32)
	d.out = append(d.out, d.tar[d.at:d.at+n]...)
	d.at += n
}

// words is n bytes of a block as literals, or with a distance as one match.
type words struct{ n, distance int }

// compressed writes a fixed or dynamic block.
func (d *deflater) compressed(kind inflate.Type, list ...words) {
	d.block(kind)
	c := fixedCode
	if kind == inflate.Dynamic {
		c = dynamicCode
		d.codes()
	}
	for _, w := range list {
		if w.distance > 0 {
			d.match(c, w)
			continue
		}
		for _, b := range d.tar[d.at : d.at+w.n] {
			d.code(c.literal(uint(b)))
		}
		d.at += w.n
	}
	d.code(c.literal(256))
}

// write writes a block of any type: n bytes as literals or stored.
func (d *deflater) write(kind inflate.Type, n int) {
	switch {
	case kind == inflate.Stored:
		d.stored(n)
	case n == 0:
		d.compressed(kind)
	default:
		d.compressed(kind, words{n, 0})
	}
}

func (d *deflater) match(c prefixCode, w words) {
	from := d.at - w.distance
	if from < d.low {
		panic("a match from before the member")
	}
	for i := range w.n {
		if d.tar[from+i] != d.tar[d.at+i] {
			panic(fmt.Sprintf("byte %d: no match of length %d at distance %d", d.at, w.n, w.distance))
		}
	}
	d.at += w.n
	symbol, extra, n := lengthSymbol(uint(w.n))
	d.code(c.literal(symbol))
	d.bits(uint64(extra), n)
	symbol, extra, n = distanceSymbol(uint(w.distance))
	d.code(c.distance(symbol))
	d.bits(uint64(extra), n)
}

// lengthSymbol and distanceSymbol are RFC 1951 section 3.2.5: the symbol and the
// extra bits.
func lengthSymbol(n uint) (symbol, extra, width uint) {
	if n == 258 {
		return 285, 0, 0
	}
	n -= 3
	if n < 8 {
		return 257 + n, 0, 0
	}
	width = uint(bits.Len(n)) - 3
	return 257 + 4*width + n>>width, n & (1<<width - 1), width
}

func distanceSymbol(n uint) (symbol, extra, width uint) {
	n--
	if n < 4 {
		return n, 0, 0
	}
	width = uint(bits.Len(n)) - 2
	return 2*width + n>>width, n & (1<<width - 1), width
}

// prefixCode is a pair of Huffman codes: they give the code word of a symbol
// and its length.
type prefixCode struct {
	literal, distance func(symbol uint) (word, n uint)
}

// fixedCode is RFC 1951 section 3.2.6.
var fixedCode = prefixCode{
	literal: func(s uint) (uint, uint) {
		switch {
		case s < 144:
			return 0x30 + s, 8
		case s < 256:
			return 0x190 + s - 144, 9
		case s < 280:
			return s - 256, 7
		}
		return 0xc0 + s - 280, 8
	},
	distance: func(s uint) (uint, uint) { return s, 5 },
}

// dynamicCode is the code that [deflater.codes] describes: 226 symbols of 8 bits
// and 60 of 9, and 2 distances of 4 bits and 28 of 5.
var dynamicCode = prefixCode{
	literal: func(s uint) (uint, uint) {
		if s < 226 {
			return s, 8
		}
		return 2*226 + s - 226, 9
	},
	distance: func(s uint) (uint, uint) {
		if s < 2 {
			return s, 4
		}
		return 2*2 + s - 2, 5
	},
}

// codes writes the code lengths of dynamicCode (RFC 1951 section 3.2.7), each
// by itself, in a code of two bits for the lengths 4, 5, 8 and 9.
func (d *deflater) codes() {
	d.bits(286-257, 5)
	d.bits(30-1, 5)
	d.bits(12-4, 4)
	for _, used := range []uint64{0, 0, 0, 0, 2, 0, 2, 0, 0, 2, 0, 2} { // 16 17 18 0 8 7 9 6 10 5 11 4
		d.bits(used, 3)
	}
	word := map[uint]uint{4: 0, 5: 1, 8: 2, 9: 3}
	for s := range uint(286) {
		_, n := dynamicCode.literal(s)
		d.code(word[n], 2)
	}
	for s := range uint(30) {
		_, n := dynamicCode.distance(s)
		d.code(word[n], 2)
	}
}
