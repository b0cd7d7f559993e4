// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

import "github.com/opencontainers/go-digest"

// Kept reports whether the reader keeps a copy of its stream.
func (r *Reader) Kept() bool { return r.kept != nil }

// The encoding of a table, for tests.
var (
	EncodeLayer = func(l *Layer) []byte { return encodeLayer(nil, l) }
	DecodeLayer = decodeLayer
)

// The encoding of excerpts.
var (
	EncodeExcerpts = func(of digest.Digest, list []Excerpt) []byte { return encodeExcerpts(nil, of, list) }
	DecodeExcerpts = decodeExcerpts
)

// Excerpt is a range of a tar stream.
type Excerpt = excerpt

// What excerpts there can be.
const (
	MaxExcerpts   = maxExcerpts
	ExcerptedSize = excerptedSize
)
