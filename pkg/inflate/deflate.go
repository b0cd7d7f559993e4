// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package inflate

import (
	"bytes"
	"hash/crc32"
)

// beginBlock reads a block's header (RFC 1951 section 3.2.3).
func (r *Reader) beginBlock() error {
	if err := r.need(3, "a block header"); err != nil {
		return err
	}
	if len(r.blocks) >= r.opts.MaxBlocks {
		return ErrTooManyBlocks
	}
	if r.offset() >= r.due {
		r.checkpoint()
	}
	r.block = Block{Start: r.at(), Offset: r.offset()}
	r.start, r.nearest = r.w, r.w
	head := r.take(3)
	r.block.Final = head&1 != 0
	r.block.Type = Type(head >> 1)
	switch r.block.Type {
	case Stored:
		return r.beginStored()
	case Fixed:
		r.state = inCodes
		if !r.fixed {
			r.tables = *fixedTables()
			r.fixed = true
		}
		return nil
	case Dynamic:
		r.state = inCodes
		r.fixed = false
		return r.readDynamic()
	}
	return &CorruptError{r.block.Start + 1, "reserved block type"}
}

// checkpoint records that decoding can resume here.
func (r *Reader) checkpoint() {
	r.checkpoints = append(r.checkpoints, Checkpoint{
		Block:  len(r.blocks),
		Window: bytes.Clone(r.out[max(r.low, r.w-history):r.w]),
	})
	r.due = r.offset() + r.opts.Every
}

// endBlock adds the current block, read to its end, to the map.
func (r *Reader) endBlock() {
	r.addSum()
	b := &r.block
	b.End = r.at()
	b.Length = r.offset() - b.Offset
	b.Reach = uint16(r.start - r.nearest)
	r.blocks = append(r.blocks, *b)
	r.sum = CombineCRC(r.sum, b.CRC, b.Length)
	r.state = atBlock
	if b.Final {
		r.state = atTrailer
	}
}

// addSum brings the current block's CRC up to date.
func (r *Reader) addSum() {
	r.block.CRC = crc32.Update(r.block.CRC, crc32.IEEETable, r.out[r.summed:r.w])
	r.summed = r.w
}

const whereStored = "a stored block"

// beginStored reads the length of a stored block (RFC 1951 section 3.2.4).
func (r *Reader) beginStored() error {
	r.bit = (r.bit + 7) &^ 7
	if err := r.need(32, whereStored); err != nil {
		return err
	}
	at, n, not := r.at(), r.take(16), r.take(16)
	if n != not^0xffff {
		return &CorruptError{at, "length of a stored block does not match its complement"}
	}
	r.stored = int(n)
	r.state = inStored
	if n == 0 {
		r.endBlock()
	}
	return nil
}

// copyStored copies what there is room for of a stored block.
func (r *Reader) copyStored() error {
	n, err := r.readTo(r.out[r.w:min(r.full, r.w+r.stored)], whereStored)
	r.w += n
	r.stored -= n
	if err == nil && r.stored == 0 {
		r.endBlock()
	}
	return err
}

// outcome is why the inner loop stopped.
type outcome uint8

const (
	more    outcome = iota // out is full or in is near its end
	atEnd                  // the block has ended
	invalid                // there is an error ahead
)

// decode decodes code words of a fixed or dynamic block.
func (r *Reader) decode() error {
	for r.w < r.full {
		if r.have() < margin*8 && !r.eof {
			if err := r.fill(); err != nil {
				return err
			}
		}
		done := more
		if r.have() >= margin*8 {
			done = r.inner()
		}
		if done == invalid || done == more && r.eof && r.have() < margin*8 {
			var err error
			if done, err = r.careful(); err != nil {
				return err
			}
		}
		if done == atEnd {
			r.endBlock()
			return nil
		}
	}
	return nil
}

// careful decodes one code word after the other, with every check, until the
// block ends or out is full. It is for what inner leaves: the last bytes of the
// source, and errors, which inner meets but does not locate.
func (r *Reader) careful() (outcome, error) {
	for r.w < r.full {
		n, err := r.symbol()
		if err != nil {
			return invalid, err
		}
		if n == 0 {
			return atEnd, nil
		}
		r.w += n
	}
	return more, nil
}

// symbol decodes one literal, match or end of block to out[w:] and returns how
// many bytes that makes. On an error the cursor stays before the code word.
func (r *Reader) symbol() (int, error) {
	where := "a fixed block"
	if r.block.Type == Dynamic {
		where = "a dynamic block"
	}
	if err := r.need(maxPeek, where); err != nil && !r.eof {
		return 0, err
	}
	bits := r.peek()
	e, length, n := lookup(r.lit[:], litBits, bits)
	if n > r.have() {
		return 0, &TruncatedError{r.at(), where}
	}
	switch {
	case e&isLiteral != 0:
		r.out[r.w] = byte(length)
		r.bit += n
		return 1, nil
	case e&isBad != 0:
		return 0, &CorruptError{r.at(), "not a code word for a literal or length"}
	case e&isSpecial != 0:
		r.bit += n
		return 0, nil
	}
	e, dist, k := lookup(r.dist[:], distBits, bits>>n)
	if n+k > r.have() {
		return 0, &TruncatedError{r.at(), where}
	}
	if e&isBad != 0 {
		return 0, &CorruptError{r.at() + int64(n), "not a code word for a distance"}
	}
	from := r.w - dist
	if from < r.low {
		return 0, &CorruptError{r.at() + int64(n), "distance goes back before the first byte"}
	}
	r.nearest = min(r.nearest, from)
	for i := range length {
		r.out[r.w+i] = r.out[from+i]
	}
	r.bit += n + k
	return length, nil
}

// lookup decodes the code word that bits begin with. It returns its entry, its
// value (a byte, a length or a distance) and how many bits it and its extra
// bits take.
func lookup(table []uint32, width int, bits uint64) (e uint32, value, n int) {
	e = table[bits&(1<<width-1)]
	if e&isSubtable != 0 {
		bits >>= width
		n = width
		e = table[uint64(e>>16)+bits&(1<<(e>>8&15)-1)]
	}
	word := int(e >> 8 & 15)
	extra := int(e&63) - word
	value = int(e&^isLiteral>>16) + int(bits>>word&(1<<max(0, extra)-1))
	return e, value, n + int(e&63)
}
