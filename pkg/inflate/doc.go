// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package inflate decodes gzip and DEFLATE streams and says where every block
// begins and ends, so that blocks can be copied without being decoded, and
// decoding can resume at any of them.
//
// # Terms
//
// A source is what is decoded: one or more gzip members (RFC 1952), or with
// Options.Raw one bare DEFLATE stream (RFC 1951). A member is a header, a
// DEFLATE stream and a trailer. A DEFLATE stream is a sequence of blocks, the
// last of which is marked final; it begins on a byte, but blocks within it
// begin on any bit. Positions in a source are counted in bits from its first
// byte, lowest bit of a byte first, as Huffman codes and fields are packed
// (RFC 1951 section 3.1.1). Offsets in the output are counted in bytes from
// the first byte of the first member.
//
// The window is the 32 KiB of the member's output before a place, or all of it
// where there is less. A match copies bytes from the window. A block's reach is
// how far before the block's own first byte its matches go: a block of reach 0
// can be decoded by itself, any block with the window before it.
//
// A chunk is what [Reader.Next] returns. It is the decoder's own memory: what
// was decoded is handed out where it was decoded to.
//
// # Rules
//
//   - A block is reported with its first bit and the bit after its last, its
//     type, whether it is final, its bytes' offset, length and CRC-32, and its
//     reach. Blocks of a member leave no gaps: the padding and the length of a
//     stored block belong to it, and so does the empty stored block of a sync
//     flush, which is a block like any other. Blocks of length 0 are reported.
//   - After the final block come up to 7 bits of padding, which are ignored, as
//     is the padding before a stored block's length.
//   - A member's header must have the magic number and method 8, none of the
//     reserved flags and, with FHCRC, the right CRC. Its output must have the
//     CRC-32 and the size that its trailer says. An empty member is fine. An
//     empty source is not: it lacks a member.
//   - After a member there is another one if its first two bytes, 1f 8b, are
//     there. If there is anything else, as padding that tape drives and some
//     tools leave, the source ends: [Reader.Next] returns io.EOF and
//     [Reader.Trailing] reports it. To accept or reject that is up to the caller.
//   - A set of code lengths must make a complete prefix code, but there may be
//     no code words or a single one, of one bit; a code for literals and lengths
//     must have a word for the end of the block.
//   - Everything else that RFC 1951 does not allow is an error: block type 3,
//     more than 286 literal and length or 30 distance codes, lengths repeated
//     past the last code or before the first, code words without a meaning,
//     and matches that go back before the first byte of the member or past the
//     window given to [Resume].
//   - Errors are final. A [CorruptError] or [TruncatedError] says where in the
//     source, to the bit. All that comes before the wrong code word is decoded
//     and returned first. No input makes this package panic.
//
// # Limits
//
// A [Reader] takes 0.6 MiB, and 40 bytes more for every block. Options.MaxBlocks
// bounds those. A header's name and comment may have 65535 bytes each. Chunks
// are filled before they are returned, and up to 64 KiB of the source are read
// ahead, so that this is no decoder for an interactive protocol.
//
// # Example
//
// This is the hexdump of `printf aaaaaaaaaa | gzip -n`, with its one block:
//
//	1f 8b 08 00 00 00 00 00 00 03   header
//	4b 4c 84 01 00                  block: bits 80 to 118, offset 0, length 10, fixed, final
//	f0 cd 11 4c                     CRC-32
//	0a 00 00 00                     size
//
// The block's bits, in the order in which they come: 1 final, 10 fixed,
// 10010001 the byte 'a', the same again, 0000110 a match of length 8, 00000 at
// distance 1, 0000000 the end. Its reach is 0, as the match begins in the block.
package inflate
