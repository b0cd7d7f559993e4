// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package splice

import "encoding/binary"

// bitWriter writes bits, the lowest of a byte first (RFC 1951 section 3.1.1).
//
// Invariant: acc holds n < 8 bits that no byte of buf has yet; its higher bits
// are 0.
type bitWriter struct {
	out sink
	buf []byte
	acc uint64
	n   uint
	err error // sticky: flush keeps it so
}

// bitBuffer is how many bytes are gathered before they are written.
const bitBuffer = 256 << 10

// sink takes full buffers and gives empty ones for them.
type sink interface {
	swap(full []byte) (empty []byte, err error)
}

func newBitWriter(out sink) *bitWriter {
	return &bitWriter{out: out, buf: make([]byte, 0, bitBuffer)}
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
		b.buf, b.err = b.out.swap(b.buf)
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

// copyFast copies bits of src from bit shift of its first byte on, as many as it
// can at once, and returns how many: first those that fill the output's byte,
// then whole words, so that each store is aligned with the output.
func (b *bitWriter) copyFast(src []byte, shift uint, n int64) int64 {
	if n < 64 || len(src) < 16 {
		return 0
	}
	if b.n != 0 {
		take := 8 - b.n
		v := (uint64(src[0]) | uint64(src[1])<<8) >> shift
		b.bits(v&(1<<take-1), take)
		return int64(take)
	}
	if shift == 0 {
		whole := min(n/8, int64(cap(b.buf)-len(b.buf)))
		b.buf = append(b.buf, src[:whole]...)
		return whole * 8
	}
	out := b.buf[len(b.buf):cap(b.buf)]
	words := min(int(n/64), (len(src)-1)/8, len(out)/8)
	if words <= 0 {
		return 0
	}
	shiftWords(out[:8*words], src[:8*words+1], shift)
	b.buf = b.buf[:len(b.buf)+8*words]
	return int64(words) * 64
}

// shiftWords sets dst to the bits of src from bit shift on, 1 to 7. src has one
// byte more than dst, both whole words. Slices that advance leave no bounds check
// in the loop.
func shiftWords(dst, src []byte, shift uint) {
	right, left := shift&7, (64-shift)&63
	for len(src) > 32 && len(dst) >= 32 {
		v0 := binary.LittleEndian.Uint64(src[0:8])
		v1 := binary.LittleEndian.Uint64(src[8:16])
		v2 := binary.LittleEndian.Uint64(src[16:24])
		v3 := binary.LittleEndian.Uint64(src[24:32])
		v4 := uint64(src[32])
		binary.LittleEndian.PutUint64(dst[0:8], v0>>right|v1<<left)
		binary.LittleEndian.PutUint64(dst[8:16], v1>>right|v2<<left)
		binary.LittleEndian.PutUint64(dst[16:24], v2>>right|v3<<left)
		binary.LittleEndian.PutUint64(dst[24:32], v3>>right|v4<<left)
		src, dst = src[32:], dst[32:]
	}
	for len(src) > 8 && len(dst) >= 8 {
		binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(src)>>right|uint64(src[8])<<left)
		src, dst = src[8:], dst[8:]
	}
}
