// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package plan turns a merged view into the list of pieces that the output tar
// is made of. A plan is a value: it can be printed, compared and carried out by
// anything that can read the layers.
//
// # Terms
//
//   - An extent is a run of output bytes: a copy of bytes a..b of a layer's tar
//     stream, a header that is written anew, or zeros.
//   - An entry is carried when its header and body are copied as they stand in
//     the layer, and re-written when its header is written anew.
//   - The primary name of a file with hard links is the one whose entry holds
//     the body; all others are entries of type link that name it.
//
// # Order
//
// By default entries stand in the order of the layers, each file where its body
// stands in its layer, each directory where it first appears. So every layer is
// read once from front to back. When the name that stood with a body did not
// survive, the first name that did takes its place. A link whose primary name
// comes later waits for it.
//
// With Canonical entries are sorted by path, component by component, and the
// first name of a file is its primary.
//
// In both orders a directory stands before what is in it and a link after the
// file that it names; each path stands once (rules 167 to 169).
//
// # Headers
//
// By default a header is carried when it is clean: its name is the output's
// byte for byte, and its metadata is what a container would see. A directory
// that a higher layer gives other metadata is re-written. Canonical headers are
// all written anew.
//
// A header that is written anew is POSIX ustar, preceded by a PAX extended
// header only for what does not fit: see [Plan.Header].
//
//	layer 1  a/  a/x  b        copy    layer 1  0..1536       a/  a/x
//	layer 2  b                 copy    layer 2  0..1024       b
//	                           zeros            1024
package plan
