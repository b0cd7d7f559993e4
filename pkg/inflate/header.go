// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package inflate

import (
	"hash/crc32"
	"unicode/utf8"
)

// FLG of a gzip header (RFC 1952 section 2.3.1).
const (
	flagText     = 1 << 0
	flagCRC      = 1 << 1
	flagExtra    = 1 << 2
	flagName     = 1 << 3
	flagComment  = 1 << 4
	flagReserved = 1<<5 | 1<<6 | 1<<7
)

const (
	magic       = 0x8b1f // ID1 and ID2
	methodFlate = 8

	// maxText bounds FNAME and FCOMMENT, for which RFC 1952 has no bound:
	// what FEXTRA can hold.
	maxText = 1<<16 - 1

	whereHeader = "a gzip header"
)

// headerReader reads the fields of a gzip header and sums them up.
type headerReader struct {
	*source
	crc uint32
	err error // the first one; later reads return zeros
}

// uint reads n <= 4 bytes, lowest first.
func (h *headerReader) uint(n int) uint32 {
	if h.err == nil {
		h.err = h.need(8*n, whereHeader)
	}
	if h.err != nil {
		return 0
	}
	k := h.bit >> 3
	h.crc = crc32.Update(h.crc, crc32.IEEETable, h.in[k:k+n])
	return uint32(h.take(8 * n))
}

// bytes reads n bytes.
func (h *headerReader) bytes(n int) []byte {
	var p []byte
	for range n {
		p = append(p, byte(h.uint(1)))
		if h.err != nil {
			return nil
		}
	}
	return p
}

// text reads ISO 8859-1 up to a zero byte.
func (h *headerReader) text(what string) string {
	at := h.at()
	var p []byte
	for n := 0; h.err == nil; n++ {
		b := h.uint(1)
		if b == 0 {
			break
		}
		if n == maxText {
			h.err = &CorruptError{at, what + " longer than 65535 bytes"}
		}
		p = utf8.AppendRune(p, rune(b))
	}
	return string(p)
}

// readHeader reads a member's header into m.
func (s *source) readHeader(m *Member) error {
	h := headerReader{source: s}
	if h.uint(2) != magic && h.err == nil {
		return &CorruptError{m.Start << 3, "not a gzip header"}
	}
	if h.uint(1) != methodFlate && h.err == nil {
		return &CorruptError{(m.Start + 2) << 3, "compression method is not deflate"}
	}
	flags := h.uint(1)
	if flags&flagReserved != 0 {
		return &CorruptError{(m.Start + 3) << 3, "reserved flag in a gzip header"}
	}
	m.Text = flags&flagText != 0
	m.ModTime = h.uint(4)
	m.XFL = uint8(h.uint(1))
	m.OS = uint8(h.uint(1))
	if flags&flagExtra != 0 {
		m.Extra = h.bytes(int(h.uint(2)))
	}
	if flags&flagName != 0 {
		m.Name = h.text("name")
	}
	if flags&flagComment != 0 {
		m.Comment = h.text("comment")
	}
	if flags&flagCRC != 0 {
		at, sum := h.at(), uint32(uint16(h.crc))
		if h.uint(2) != sum && h.err == nil {
			return &CorruptError{at, "gzip header does not match its CRC"}
		}
	}
	return h.err
}
