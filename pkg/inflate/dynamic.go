// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package inflate

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
	if !build(r.pre[:], preBits, pre[:], preEntry[:]) {
		return &CorruptError{r.at(), "code lengths make no code for code lengths"}
	}
	if err := r.readLengths(lits + dists); err != nil {
		return err
	}
	lens := r.lens[:lits+dists]
	if lens[endOfBlock] == 0 {
		return &CorruptError{r.at(), "no code word ends the block"}
	}
	if !build(r.lit[:], litBits, lens[:lits], litEntry[:]) {
		return &CorruptError{r.at(), "code lengths make no code for literals and lengths"}
	}
	if !build(r.dist[:], distBits, lens[lits:], distEntry[:]) {
		return &CorruptError{r.at(), "code lengths make no code for distances"}
	}
	return nil
}

// readLengths reads n code lengths into r.lens.
func (r *Reader) readLengths(n int) error {
	for i := 0; i < n; {
		// The buffer has all that these lengths can need, or all there is.
		if r.have() < margin*8 {
			if err := r.fill(); err != nil {
				return err
			}
		}
		bits := r.peek()
		e := r.pre[bits&(preSize-1)]
		sym, length := int(e>>16&31), int(e&63)
		extra := 0
		switch sym {
		case 16:
			extra = 2
		case 17:
			extra = 3
		case 18:
			extra = 7
		}
		if r.have() < length+extra {
			return &TruncatedError{r.at(), whereLengths}
		}
		if e&isBad != 0 {
			return &CorruptError{r.at(), "not a code word of the code for code lengths"}
		}
		if sym < 16 {
			r.lens[i] = uint8(sym)
			i++
			r.bit += length
			continue
		}
		k, value := 3+int(bits>>length&(1<<extra-1)), uint8(0)
		switch {
		case sym == 18:
			k += 8
		case sym == 16 && i == 0:
			return &CorruptError{r.at(), "no code length to repeat"}
		case sym == 16:
			value = r.lens[i-1]
		}
		if i+k > n {
			return &CorruptError{r.at(), "more code lengths than there are codes"}
		}
		for j := range k {
			r.lens[i+j] = value
		}
		i += k
		r.bit += length + extra
	}
	return nil
}
