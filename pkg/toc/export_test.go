// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

// The encoding of a table, for tests.
var (
	EncodeLayer = func(l *Layer) []byte { return encodeLayer(nil, l) }
	DecodeLayer = decodeLayer
)
