// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package bitgen turns a commented notation into bits, for writing DEFLATE
// streams by hand.
//
// The notation is words between blanks. From # to the end of a line is comment.
//
//	0110     these bits, in the order in which they come: a Huffman code word
//	5:29     the number 29 in 5 bits, lowest bit first: every other field
//	16:0xff  numbers are decimal, hexadecimal, octal or binary as in Go
//	x:1f8b   these bytes, in hexadecimal
//	'text'   these bytes, without blanks and quotes
//	|        zero bits up to the next byte, none if there is one
//	|1       the same with one bits
//	@end     no bits: the position is to be known by this name
//
// A word that makes bits may end in *n: n times the same.
//
//	1:1 2:1         # final, fixed
//	0011_0000*8     # eight zero bytes; underscores are for the eye
//
// Bits fill each byte from its lowest bit (RFC 1951 section 3.1.1); the last
// byte is padded with zero bits.
package bitgen

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// Stream is a sequence of bits and the names of positions in it.
type Stream struct {
	Bytes []byte
	Bits  int64            // how many there are, without the last byte's padding
	Marks map[string]int64 // bit positions by name
}

// Parse returns what text stands for.
func Parse(text string) (*Stream, error) {
	s := &Stream{Marks: make(map[string]int64)}
	for n, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		for _, word := range strings.Fields(line) {
			if err := s.word(word); err != nil {
				return nil, fmt.Errorf("bitgen: line %d: %q: %w", n+1, word, err)
			}
		}
	}
	return s, nil
}

// Must is Parse for text that is known to be right: it panics if it is not.
func Must(text string) *Stream {
	s, err := Parse(text)
	if err != nil {
		panic(err)
	}
	return s
}

// word adds what a word stands for.
func (s *Stream) word(word string) error {
	switch {
	case word[0] == '@':
		if _, ok := s.Marks[word[1:]]; ok {
			return fmt.Errorf("position named twice")
		}
		s.Marks[word[1:]] = s.Bits
		return nil
	case word == "|" || word == "|1":
		for s.Bits&7 != 0 {
			s.bit(word == "|1")
		}
		return nil
	}
	times := 1
	if i := strings.LastIndexByte(word, '*'); i > 0 && !strings.HasSuffix(word, "'") {
		n, err := strconv.Atoi(word[i+1:])
		if err != nil {
			return err
		}
		word, times = word[:i], n
	}
	for range times {
		if err := s.value(word); err != nil {
			return err
		}
	}
	return nil
}

// value adds a word of bits, a number or bytes.
func (s *Stream) value(word string) error {
	if text, ok := strings.CutPrefix(word, "'"); ok {
		text, ok = strings.CutSuffix(text, "'")
		if !ok {
			return fmt.Errorf("no closing quote")
		}
		s.bytes([]byte(text))
		return nil
	}
	width, number, ok := strings.Cut(word, ":")
	if !ok {
		return s.code(word)
	}
	if width == "x" {
		p, err := hex.DecodeString(strings.ReplaceAll(number, "_", ""))
		s.bytes(p)
		return err
	}
	n, err := strconv.ParseUint(width, 10, 7)
	if err != nil || n > 64 {
		return fmt.Errorf("no number of bits")
	}
	v, err := strconv.ParseUint(number, 0, int(n))
	if err != nil || n == 0 {
		return fmt.Errorf("no number of %d bits", n)
	}
	s.number(v, int(n))
	return nil
}

// code adds bits as they are written.
func (s *Stream) code(word string) error {
	for _, c := range word {
		switch c {
		case '0', '1':
			s.bit(c == '1')
		case '_':
		default:
			return fmt.Errorf("not a bit")
		}
	}
	return nil
}

func (s *Stream) bytes(p []byte) {
	for _, b := range p {
		s.number(uint64(b), 8)
	}
}

func (s *Stream) number(v uint64, n int) {
	for i := range n {
		s.bit(v>>i&1 != 0)
	}
}

func (s *Stream) bit(one bool) {
	if s.Bits&7 == 0 {
		s.Bytes = append(s.Bytes, 0)
	}
	if one {
		s.Bytes[s.Bits>>3] |= 1 << (s.Bits & 7)
	}
	s.Bits++
}
