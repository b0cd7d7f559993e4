// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package tally adds up what becomes of the bytes of an image's layers: which of
// them the output is made of, which of them are dropped, and which paths are to
// blame. It is a pure function over a plan, the pieces that it is cut into and the
// paths that later layers hide.
//
// # Terms
//
//   - Bytes are those of tar streams: of the layers', or of the output's.
//   - A byte of a layer is copied when it is in the output as a part of a
//     compressed block, encoded when it is in the output and compressed again, and
//     dropped when it is not in the output.
//   - A byte of the output is new when no layer has it: headers written anew, zeros.
//     New bytes are encoded.
//   - A dropped byte is wasted when it belongs to a path that one layer brought and a
//     later one hides: its headers, content and padding. Other dropped bytes are
//     whiteouts, headers that were written anew, the ends of archives, and entries
//     that their own layer has twice.
//   - Stored bytes are those of a blob, compressed or not.
//
// # Rules
//
// For each layer Copied + Encoded + Dropped is the length of its tar stream; for
// the output the layers' Copied, and the layers' Encoded and New, are what
// splice.Gzip says of it.
//
// The content of a file with several names is wasted when the last of them is
// hidden, and counts for that name. What was hidden as a whole, such as a folder
// with all that was in it, is one path, once for each layer that brought any of it.
//
// How many stored bytes are wasted is an estimate: of a gzip layer by the sizes of
// the blocks in question, of any other by the layer's ratio.
//
// # Example
//
//	layer 1   a/   a/x (1000 bytes)   a/y (600 bytes)   b (3000 bytes)
//	layer 2   .wh.a   b (3000 bytes)
//
//	waste     b    layer 1, replaced by layer 2: 512 header + 3000 + 72 padding = 3584
//	          a/   layer 1, removed by layer 2: 512 + (512+1024) + (512+1024) = 3584
package tally
