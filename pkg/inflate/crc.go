// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package inflate

import (
	"hash/crc32"
	"sync"
)

// CRC-32 arithmetic is arithmetic on polynomials over GF(2) modulo the IEEE
// polynomial. A polynomial is held reflected: bit 31 is the coefficient of x^0.
const one = uint32(1) << 31

// zeros()[k][d] is x^(8*d*256^k): what multiplying by it does to a CRC is what
// d*256^k bytes of zeros after its data do. 8 digits cover any length.
var zeros = sync.OnceValue(func() *[8][256]uint32 {
	t := new([8][256]uint32)
	x := one >> 8 // x^8: one byte
	for k := range t {
		t[k][0] = one
		for d := 1; d < 256; d++ {
			t[k][d] = multiply(t[k][d-1], x)
		}
		x = multiply(t[k][255], x)
	}
	return t
})

// multiply returns a*b modulo the IEEE polynomial.
func multiply(a, b uint32) uint32 {
	// times[d] is b times the polynomial of the four bits d, the highest of
	// which is the coefficient of x^0.
	var times [16]uint32
	for d := 8; d > 0; d >>= 1 {
		times[d] = b
		b = b>>1 ^ crc32.IEEE&-(b&1)
	}
	for d := 3; d < 16; d++ {
		times[d] = times[d&(d-1)] ^ times[d&-d]
	}
	// From the highest powers of x to the lowest, eight at a time. What a CRC
	// does with a byte of zeros is to multiply by x^8.
	var p uint32
	for range 4 {
		p = p>>8 ^ crc32.IEEETable[p&0xff]
		low := times[a&15] // and x^4
		p ^= times[a>>4&15] ^ low>>4 ^ crc32.IEEETable[low<<4&0xff]
		a >>= 8
	}
	return p
}

// CombineCRC returns the IEEE CRC-32 of A followed by B, given that of A, that
// of B, and the length of B in bytes. It panics if len2 is negative.
//
//	crc32.ChecksumIEEE(append(a, b...)) == CombineCRC(crc32.ChecksumIEEE(a), crc32.ChecksumIEEE(b), int64(len(b)))
func CombineCRC(crc1, crc2 uint32, len2 int64) uint32 {
	if len2 < 0 {
		panic("inflate: negative length")
	}
	table := zeros()
	for k := 0; len2 != 0; k, len2 = k+1, len2>>8 {
		if d := len2 & 255; d != 0 {
			crc1 = multiply(crc1, table[k&7][d])
		}
	}
	return crc1 ^ crc2
}
