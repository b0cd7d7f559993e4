// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package inflate

import (
	"encoding/binary"
	"fmt"
	"io"
)

const (
	inSize  = 1 << 16 // input buffer; a power of two, so that an index can be masked
	inSlack = 64      // room after it for zeros and for 8-byte loads
	margin  = 32      // bytes of input the fast loop wants in sight: two refills of 8 bytes, and then some
	maxPeek = 57      // bits that peek returns whatever the phase
)

// source is a bit cursor over a buffered io.Reader.
//
// Invariant: no bits are held anywhere but in the buffer, so that sliding it
// never loses any: the next bit is bit bit&7 of in[bit>>3], whose offset in the
// source is base + bit>>3.
type source struct {
	src  io.Reader
	base int64 // source offset of in[0]
	bit  int   // next bit, counted from in[0]
	end  int   // in[:end] is filled
	eof  bool  // src has no more; zeros follow in[end-1]
	in   [inSize + inSlack]byte
}

// at returns the position of the next bit in the source.
func (s *source) at() int64 { return s.base<<3 + int64(s.bit) }

// have returns how many bits are buffered.
func (s *source) have() int { return s.end<<3 - s.bit }

// peek returns the next 57 bits or more, zeros where the buffer has fewer.
// The caller asked need for those that it uses, or checks have afterwards.
func (s *source) peek() uint64 {
	return binary.LittleEndian.Uint64(s.in[s.bit>>3&(inSize-1):]) >> (s.bit & 7)
}

// take consumes n <= 57 bits that need said are there, and returns them.
func (s *source) take(n int) uint64 {
	v := s.peek() & (1<<n - 1)
	s.bit += n
	return v
}

// need makes sure that n bits are buffered, n at most 8*margin.
func (s *source) need(n int, where string) error {
	if s.have() >= n {
		return nil
	}
	if err := s.fill(); err != nil {
		return err
	}
	if s.have() < n {
		return &TruncatedError{Bit: s.at(), Where: where}
	}
	return nil
}

// fill slides the buffer and reads until margin bytes are there or src ends.
func (s *source) fill() error {
	k := s.bit >> 3
	copy(s.in[:], s.in[k:s.end])
	s.base += int64(k)
	s.bit &= 7
	s.end -= k
	for idle := 0; !s.eof && s.end < margin+1; {
		n, err := s.src.Read(s.in[s.end:inSize])
		s.end += n
		switch {
		case err == io.EOF:
			s.eof = true
		case err != nil:
			return s.failed(err)
		case n > 0:
			idle = 0
		default:
			if idle++; idle == 100 {
				return s.failed(io.ErrNoProgress)
			}
		}
	}
	clear(s.in[s.end : s.end+inSlack/2])
	return nil
}

// failed wraps an error of src with where it happened.
func (s *source) failed(err error) error {
	return fmt.Errorf("inflate: reading the source at byte %d: %w", s.base+int64(s.end), err)
}

// readTo copies up to len(p) whole bytes to p, p not empty, and returns how many.
// The cursor is on a byte. What the buffer does not hold is read past it.
func (s *source) readTo(p []byte, where string) (int, error) {
	if k := s.bit >> 3; k < s.end {
		n := copy(p, s.in[k:s.end])
		s.bit += n << 3
		return n, nil
	}
	if len(p) < inSize/4 || s.eof {
		return 0, s.need(8, where)
	}
	n, err := s.src.Read(p)
	s.base += int64(s.end + n)
	s.bit, s.end = 0, 0
	switch {
	case err == io.EOF:
		s.eof = true
	case err != nil:
		return n, s.failed(err)
	case n == 0:
		return 0, s.need(8, where)
	}
	return n, nil
}
