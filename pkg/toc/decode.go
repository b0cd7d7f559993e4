// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

import (
	"bufio"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// decoder yields the tar stream of a blob in chunks.
type decoder interface {
	// next returns the next chunk, not empty, or io.EOF behind the last, when
	// the blob is read to its end. A chunk stays valid during the hold-1 calls
	// that follow the one that returned it.
	next() ([]byte, error)

	// trailing is how many bytes behind the compressed stream were ignored.
	trailing() int64

	// close releases what the decoder holds. It is not to be used afterwards.
	close()
}

const (
	chunkLen  = 256 << 10 // bytes of a decoded chunk, at most
	sourceLen = 128 << 10 // bytes read from a blob at once, at most
)

// buffered is a blob read through a buffer, no larger than the blob.
func buffered(src *source) *bufio.Reader {
	return bufio.NewReaderSize(src, int(min(sourceLen, src.size)))
}

// newDecoder returns a decoder at the start of src.
func newDecoder(c Compression, src *source, hold int) (decoder, error) {
	switch c {
	case Gzip:
		return newGzipDecoder(src, hold)
	case Zstd:
		return newZstdDecoder(src, hold)
	}
	return &readDecoder{r: src, ring: newRing(src, hold)}, nil
}

// ring hands out buffers in turn.
type ring struct {
	bufs [][]byte
	len  int
	at   int
}

// newRing returns a ring of buffers for what src holds: many layers are tiny.
func newRing(src *source, hold int) ring {
	return ring{bufs: make([][]byte, hold), len: int(4096 + 4*min(src.size, chunkLen/4-1024))}
}

func (r *ring) buf() []byte {
	r.at = (r.at + 1) % len(r.bufs)
	if r.bufs[r.at] == nil {
		r.bufs[r.at] = make([]byte, r.len)
	}
	return r.bufs[r.at]
}

// readDecoder yields what an io.Reader reads.
type readDecoder struct {
	r    io.Reader
	ring ring
	err  error // sticky, once the chunk before it is handed out
}

func (d *readDecoder) next() ([]byte, error) {
	buf := d.ring.buf()
	n := 0
	for n < len(buf) && d.err == nil {
		var m int
		m, d.err = d.r.Read(buf[n:])
		n += m
	}
	if n == 0 {
		return nil, d.err
	}
	return buf[:n], nil
}

func (d *readDecoder) trailing() int64 { return 0 }
func (d *readDecoder) close()          {}

// gzipDecoder yields the members of a gzip blob, one after the other (RFC 1952
// section 2.2).
type gzipDecoder struct {
	readDecoder
	members *gzipMembers
}

func newGzipDecoder(src *source, hold int) (decoder, error) {
	m := &gzipMembers{src: buffered(src)}
	var err error
	if m.gz, err = gzip.NewReader(m.src); err != nil {
		return nil, truncated(err)
	}
	m.gz.Multistream(false)
	return &gzipDecoder{readDecoder{r: m, ring: newRing(src, hold)}, m}, nil
}

func (d *gzipDecoder) trailing() int64 { return d.members.junk }

// gzipMembers reads members until something else follows, and skips that.
type gzipMembers struct {
	src  *bufio.Reader
	gz   *gzip.Reader
	junk int64
}

func (m *gzipMembers) Read(p []byte) (int, error) {
	n, err := m.gz.Read(p)
	if err != io.EOF {
		return n, err
	}
	return n, m.nextMember()
}

// nextMember goes on behind a member; io.EOF when there is no other.
func (m *gzipMembers) nextMember() error {
	head, err := m.src.Peek(2)
	if len(head) == 2 && string(head) == "\x1f\x8b" {
		if err := m.gz.Reset(m.src); err != nil {
			return truncated(err)
		}
		m.gz.Multistream(false)
		return nil
	}
	if err != nil && err != io.EOF {
		return err
	}
	if m.junk, err = io.Copy(io.Discard, m.src); err != nil {
		return err
	}
	return io.EOF
}

// truncated keeps an end in the midst of something from passing for the end.
func truncated(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// zstdDecoder yields the frames of a zstd blob.
type zstdDecoder struct {
	readDecoder
	zstd *zstd.Decoder
}

func newZstdDecoder(src *source, hold int) (decoder, error) {
	z, err := zstd.NewReader(buffered(src),
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	return &zstdDecoder{readDecoder{r: z, ring: newRing(src, hold)}, z}, nil
}

func (d *zstdDecoder) close() { d.zstd.Close() }

// decodeError is the error of a decoder over src, c its format. What is wrong
// with the blob itself goes first: a decoder may have hidden it.
func decodeError(c Compression, src *source, err error) error {
	if src.err != nil {
		return src.err
	}
	return image.Corruptf("decompressing %s near byte %d of the blob: %w", c, src.off, err)
}
