// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package inflate_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/seed-81b0d42e/flatten/internal/bitgen"
	"github.com/seed-81b0d42e/flatten/pkg/inflate"
)

const (
	stored  = inflate.Stored
	fixed   = inflate.Fixed
	dynamic = inflate.Dynamic
)

// block is what a vector says of a block; where it is its marks say.
type block struct {
	kind   inflate.Type
	length int64
	reach  uint16
}

// deflateVector is a DEFLATE stream by hand.
type deflateVector struct {
	name   string
	stream string  // in the notation of bitgen; @0, @1 … are block starts, @end the end, @err an error
	out    string  // what it decodes to
	blocks []block // the blocks decoded whole
	reason string  // part of the error's reason, "" for none
}

// onlyA is the beginning of a dynamic block that can hold 'a' (0) and nothing
// else. Its end is 1. The code for distances is empty.
const onlyA = `
	2:2             # dynamic
	5:0 5:0 4:14    # 257 literals and lengths, 1 distance, 18 code lengths
	3:0 3:0 3:1 3:2 # 16: none, 17: none, 18: 0, 0: 10
	3:0*13 3:2      # 1: 11
	0 7:86          # 97 zeros
	11              # 'a' has one bit
	0 7:127 0 7:9   # 158 zeros
	11              # so has the end
	10              # no distance
`

// oneDistance is the beginning of a dynamic block with 'a' (0), the end (10), a
// length of 3 (11) and a distance of 1 (0, while 1 is no code word).
const oneDistance = `
	2:2
	5:1 5:0 4:14
	3:0 3:0 3:1 3:0 # 18: 0
	3:0*11 3:2      # 2: 11
	3:0 3:2         # 1: 10
	0 7:86 10       # 'a' has one bit
	0 7:127 0 7:9
	11 11           # the end and length 3 have two
	10              # distance 1 has one
`

