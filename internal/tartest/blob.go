// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package tartest

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Blob is a layer: the tar stream that it is meant to hold, and how that is
// stored.
type Blob struct {
	// Tar is the stream, which the layer's diffID is taken of.
	Tar []byte

	// Stored is the bytes of the blob.
	Stored []byte

	// MediaType is what the manifest says of the blob.
	MediaType string
}

// Layer is a layer of the entries and two zero blocks, stored plain.
func Layer(entries ...Entry) Blob {
	return Plain(Stream(append(entries[:len(entries):len(entries)], Zeros(2))...))
}

// Plain is a layer of the given tar stream, stored plain.
func Plain(tar []byte) Blob {
	return Blob{Tar: tar, Stored: tar, MediaType: v1.MediaTypeImageLayer}
}

// Gzip stores the layer as one gzip member.
func (b Blob) Gzip() Blob { return b.GzipMembers() }

// GzipMembers stores the layer as several gzip members, cut at the given
// offsets of the tar stream. The same offset twice makes an empty member.
func (b Blob) GzipMembers(cuts ...int) Blob {
	b.Stored, b.MediaType = nil, v1.MediaTypeImageLayerGzip
	for _, part := range cut(b.Tar, cuts) {
		b.Stored = append(b.Stored, GzipBytes(part)...)
	}
	return b
}

// Zstd stores the layer as one zstd frame.
func (b Blob) Zstd() Blob { return b.ZstdFrames() }

// ZstdFrames stores the layer as several zstd frames, cut as by GzipMembers.
func (b Blob) ZstdFrames(cuts ...int) Blob {
	b.Stored, b.MediaType = nil, v1.MediaTypeImageLayerZstd
	for _, part := range cut(b.Tar, cuts) {
		b.Stored = append(b.Stored, ZstdBytes(part)...)
	}
	return b
}

// As replaces the stored bytes and leaves the tar stream that they should hold.
func (b Blob) As(stored ...[]byte) Blob { b.Stored = bytes.Join(stored, nil); return b }

// Typed replaces the media type.
func (b Blob) Typed(mediaType string) Blob { b.MediaType = mediaType; return b }

// cut cuts b at the given offsets.
func cut(b []byte, at []int) [][]byte {
	var parts [][]byte
	from := 0
	for _, to := range append(at[:len(at):len(at)], len(b)) {
		parts = append(parts, b[from:to])
		from = to
	}
	return parts
}

// GzipBytes is one gzip member that holds b.
func GzipBytes(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	must(w.Write(b))
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// ZstdBytes is one zstd frame, with a checksum, that holds b.
func ZstdBytes(b []byte) []byte {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithZeroFrames(true))
	if err != nil {
		panic(err)
	}
	defer w.Close()
	return w.EncodeAll(b, nil)
}

// Skippable is a zstd skippable frame (RFC 8878, section 3.1.2) with the given
// last digit of the magic number, 0 to 15.
func Skippable(digit byte, payload string) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 0x184D2A50|uint32(digit))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
	return append(b, payload...)
}

// ZstdWindow is a zstd frame of stored blocks that hold b and that asks its
// reader for a window of 1<<log bytes (RFC 8878, section 3.1.1.1.2).
func ZstdWindow(log int, b []byte) []byte {
	const most = 128 << 10 // in a block
	out := []byte{0x28, 0xB5, 0x2F, 0xFD, 0x00, byte(log-10) << 3}
	for {
		n := min(len(b), most)
		head := uint32(n) << 3
		if n == len(b) {
			head |= 1
		}
		out = append(out, byte(head), byte(head>>8), byte(head>>16))
		out = append(out, b[:n]...)
		if b = b[n:]; len(b) == 0 {
			return out
		}
	}
}

// Gunzip is what a single gzip member holds. Bytes behind the member, a second
// member included, are an error.
func Gunzip(b []byte) ([]byte, error) {
	src := bytes.NewReader(b)
	r, err := gzip.NewReader(src)
	if err != nil {
		return nil, err
	}
	r.Multistream(false)
	tar, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	if src.Len() > 0 {
		return nil, fmt.Errorf("%d bytes behind the gzip member", src.Len())
	}
	return tar, nil
}

func must(_ int, err error) {
	if err != nil {
		panic(err)
	}
}
