// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// magic is what the first bytes of a blob look like.
type magic string

const (
	magicNone magic = "" // a tar, or nothing that is known
	magicGzip magic = "gzip"
	magicZstd magic = "zstd"
)

// magics are the first bytes of formats. Gzip's are RFC 1952 section 2.3.1, the
// only compression method included; zstd's RFC 8878 section 3.1.
var magics = []struct {
	magic  magic
	prefix string
}{
	{magicGzip, "\x1f\x8b\x08"},
	{magicZstd, "\x28\xb5\x2f\xfd"},
	{"bzip2", "BZh"},
	{"xz", "\xfd7zXZ\x00"},
	{"lzma", "\x5d\x00\x00"},
	{"lz4", "\x04\x22\x4d\x18"},
	{"lzip", "LZIP"},
	{"lzop", "\x89LZO"},
	{"compress", "\x1f\x9d"},
	{"zip", "PK\x03\x04"},
}

// sniff tells by its first bytes, a block of them when there are so many, what
// a blob or the stream inside it is.
func sniff(b []byte) magic {
	if isSkippable(b) {
		return magicZstd
	}
	for _, m := range magics {
		if !bytes.HasPrefix(b, []byte(m.prefix)) {
			continue
		}
		if m.magic != magicGzip && m.magic != magicZstd && isHeader(b) {
			break // a tar whose first name begins like that
		}
		return m.magic
	}
	return magicNone
}

// isSkippable tells a skippable frame of zstd (RFC 8878 section 3.1.2). Some
// writers put one before everything else.
func isSkippable(b []byte) bool {
	return len(b) >= 4 && binary.LittleEndian.Uint32(b)&^15 == 0x184d2a50
}

// isHeader tells whether b begins with a tar header.
func isHeader(b []byte) bool {
	if len(b) < blockSize {
		return false
	}
	ok, _ := (*block)(b[:blockSize]).checksum()
	return ok
}

// Identify tells by its first bytes how a blob is stored.
func Identify(blob image.Blob) (Compression, error) {
	c, _, err := identify(blob, blob.Size(), "")
	return c, err
}

// identify tells how a blob is stored and what is odd about that.
func identify(blob io.ReaderAt, size int64, mediaType string) (Compression, []image.Warning, error) {
	head := make([]byte, min(blockSize, size))
	if n, err := blob.ReadAt(head, 0); n < len(head) {
		return 0, nil, readError(int64(n), size, err)
	}
	var c Compression
	switch what := sniff(head); what {
	case magicNone:
		c = Plain
	case magicGzip:
		c = Gzip
	case magicZstd:
		c = Zstd
	default:
		return 0, nil, image.WithHint(image.Corruptf("layers in %s format are not supported", what),
			"store the layer as gzip, zstd or plain tar")
	}
	var warnings []image.Warning
	if want, ok := compressionOf(mediaType); ok && want != c {
		warnings = append(warnings, image.Warning{Rule: 136,
			Text: "media type " + mediaType + " says " + want.String() + ", but the blob is " + c.String()})
	}
	if c == Zstd && zstdWindow(blob, size) > recommendedWindow {
		warnings = append(warnings, image.Warning{Rule: 145,
			Text: "zstd window is larger than the 8 MiB that every decoder has to take"})
	}
	return c, warnings, nil
}

// compressionOf tells what a media type promises, if it is one of a layer (OCI
// image-spec, layer.md and media-types.md; Docker Image Manifest V2, Schema 2).
func compressionOf(mediaType string) (c Compression, ok bool) {
	mediaType, _, _ = strings.Cut(mediaType, ";")
	switch {
	case strings.HasSuffix(mediaType, ".tar+gzip"), strings.HasSuffix(mediaType, ".tar.gzip"):
		return Gzip, true
	case strings.HasSuffix(mediaType, ".tar+zstd"), strings.HasSuffix(mediaType, ".tar.zstd"):
		return Zstd, true
	case strings.HasSuffix(mediaType, ".tar"):
		return Plain, true
	}
	return Plain, false
}

// Windows of zstd frames, in bytes (RFC 8878 section 3.1.1.1.2).
const (
	recommendedWindow = 8 << 20
	maxWindow         = 128 << 20 // what the zstd command takes by default
)

// zstdWindow is the window that the first frame with data asks for, 0 when that
// cannot be told.
func zstdWindow(blob io.ReaderAt, size int64) uint64 {
	const maxSkipped = 64 // frames
	buf := make([]byte, zstd.HeaderMaxSize)
	for off, i := int64(0), 0; off < size && i < maxSkipped; i++ {
		b := buf[:min(int64(len(buf)), size-off)]
		if n, _ := blob.ReadAt(b, off); n < len(b) {
			return 0
		}
		var h zstd.Header
		if err := h.Decode(b); err != nil {
			return 0
		}
		if !h.Skippable {
			if h.SingleSegment {
				return h.FrameContentSize
			}
			return h.WindowSize
		}
		off += int64(h.HeaderSize) + int64(h.SkippableSize)
	}
	return 0
}
