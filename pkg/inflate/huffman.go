// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package inflate

import (
	"encoding/binary"
	"math/bits"
	"sync"
)

// A decoding table is indexed by the next bits of the source, first bit lowest.
// Code words longer than the table's own width go on in a subtable behind it,
// indexed by the bits that follow. Entries are packed to be taken apart in few
// steps by the inner loop:
//
//	literal   1·······  byte         ····  length        00  length
//	length    0······   base (9)     0···  length (4)    00  length + extra bits
//	repeat    0······   symbol (5)   0···  length (4)    00  length + extra bits
//	distance  0 base (15)            0···  length (4)    00  length + extra bits
//	subtable  0·······  start (12)   11··  width (4)     00  width of the table
//	end       0·······  0            10··  length (4)    00  length
//	bad       0·······  0            1·1·  length (4)    00  length
//	bit      31         16           15    8              6   0
//
// "length" is that of the code word in bits; in a subtable, that of the part
// beyond the table's width. bits 0 to 7 are what decoding the entry consumes.
const (
	isLiteral  = 1 << 31
	isSpecial  = 1 << 15 // a subtable, the end of the block, or bad
	isSubtable = 1 << 14
	isBad      = 1 << 13
	badEntry   = isSpecial | isBad

	perBit = 1<<8 | 1 // what a bit of code word adds to an entry

	litBits    = 11 // wide enough for nearly every code word, small enough for the first-level cache
	distBits   = 8
	preBits    = 7
	maxBits    = 15 // longest code word of a literal, length or distance
	maxLits    = 286
	maxDists   = 30
	endOfBlock = 256

	// Room for any code: the most entries that a complete code of 286 or 30
	// symbols and 15 bits can need are 2342 and 402.
	litSize  = 1 << 12
	distSize = 1 << 9
	preSize  = 1 << preBits
)

// litEntry, distEntry and preEntry are the entries of symbols without the
// length of their code words.
var (
	litEntry  [288]uint32
	distEntry [32]uint32
	preEntry  [19]uint32
)

func init() {
	for i := range endOfBlock {
		litEntry[i] = isLiteral | uint32(i)<<16
	}
	litEntry[endOfBlock] = isSpecial
	base := uint32(3)
	for i := range 28 { // RFC 1951 section 3.2.5
		extra := uint32(max(0, i/4-1))
		litEntry[257+i] = base<<16 | extra
		base += 1 << extra
	}
	litEntry[285] = 258 << 16
	litEntry[286], litEntry[287] = badEntry, badEntry
	base = 1
	for i := range maxDists {
		extra := uint32(max(0, i/2-1))
		distEntry[i] = base<<16 | extra
		base += 1 << extra
	}
	distEntry[30], distEntry[31] = badEntry, badEntry
	for i := range preEntry {
		preEntry[i] = uint32(i) << 16
	}
	for i, extra := range repeatBits[:3] {
		preEntry[16+i] |= uint32(extra)
	}
}

// fixedTables holds the codes of RFC 1951 section 3.2.6.
var fixedTables = sync.OnceValue(func() *tables {
	var lens [288]uint8
	for i := range lens {
		switch {
		case i < 144:
			lens[i] = 8
		case i < 256:
			lens[i] = 9
		case i < 280:
			lens[i] = 7
		default:
			lens[i] = 8
		}
	}
	t := new(tables)
	h := count(lens[:])
	build(t.lit[:], litBits, lens[:], &h, litEntry[:])
	for i := range 32 {
		lens[i] = 5
	}
	h = count(lens[:32])
	build(t.dist[:], distBits, lens[:32], &h, distEntry[:])
	return t
})

// tables are the two decoding tables of a block.
type tables struct {
	lit  [litSize]uint32
	dist [distSize]uint32
}

