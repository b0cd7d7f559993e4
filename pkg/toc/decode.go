// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

import (
	"bufio"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/inflate"
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

// newDecoder returns a decoder at the start of src. A zstd frame may ask for a
// window of maxWindow if it is wide, else for recommendedWindow. Gzip may have so
// many blocks.
func newDecoder(c Compression, src *source, hold int, wide bool, blocks int) (decoder, error) {
	switch c {
	case Gzip:
		return newGzipDecoder(src, hold, blocks), nil
	case Zstd:
		return newZstdDecoder(src, hold, wide)
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
	*inflate.Reader
	src  *source
	rest int64 // bytes behind the last member
}

func newGzipDecoder(src *source, hold int, most int) *gzipDecoder {
	r := inflate.NewReader(src, inflate.Options{Hold: hold, Every: checkpointEvery, MaxBlocks: most, NoMembers: true})
	return &gzipDecoder{Reader: r, src: src}
}

// resumeGzip returns a decoder that enters a blob at a block; src stands at the
// byte where that begins.
func resumeGzip(src *source, at inflate.Block, window []byte) *gzipDecoder {
	return &gzipDecoder{Reader: inflate.Resume(src, at, window, inflate.Options{}), src: src}
}

func (d *gzipDecoder) next() ([]byte, error) {
	chunk, err := d.Next()
	if err != io.EOF {
		return chunk, err
	}
	if at, ok := d.Trailing(); ok {
		d.rest = d.src.size - at
		if _, err := io.Copy(io.Discard, d.src); err != nil {
			return nil, err
		}
	}
	return nil, io.EOF
}

func (d *gzipDecoder) trailing() int64 { return d.rest }
func (d *gzipDecoder) close()          {}

// zstdDecoder yields the frames of a zstd blob.
type zstdDecoder struct {
	readDecoder
	zstd *zstd.Decoder
	wide bool
}

func newZstdDecoder(src *source, hold int, wide bool) (decoder, error) {
	if !wide {
		z, err := zstd.NewReader(buffered(src), zstdOptions(recommendedWindow)...)
		if err != nil {
			return nil, err
		}
		return &zstdDecoder{readDecoder{r: z, ring: newRing(src, hold)}, z, false}, nil
	}
	z, ok := wideDecoders.Get().(*zstd.Decoder)
	if !ok {
		var err error
		if z, err = zstd.NewReader(nil, zstdOptions(maxWindow)...); err != nil {
			return nil, err
		}
	}
	if err := z.Reset(buffered(src)); err != nil {
		return nil, err
	}
	return &zstdDecoder{readDecoder{r: z, ring: newRing(src, hold)}, z, true}, nil
}

func zstdOptions(window uint64) []zstd.DOption {
	return []zstd.DOption{
		zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(window),
	}
}

// wideDecoders are *zstd.Decoder with a window of up to 128 MiB, which is better
// used again than given to the garbage collector. wideScans is held while a layer
// is scanned with one: layers that want so much wait for each other.
var (
	wideDecoders sync.Pool
	wideScans    sync.Mutex
)

func (d *zstdDecoder) close() {
	if d.wide && d.zstd.Reset(nil) == nil {
		wideDecoders.Put(d.zstd)
		return
	}
	d.zstd.Close()
}

// decodeError is the error of a decoder over src, c its format. What is wrong
// with the blob itself goes first: a decoder may have hidden it.
func decodeError(c Compression, src *source, err error) error {
	if src.err != nil {
		return src.err
	}
	return image.Corruptf("decompressing %s near byte %d of the blob: %w", c, src.off, err)
}
