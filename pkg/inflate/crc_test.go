// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package inflate_test

import (
	"hash/crc32"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/seed-81b0d42e/flatten/pkg/inflate"
)

func TestCombineCRC(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 1<<20)
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	want := crc32.ChecksumIEEE(data)
	cuts := []int{0, 1, 2, 15, 16, 17, 255, 256, 4095, 65535, 65536, len(data) - 1, len(data)}
	for range 200 {
		cuts = append(cuts, rng.IntN(len(data)))
	}
	for _, n := range cuts {
		a, b := crc32.ChecksumIEEE(data[:n]), crc32.ChecksumIEEE(data[n:])
		if got := inflate.CombineCRC(a, b, int64(len(data)-n)); got != want {
			t.Errorf("cut at %d: %08x, want %08x", n, got, want)
		}
	}
}

// TestCombineCRCLong goes where no data can: zeros are combined with zeros,
// each time twice as many.
func TestCombineCRCLong(t *testing.T) {
	const nothing = 0x12345678
	sum, n := crc32.ChecksumIEEE([]byte{0}), int64(1)
	bits := []uint32{sum} // CRCs of 1, 2, 4 … zeros
	for n <= math.MaxInt64/2 {
		sum = inflate.CombineCRC(sum, sum, n)
		n *= 2
		bits = append(bits, sum)
	}
	if want := crc32.ChecksumIEEE(make([]byte, 1<<20)); bits[20] != want {
		t.Fatalf("2^20 zeros: %08x, want %08x", bits[20], want)
	}
	for _, n := range []int64{3, 1 << 32, 1<<32 + 1, 0x123456789abcdef, math.MaxInt64} {
		byBits := uint32(nothing)
		all := uint32(0)
		for k, sum := range bits {
			if n>>k&1 != 0 {
				byBits = inflate.CombineCRC(byBits, sum, 1<<k)
				all = inflate.CombineCRC(all, sum, 1<<k)
			}
		}
		if got := inflate.CombineCRC(nothing, all, n); got != byBits {
			t.Errorf("%d zeros: %08x, want %08x", n, got, byBits)
		}
	}
}

func TestCombineCRCNegative(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	inflate.CombineCRC(1, 2, -1)
}

func FuzzCombineCRC(f *testing.F) {
	f.Add([]byte{}, []byte{})
	f.Add([]byte("a"), []byte{})
	f.Add([]byte{}, []byte("a"))
	f.Add([]byte("123"), []byte("456789"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		want := crc32.Update(crc32.ChecksumIEEE(a), crc32.IEEETable, b)
		if got := inflate.CombineCRC(crc32.ChecksumIEEE(a), crc32.ChecksumIEEE(b), int64(len(b))); got != want {
			t.Errorf("%08x, want %08x", got, want)
		}
	})
}

func BenchmarkCombineCRC(b *testing.B) {
	for _, n := range []int64{1, 65537, 1<<20 + 12345, 1<<36 - 1} {
		b.Run(byteCount(n), func(b *testing.B) {
			sum := uint32(0x12345678)
			for b.Loop() {
				sum = inflate.CombineCRC(sum, 0x87654321, n)
			}
		})
	}
}
