// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package splice

import (
	"encoding/binary"
	"io"
)

// bitWriter writes bits, the lowest of a byte first (RFC 1951 section 3.1.1).
//
// Invariant: acc holds n < 8 bits that no byte of buf has yet; its higher bits
// are 0.
type bitWriter struct {
	w   io.Writer
	buf []byte
	acc uint64
	n   uint
	err error // sticky: flush keeps it so
}

// bitBuffer is how many bytes are gathered before they are written.
const bitBuffer = 1 << 20

func newBitWriter(w io.Writer) *bitWriter {
	return &bitWriter{w: w, buf: make([]byte, 0, bitBuffer)}
}

// room makes sure that n bytes fit into the buffer.
func (b *bitWriter) room(n int) {
	if cap(b.buf)-len(b.buf) < n {
		b.flush()
	}
}

// flush writes the whole bytes gathered so far.
func (b *bitWriter) flush() {
	if b.err == nil && len(b.buf) > 0 {
		_, b.err = b.w.Write(b.buf)
	}
	b.buf = b.buf[:0]
}

// bits writes the lowest n bits of v, n at most 56; the others are 0.
func (b *bitWriter) bits(v uint64, n uint) {
	b.room(8)
	b.acc |= v << b.n
	b.n += n
	for b.n >= 8 {
		b.buf = append(b.buf, byte(b.acc))
		b.acc >>= 8
		b.n -= 8
	}
}

// align ends the stream on a byte with an empty stored block, not a final one
// (RFC 1951 section 3.2.4). On a byte it writes nothing.
func (b *bitWriter) align() {
	if b.n == 0 {
		return
	}
	b.storedHeader(0)
}

// storedHeader begins a stored block of n bytes, not a final one.
func (b *bitWriter) storedHeader(n uint16) {
	b.bits(0, 3)
	b.pad()
	b.bits(uint64(n)|uint64(^n)<<16, 32)
}

// pad fills the last byte with zeros.
func (b *bitWriter) pad() {
	if b.n > 0 {
		b.bits(0, 8-b.n)
	}
}

// bytes writes whole bytes; the stream must be on a byte.
func (b *bitWriter) bytes(p []byte) {
	if b.n != 0 {
		panic("internal error: bytes written between two bytes")
	}
	for len(p) > 0 {
		b.room(1)
		n := min(len(p), cap(b.buf)-len(b.buf))
		b.buf = append(b.buf, p[:n]...)
		p = p[n:]
	}
}

// step is how many bits copyBits moves at once: 7 bytes, so that neither the
// source's nor the output's place within a byte changes from step to step.
const step = 56

// copyBits writes the n bits of src from bit from.
func (b *bitWriter) copyBits(src []byte, from, n int64) {
	for n > 0 {
		b.room(4096)
		moved := b.copyFast(src[from/8:], uint(from%8), n)
		from, n = from+moved, n-moved
		if moved > 0 {
			continue
		}
		// Near the end of src, one byte's worth at a time.
		v := uint64(src[from/8]) >> (from % 8)
		take := min(8-from%8, n)
		b.bits(v&(1<<take-1), uint(take))
		from, n = from+take, n-take
	}
}

// copyFast moves as many steps as src and the buffer have room for and returns
// the number of bits moved.
func (b *bitWriter) copyFast(src []byte, shift uint, n int64) int64 {
	if shift == 0 && b.n == 0 && n >= 8 {
		whole := min(n/8, int64(cap(b.buf)-len(b.buf)))
		b.buf = append(b.buf, src[:whole]...)
		return whole * 8
	}
	out := b.buf[len(b.buf):cap(b.buf)]
	steps := min(int(n/step), (len(src)-8)/7, (len(out)-8)/7)
	if steps <= 0 {
		return 0
	}
	acc, at := b.acc, b.n
	in, dst := src[:7*steps+8], out[:7*steps+8]
	for i := 0; i < 7*steps; i += 7 {
		v := binary.LittleEndian.Uint64(in[i:]) >> (shift & 7) & (1<<step - 1)
		acc |= v << (at & 7)
		binary.LittleEndian.PutUint64(dst[i:], acc)
		acc >>= step
	}
	b.acc = acc
	b.buf = b.buf[:len(b.buf)+7*steps]
	return int64(steps) * step
}
