// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

// Kept reports whether the reader keeps a copy of its stream.
func (r *Reader) Kept() bool { return r.kept != nil }

// The encoding of a table, for tests.
var (
	EncodeLayer = func(l *Layer) []byte { return encodeLayer(nil, l) }
	DecodeLayer = decodeLayer
)