var deflateVectors = []deflateVector{
	{"fixed, empty", `@0 1:1 2:1 0000000 @end`, "", []block{{fixed, 0, 0}}, ""},
	{"fixed, literals of 8 and 9 bits", `@0 1:1 2:1 00110000 10111111 110010000 111111111 0000000 @end`,
		"\x00\x8f\x90\xff", []block{{fixed, 4, 0}}, ""},
	{"fixed, match", `@0 1:1 2:1 10010001 0000111 00000 0000000 @end`,
		strings.Repeat("a", 10), []block{{fixed, 10, 0}}, ""},
	{"fixed, longest match both ways", `@0 1:1 2:1 10010001 11000101 00000 11000100 5:31 00000 0000000 @end`,
		strings.Repeat("a", 517), []block{{fixed, 517, 0}}, ""},
	{"fixed, distance with extra bits", `@0 1:1 2:1 10010001 10010010 10010011 10010100 10010101 10010110
		0000001 00100 0 # length 3 at distance 5
		0000001 00100 1 # length 3 at distance 6
		0000000 @end`, "abcdefbcddef", []block{{fixed, 12, 0}}, ""},
	{"stored", `@0 1:1 2:0 | 16:2 16:0xfffd 'hi' @end`, "hi", []block{{stored, 2, 0}}, ""},
	{"stored, empty, padded with ones", `@0 1:1 2:0 |1 16:0 16:0xffff @end`, "", []block{{stored, 0, 0}}, ""},
	{"sync flush", `
		@0 1:0 2:1 10010001 0000000
		@1 1:0 2:0 | 16:0 16:0xffff
		@2 1:1 2:1 0000001 00000 0000000 @end`,
		"aaaa", []block{{fixed, 1, 0}, {stored, 0, 0}, {fixed, 3, 1}}, ""},
	{"stored in every phase", `
		@0 1:0 2:0 | 16:1 16:0xfffe 'a'
		@1 1:0 2:1 0000000
		@2 1:0 2:0 | 16:1 16:0xfffe 'b'
		@3 1:0 2:1 110010000 0000000
		@4 1:0 2:0 | 16:1 16:0xfffe 'c'
		@5 1:0 2:1 110010000*2 0000000
		@6 1:0 2:0 | 16:1 16:0xfffe 'd'
		@7 1:0 2:1 110010000*3 0000000
		@8 1:0 2:0 | 16:1 16:0xfffe 'e'
		@9 1:0 2:1 110010000*4 0000000
		@10 1:0 2:0 | 16:1 16:0xfffe 'f'
		@11 1:0 2:1 110010000*5 0000000
		@12 1:0 2:0 | 16:1 16:0xfffe 'g'
		@13 1:0 2:1 110010000*6 0000000
		@14 1:1 2:0 | 16:1 16:0xfffe 'h' @end`,
		"ab\x90c\x90\x90d\x90\x90\x90e\x90\x90\x90\x90f\x90\x90\x90\x90\x90g\x90\x90\x90\x90\x90\x90h",
		[]block{{stored, 1, 0}, {fixed, 0, 0}, {stored, 1, 0}, {fixed, 1, 0}, {stored, 1, 0}, {fixed, 2, 0},
			{stored, 1, 0}, {fixed, 3, 0}, {stored, 1, 0}, {fixed, 4, 0}, {stored, 1, 0}, {fixed, 5, 0},
			{stored, 1, 0}, {fixed, 6, 0}, {stored, 1, 0}}, ""},
	{"reach counts from the block's first byte", `
		@0 1:0 2:0 | 16:3 16:0xfffc 'abc'
		@1 1:0 2:1 10010001 0000001 00010 0000000        # 'a', then 3 from 3 back: 2 before the block
		@2 1:1 2:1 0000001 00100 1 0000001 00000 0000000 # 6 back, then 1 back
		@end`, "abcabcabcaaaa", []block{{stored, 3, 0}, {fixed, 4, 2}, {fixed, 6, 6}}, ""},
	{"dynamic, no distances", `@0 1:1` + onlyA + `000 1 @end`, "aaa", []block{{dynamic, 3, 0}}, ""},
	{"dynamic, one distance", `@0 1:1` + oneDistance + `0 11 0 10 @end`, "aaaa", []block{{dynamic, 4, 0}}, ""},
	{"dynamic, tables are built anew", `
		@0 1:0` + onlyA + `0 1
		@1 1:0 2:1 0000001 00000 0000000
		@2 1:0` + oneDistance + `11 0 10
		@3 1:0 2:1 10010010 0000000
		@4 1:1 2:1 10010011 0000000 @end`,
		"aaaaaaabc", []block{{dynamic, 1, 0}, {fixed, 3, 1}, {dynamic, 3, 1}, {fixed, 1, 0}, {fixed, 1, 0}}, ""},

	{"reserved type", `@0 1:0 2:1 10010001 0000000 @1 1:1 @err 2:3 x:0000`, "a", []block{{fixed, 1, 0}}, "reserved block type"},
	{"stored, wrong complement", `@0 1:1 2:0 | @err 16:2 16:0xfffc 'hi'`, "", nil, "complement"},
	{"fixed, length 286", `@0 1:1 2:1 10010001 @err 11000110 00000 0000000`, "a", nil, "not a code word for a literal"},
	{"fixed, length 287", `@0 1:1 2:1 10010001 @err 11000111 00000 0000000`, "a", nil, "not a code word for a literal"},
	{"fixed, distance 30", `@0 1:1 2:1 10010001 0000001 @err 11110 0000000`, "a", nil, "not a code word for a distance"},
	{"fixed, distance 31", `@0 1:1 2:1 10010001 0000001 @err 11111 0000000`, "a", nil, "not a code word for a distance"},
	{"distance before the first byte", `@0 1:1 2:1 10010001 0000001 @err 00001 0000000`, "a", nil, "before the first byte"},
	{"match at the first byte", `@0 1:1 2:1 0000001 @err 00000 0000000`, "", nil, "before the first byte"},
	{"dynamic, 287 literals and lengths", `@0 1:1 2:2 @err 5:30 5:0 4:14`, "", nil, "286"},
	{"dynamic, 31 distances", `@0 1:1 2:2 5:0 @err 5:30 4:14`, "", nil, "30"},
	{"dynamic, too many code length codes", `@0 1:1 2:2 5:0 5:0 4:0 3:1*3 3:0 @err x:0000`, "", nil, "code for code lengths"},
	{"dynamic, too few code length codes", `@0 1:1 2:2 5:0 5:0 4:0 3:2*3 3:0 @err x:0000`, "", nil, "code for code lengths"},
	{"dynamic, no code length code", `@0 1:1 2:2 5:0 5:0 4:0 3:0*4 @err x:0000`, "", nil, "not a code word"},
	{"dynamic, repeat of nothing", `@0 1:1 2:2 5:0 5:0 4:0 3:1 3:0 3:0 3:1 @err 1 2:0 x:0000`, "", nil, "no code length to repeat"},
	{"dynamic, too many lengths", `@0 1:1 2:2 5:0 5:0 4:0 3:0 3:0 3:1 3:0 0 7:127 @err 0 7:127 x:00`, "", nil, "more code lengths"},
	{"dynamic, not a code length", `@0 1:1 2:2 5:0 5:0 4:0 3:0 3:0 3:1 3:0 0 7:127 @err 1 7:9 x:00`, "", nil, "code for code lengths"},
	{"dynamic, no end", `@0 1:1 2:2 5:0 5:0 4:0 3:0 3:0 3:1 3:0 0 7:127 0 7:109 @err x:00`, "", nil, "ends the block"},
	{"dynamic, two words of one bit and one more", `@0 1:1 2:2 5:1 5:0 4:14 3:0 3:0 3:1 3:2 3:0*13 3:2
		0 7:86 11 0 7:127 0 7:9 11 11 10 @err x:00`, "", nil, "code for literals and lengths"},
	{"dynamic, distance where there is none", `@0 1:1 2:2 5:1 5:0 4:14
		3:0*2 3:2*2 3:0*11 3:2 3:0 3:2 # 0: 00, 1: 01, 2: 10, 18: 11
		11 7:86 01 11 7:127 11 7:9 10 10 00
		0 11 @err`, "a", nil, "not a code word for a distance"},
	{"dynamic, distance that is not the one", `@0 1:1` + oneDistance + `0 11 @err 1 10 x:00`, "a", nil, "not a code word for a distance"},
}

