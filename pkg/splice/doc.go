// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package splice carries a plan out: it writes the bytes that a plan's extents
// stand for, as a plain tar or as one gzip member.
//
// # Terms
//
//   - A source gives ranges of a layer's tar stream (see [Source]).
//   - The encoder is what compresses, with all parameters that its bytes depend
//     on; [Encoder] names it.
//
// The bytes that come out depend on the plan, the layers and the encoder alone:
// not on the number of processors, nor on timing.
//
// # Framing
//
// A gzip output is a single member (RFC 1952) without name, comment or time,
// operating system 255.
package splice
