// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package inflate

import "encoding/binary"

// preOrder is the order in which a block gives the lengths of the code for
// code lengths (RFC 1951 section 3.2.7).
var preOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

const whereLengths = "the code lengths of a dynamic block"

// readDynamic reads the two codes of a dynamic block and builds their tables.
func (r *Reader) readDynamic() error {
	if err := r.need(14, whereLengths); err != nil {
		return err
	}
	at := r.at()
	lits := int(r.take(5)) + 257
	dists := int(r.take(5)) + 1
	pres := int(r.take(4)) + 4
	if lits > maxLits {
		return &CorruptError{at, "more than 286 literal and length codes"}
	}
	if dists > maxDists {
		return &CorruptError{at + 5, "more than 30 distance codes"}
	}
	if err := r.need(3*pres, whereLengths); err != nil {
		return err
	}
	var pre [19]uint8
	for _, sym := range preOrder[:pres] {
		pre[sym] = uint8(r.take(3))
	}
	preCount := count(pre[:])
	if !build(r.pre[:], preBits, pre[:], &preCount, preEntry[:]) {
		return &CorruptError{r.at(), "code lengths make no code for code lengths"}
	}
	var litCount histogram
	if err := r.readLengths(lits+dists, &litCount); err != nil {
		return err
	}
	distCount := count(r.lens[lits : lits+dists])
	for n, k := range distCount {
		litCount[n] -= k
	}
	lens := r.lens[:lits+dists]
	if lens[endOfBlock] == 0 {
		return &CorruptError{r.at(), "no code word ends the block"}
	}
	if !build(r.lit[:], litBits, lens[:lits], &litCount, litEntry[:]) {
		return &CorruptError{r.at(), "code lengths make no code for literals and lengths"}
	}
	if !build(r.dist[:], distBits, lens[lits:], &distCount, distEntry[:]) {
		return &CorruptError{r.at(), "code lengths make no code for distances"}
	}
	return nil
}

// readLengths reads n code lengths into r.lens and adds them up in count.
func (r *Reader) readLengths(n int, count *histogram) error {
	const longest = preBits + 7 // a code word and its extra bits
	var hold uint64             // the next bits, at least left of them
	left, have := 0, 0          // have is how many there are in the buffer
	for i := 0; i < n; {
		if left < longest {
			if r.have() < margin*8 {
				if err := r.fill(); err != nil {
					return err
				}
			}
			hold, left, have = r.peek(), maxPeek, r.have()
		}
		e := r.pre[hold&(preSize-1)]
		took := int(e & 63)
		if took > have {
			return &TruncatedError{r.at(), whereLengths}
		}
		if e&isBad != 0 {
			return &CorruptError{r.at(), "not a code word of the code for code lengths"}
		}
		sym, k, value := e>>16&31, 1, uint8(e>>16)
		if sym >= 16 {
			k = int(repeatBase[sym&3]) + int(hold>>(e>>8&15)&(1<<repeatBits[sym&3]-1))
			value = 0
			if sym == 16 {
				if i == 0 {
					return &CorruptError{r.at(), "no code length to repeat"}
				}
				value = r.lens[i-1]
			}
			if i+k > n {
				return &CorruptError{r.at(), "more code lengths than there are codes"}
			}
			// Without a loop for the shorter ones, whose end would have to be
			// guessed. Writing on past i+k does no harm.
			run := uint64(value) * 0x0101010101010101
			binary.LittleEndian.PutUint64(r.lens[i:], run)
			binary.LittleEndian.PutUint64(r.lens[i+8:], run)
			if k > 16 {
				clear(r.lens[i+16 : i+k])
			}
		}
		r.lens[i] = value
		count[value] += k
		i += k
		hold >>= took & 63
		left -= took
		have -= took
		r.bit += took
	}
	return nil
}

// Symbols 16, 17 and 18 repeat a length so many times, and as many more as so
// many extra bits say.
var (
	repeatBase = [4]uint8{3, 3, 11}
	repeatBits = [4]uint8{2, 3, 7}
)
