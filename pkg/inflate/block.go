// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package inflate

import "fmt"

// Type is the BTYPE field of a block (RFC 1951 section 3.2.3).
type Type uint8

const (
	Stored  Type = 0 // bytes as they are, after a length
	Fixed   Type = 1 // the Huffman codes of RFC 1951 section 3.2.6
	Dynamic Type = 2 // Huffman codes described by the block itself
)

// String returns the name RFC 1951 uses.
func (t Type) String() string {
	switch t {
	case Stored:
		return "stored"
	case Fixed:
		return "fixed"
	case Dynamic:
		return "dynamic"
	}
	return fmt.Sprintf("reserved(%d)", uint8(t))
}

// Block is one DEFLATE block of a source.
//
// Within a member, blocks tile both sides: each Start is the End of the block
// before it and each Offset is the Offset plus Length of the block before it.
// Between members only Offset continues.
type Block struct {
	Start  int64  // first bit of the 3-bit block header, counted from the first byte of the source
	End    int64  // one past the last bit; the last block of a member need not end on a byte
	Offset int64  // uncompressed offset of the first byte, over all members
	Length int64  // uncompressed bytes; may be 0
	CRC    uint32 // IEEE CRC-32 of those bytes
	Reach  uint16 // how far before Offset its matches reach: 0 to 32768
	Type   Type
	Final  bool // the last block of its member
}

// Checkpoint is a place where decoding can resume: see [Resume].
type Checkpoint struct {
	Block  int    // index of the block that begins here
	Window []byte // up to 32 KiB of output before it; empty at the start of a member
}

// Member is one gzip member (RFC 1952 section 2.3) whose trailer was checked.
type Member struct {
	Start  int64 // source offset of the first byte of the header
	Body   int64 // source offset of the first byte of the DEFLATE stream
	End    int64 // source offset one past the trailer
	Offset int64 // uncompressed offset of the first byte
	Length int64 // uncompressed bytes
	First  int   // index of its first block
	Blocks int   // number of its blocks, at least 1

	CRC     uint32 // IEEE CRC-32 of its uncompressed bytes
	ModTime uint32 // MTIME: seconds since 1970, 0 for none
	XFL     uint8  // XFL: 2 for best compression, 4 for fastest
	OS      uint8  // OS: 255 for unknown
	Text    bool   // FTEXT
	Name    string // FNAME, from ISO 8859-1
	Comment string // FCOMMENT, from ISO 8859-1
	Extra   []byte // FEXTRA
}