// build makes the decoding table of the code whose lengths are lens, at most
// 288 of them and count of each, in table[:1<<width] and behind it. It reports whether lens make
// a code: one that is complete, or empty, or a single word of one bit. What is
// no code word decodes to a bad entry.
func build(table []uint32, width int, lens []uint8, count *histogram, entries []uint32) bool {
	var next [maxBits + 2]int // where the symbols of each length go; those without a word go first
	left := 1                 // code words of the current length that are still free
	next[1] = count[0]
	for n := 1; n <= maxBits; n++ {
		left = left<<1 - count[n]
		if left < 0 {
			return false
		}
		next[n+1] = next[n] + count[n]
	}
	used := len(lens) - count[0]
	if left != 0 && (used > 1 || used != count[1]) {
		return false
	}
	var order [512]uint16
	for i := 0; i < len(lens); i++ {
		for i+8 < len(lens) && binary.LittleEndian.Uint64(lens[i:]) == 0 {
			i += 8 // their place stays empty
		}
		k := &next[lens[i]&15]
		order[*k&511] = uint16(i)
		*k++
	}
	sorted := order[count[0]:len(lens)]
	if left != 0 {
		fill(table[:1<<width], badEntry+uint32(used)) // it takes no bit to see that no code word fits, or one
		if used == 1 {
			spread(table[:1<<width], 0, 2, entries[sorted[0]]+perBit)
		}
		return true
	}
	rest, code := buildMain(table[:1<<width], sorted, count, entries)
	if len(rest) > 0 {
		buildSubtables(table, width, rest, code, count, entries)
	}
	return true
}

// histogram is how many code words there are of each length.
type histogram [maxBits + 1]int

// count returns the histogram of lens.
func count(lens []uint8) (h histogram) {
	for _, n := range lens {
		h[n]++
	}
	return h
}

// fill sets every element of t to e.
func fill(t []uint32, e uint32) {
	for i := range t {
		t[i] = e
	}
}

// spread sets t[from], t[from+step] and so on to e.
func spread(t []uint32, from, step int, e uint32) {
	for i := from; i < len(t); i += step {
		t[i] = e
	}
}

// buildMain fills table with the code words that fit its width. Words are
// visited by length, and the table doubled whenever the length grows: all that
// the longer words do not overwrite repeats. It returns the symbols that did
// not fit, and the first code of theirs as a code of width bits.
func buildMain(table []uint32, sorted []uint16, count *histogram, entries []uint32) (rest []uint16, code int) {
	size := 1
	for n := 1; size < len(table); n++ {
		if code > 0 {
			copy(table[size:size*2], table[:size])
		}
		size *= 2
		code *= 2
		e := uint32(n * perBit)
		for _, sym := range sorted[:count[n]] {
			table[word(code, n)] = entries[sym] + e
			code++
		}
		sorted = sorted[count[n]:]
	}
	return sorted, code
}

// word returns the code of n bits with its first bit lowest, as it comes.
func word(code, n int) uint {
	return uint(bits.Reverse16(uint16(code)) >> (16 - uint(n)))
}

// buildSubtables fills in the codes longer than the table's width.
func buildSubtables(table []uint32, width int, sorted []uint16, code int, count *histogram, entries []uint32) {
	start, size := 1<<width, 0
	prefix := -1
	for n := width + 1; len(sorted) > 0; n++ {
		code *= 2
		for left := count[n]; left > 0; left-- {
			if p := code >> (n - width); p != prefix {
				// A new subtable, wide enough for all codes with this
				// prefix: they are the next ones, shortest first.
				prefix = p
				start += size
				sub := n - width
				for room := 1<<sub - left; room > 0; {
					sub++
					room = room<<1 - count[width+sub]
				}
				size = 1 << sub
				table[word(prefix, width)] = uint32(start)<<16 | isSpecial | isSubtable | uint32(sub)<<8 | uint32(width)
			}
			e := entries[sorted[0]] + uint32((n-width)*perBit)
			rest := n - width
			spread(table[start:start+size], int(word(code&(1<<rest-1), rest)), 1<<rest, e)
			code++
			sorted = sorted[1:]
		}
	}
}
