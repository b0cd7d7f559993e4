// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package bitgen_test

import (
	"bytes"
	"testing"

	"github.com/seed-81b0d42e/flatten/internal/bitgen"
)

func TestParse(t *testing.T) {
	vectors := []struct {
		text string
		want []byte
		bits int64
	}{
		{"", nil, 0},
		{"# nothing", nil, 0},
		{"1", []byte{0x01}, 1},
		{"0110", []byte{0x06}, 4},
		{"1000_0000 1", []byte{0x01, 0x01}, 9},
		{"3:0b110 5:0", []byte{0x06}, 8},
		{"1 16:0x8001", []byte{0x03, 0x00, 0x01}, 17},
		{"1 | x:ff", []byte{0x01, 0xff}, 16},
		{"x:1f_8b", []byte{0x1f, 0x8b}, 16},
		{"0 |1 |1 x:00", []byte{0xfe, 0x00}, 16},
		{"x:1f8b*2", []byte{0x1f, 0x8b, 0x1f, 0x8b}, 32},
		{"'ab' # and more\n'c'", []byte("abc"), 24},
		{"'a'*3 10*2", []byte("aaa\x05"), 28},
	}
	for _, v := range vectors {
		s, err := bitgen.Parse(v.text)
		if err != nil || !bytes.Equal(s.Bytes, v.want) || s.Bits != v.bits {
			t.Errorf("%q: %+v, %v; want %x, %d bits", v.text, s, err, v.want, v.bits)
		}
	}
}

func TestMarks(t *testing.T) {
	s := bitgen.Must("@a 101 @b | @c")
	if s.Marks["a"] != 0 || s.Marks["b"] != 3 || s.Marks["c"] != 8 {
		t.Errorf("marks %v", s.Marks)
	}
}

func TestParseErrors(t *testing.T) {
	for _, text := range []string{"2", "1:2", "0:0", "65:0", "x:f", "'a", "1*", "1*x", "@a @a", "5:", ":5"} {
		if s, err := bitgen.Parse(text); err == nil {
			t.Errorf("%q: %+v, want an error", text, s)
		}
	}
}
