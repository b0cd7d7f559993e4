// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package toc reads a layer once and returns its table of contents: which
// entries its tar stream holds, what each says, and at which bytes it lies.
//
// # Terms
//
//   - The tar stream is a layer's blob after decompression. All offsets are bytes
//     in it, counted from 0.
//   - A block is 512 bytes. Headers are blocks, bodies are padded to blocks.
//   - An entry is a file, a link, a device or a directory: its extension headers
//     ('x' of POSIX pax, 'L' and 'K' of GNU tar), its header block, its body and
//     padding, in this order and without a gap.
//
// # Rules
//
// A stream is taken, refused and understood as by the Reader of Go's archive/tar,
// for all container runtimes read layers with that: V7, ustar, pax, GNU and star
// headers, numbers in octal and in base 256, signed and unsigned checksums, names
// by 'L' over those by 'x' over the header block's, the last 'x' alone. Numbers
// are those of docs/semantics.md. Beyond what Go refuses, these are errors:
//
//	73, 125   a size in the header of a link, directory, device or fifo: where
//	          the next entry begins would be a matter of opinion
//	96        a symbolic link without a target, or one of 4096 bytes or more
//	108       an extended attribute over 64 KiB
//	113       an owner or a group below 0 or above 2^32-2
//	118       a device number below 0 or above 2^32-1
//	119, 120  a type other than '0' to '7', NUL, 'S' and the extension headers
//	124       a sparse map that does not account for each stored byte
//	126       a size below 0, whatever the type
//
// These are warnings:
//
//	97, 98    a global PAX header ('g') is ignored, once per layer
//	121       type '7' is a regular file
//	123       type 'S' is a sparse file; those in PAX formats 0.0, 0.1 and 1.0
//	          are silently so
//	124       a sparse file of an unknown PAX version is a file as it is stored
//	130       the stream ends without two zero blocks
//	132       another archive follows the end of the first, and is ignored
//	136       the blob's compression is not what its media type says
//	138       bytes follow the last gzip member, and the diffID is right
//	145       a zstd frame asks for a window over 8 MiB; over 128 MiB is an error
//
// The end of an archive is two zero blocks (133: one alone, with another header
// behind it, is an error); what follows belongs to the diffID and to no entry
// (131). A stream that ends in the midst of a header or a body is an error (134),
// an empty one is an empty layer (135).
//
// What depends on other entries, on other layers or on the cleaned path is not
// judged here.
//
// # Limits
//
// See [image.Limits] and [Budget]. Further, one extension header or sparse map has 1 MiB at most,
// the headers of one entry 8 MiB, and after 1000 warnings the rest are counted.
// An entry takes 72 bytes of memory and its name; owners and other metadata that
// many entries have alike are kept once. Bodies are never kept.
//
// # Example
//
// A stream of a directory, and in it a file of 5 bytes whose name is in a PAX
// header, is this table of contents:
//
//	offset  bytes
//	0       header block of "d/"             d/   Start 0    Header 512   Size 0
//	512     header block of the 'x'          d/f  Start 512  Header 1536  Size 5
//	1024    its body: "12 path=d/f\n"
//	1536    header block of the file
//	2048    "hello" and 507 bytes of padding      Body 2048  End 2560
//	2560    two zero blocks
package toc