func TestDeflate(t *testing.T) {
	for _, v := range deflateVectors {
		t.Run(v.name, func(t *testing.T) {
			s := bitgen.Must(v.stream)
			out, r, err := verify(t, s.Bytes, inflate.Options{Raw: true, Every: 1})
			if string(out) != v.out {
				t.Errorf("output %q, want %q", out, v.out)
			}
			checkBlocks(t, r.Blocks(), s, v.blocks)
			checkError(t, err, s, v.reason)
			if v.reason != "" {
				return
			}
			if r.InputOffset() != int64(len(s.Bytes)) {
				t.Errorf("ends at byte %d, want %d", r.InputOffset(), len(s.Bytes))
			}
			if ref, err := io.ReadAll(flate.NewReader(bytes.NewReader(s.Bytes))); err != nil || string(ref) != v.out {
				t.Errorf("compress/flate disagrees: %q, %v", ref, err)
			}
		})
	}
}

func checkBlocks(t *testing.T, got []inflate.Block, s *bitgen.Stream, want []block) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d blocks, want %d", len(got), len(want))
	}
	for i, b := range got {
		end, ok := s.Marks[fmt.Sprint(i+1)]
		if !ok {
			end = s.Marks["end"]
		}
		if start := s.Marks[fmt.Sprint(i)]; b.Start != start || b.End != end {
			t.Errorf("block %d is bits %d to %d, want %d to %d", i, b.Start, b.End, start, end)
		}
		if w := want[i]; b.Type != w.kind || b.Length != w.length || b.Reach != w.reach {
			t.Errorf("block %d is %v, %d bytes, reach %d; want %v, %d, %d", i, b.Type, b.Length, b.Reach, w.kind, w.length, w.reach)
		}
	}
}

func checkError(t *testing.T, err error, s *bitgen.Stream, reason string) {
	t.Helper()
	if reason == "" {
		if err != nil {
			t.Error(err)
		}
		return
	}
	var corrupt *inflate.CorruptError
	if !errors.As(err, &corrupt) {
		t.Fatalf("error %v, want a CorruptError: %s", err, reason)
	}
	if corrupt.Bit != s.Marks["err"] || !strings.Contains(corrupt.Reason, reason) {
		t.Errorf("%v; want bit %d: %s", err, s.Marks["err"], reason)
	}
}

// TestDeflateTruncated cuts every good vector after every byte.
func TestDeflateTruncated(t *testing.T) {
	for _, v := range deflateVectors {
		if v.reason != "" {
			continue
		}
		s := bitgen.Must(v.stream)
		for n := range s.Bytes {
			out, _, err := verify(t, s.Bytes[:n], inflate.Options{Raw: true})
			checkTruncated(t, fmt.Sprintf("%s, %d bytes", v.name, n), err, n)
			if !strings.HasPrefix(v.out, string(out)) {
				t.Errorf("%s, %d bytes: output %q", v.name, n, out)
			}
			ref, _ := io.ReadAll(flate.NewReader(bytes.NewReader(s.Bytes[:n])))
			if !bytes.HasPrefix(out, ref) { // it wants as many bits as the end has before it decodes a byte
				t.Errorf("%s, %d bytes: output %q, compress/flate's %q", v.name, n, out, ref)
			}
		}
	}
}

func checkTruncated(t *testing.T, what string, err error, n int) {
	t.Helper()
	var truncated *inflate.TruncatedError
	if !errors.As(err, &truncated) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%s: error %v, want a TruncatedError", what, err)
		return
	}
	if truncated.Bit > int64(n)*8 || truncated.Bit < int64(n)*8-8*65540 || truncated.Where == "" {
		t.Errorf("%s: %v", what, err)
	}
}
