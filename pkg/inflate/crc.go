// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package inflate

import "hash/crc32"

// CRC-32 arithmetic is arithmetic on polynomials over GF(2) modulo the IEEE
// polynomial. A polynomial is held reflected: bit 31 is the coefficient of x^0.
const one = uint32(1) << 31

// zeros[k][d] is x^(8*d*16^k): what multiplying by it does to a CRC is what
// d*16^k bytes of zeros after its data do. 16 digits cover any length.
var zeros = func() (t [16][16]uint32) {
	x := one >> 8 // x^8: one byte
	for k := range t {
		t[k][0] = one
		for d := 1; d < 16; d++ {
			t[k][d] = multiply(t[k][d-1], x)
		}
		x = multiply(t[k][15], x)
	}
	return t
}()

// multiply returns a*b modulo the IEEE polynomial.
func multiply(a, b uint32) uint32 {
	var p uint32
	for ; a != 0; a <<= 1 {
		p ^= b & uint32(int32(a)>>31)
		b = b>>1 ^ crc32.IEEE&-(b&1)
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
	for k := 0; len2 != 0 && crc1 != 0; k, len2 = k+1, len2>>4 {
		if d := len2 & 15; d != 0 {
			crc1 = multiply(crc1, zeros[k][d])
		}
	}
	return crc1 ^ crc2
}
