// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package inflate

import "io"

// Token is a code word of a fixed or dynamic block, with all that belongs to it:
// a literal, a match, or the end of the block.
type Token struct {
	Bit      int64 // its first bit, counted from the first byte of the source
	Offset   int64 // uncompressed offset of the byte, or the first byte, it stands for
	Distance int32 // of a match; 0 for a literal and for the end
}

// Tokens are the code words of one block. A block can be cut before any of them:
// its header, some of its code words and the code word of its end, in this
// order, are a block, too.
type Tokens struct {
	// List are the code words in order. The last one is the end of the block,
	// whose Offset is where the block ends.
	List []Token

	// Header is the first bit after the block's header, where the first code
	// word begins.
	Header int64

	// End is the code word of the end of the block, EndBits bits of it, the
	// first one lowest.
	End     uint64
	EndBits uint

	r *Reader // used again
}

// Parse reads the code words of a fixed or dynamic block without decoding it:
// no byte before it is needed. src is positioned at byte at.Start/8 of the
// source. The block must be as the block map has it: sources that change are
// found out by their CRC, not here. What t holds is used again.
func (t *Tokens) Parse(src io.Reader, at Block) error {
	if t.r == nil {
		t.r = new(Reader)
	}
	r := t.r
	r.Resume(src, at, nil, Options{})
	t.List = t.List[:0]
	if r.err != nil {
		return r.err
	}
	if err := r.beginBlock(); err != nil {
		return err
	}
	t.Header = r.at()
	if r.state != inCodes {
		return &CorruptError{at.Start, "not a block of code words"}
	}
	offset := at.Offset
	for {
		token := Token{Bit: r.at(), Offset: offset}
		n, distance, bits, err := r.word()
		if err != nil {
			return err
		}
		token.Distance = int32(distance)
		t.List = append(t.List, token)
		offset += int64(n)
		if n == 0 {
			t.End, t.EndBits = bits, uint(r.at()-token.Bit)
			t.End &= 1<<t.EndBits - 1
			return nil
		}
	}
}

// word passes over one code word. It returns how many bytes that stands for, 0
// at the end of the block, the distance of a match, and the bits it began with.
func (r *Reader) word() (length, distance int, bits uint64, err error) {
	const where = "a block"
	if r.have() < maxPeek {
		if err := r.need(maxPeek, where); err != nil && !r.eof {
			return 0, 0, 0, err
		}
	}
	bits = r.peek()
	e, length, n := lookup(r.lit[:], litBits, bits)
	switch {
	case e&isLiteral != 0:
		length = 1
	case e&isBad != 0:
		return 0, 0, 0, &CorruptError{r.at(), "not a code word for a literal or length"}
	case e&isSpecial != 0:
		length = 0
	default:
		var k int
		e, distance, k = lookup(r.dist[:], distBits, bits>>n)
		if e&isBad != 0 {
			return 0, 0, 0, &CorruptError{r.at() + int64(n), "not a code word for a distance"}
		}
		n += k
	}
	if n > r.have() {
		return 0, 0, 0, &TruncatedError{r.at(), where}
	}
	r.bit += n
	return length, distance, bits, nil
}
