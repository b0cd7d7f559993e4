// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package splice

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
)

// The parameters of the encoder. Changing one changes every digest: they are
// part of the name that [Encoder] gives, and a golden test holds them.
const (
	DefaultLevel = 1
	chunkSize    = 1 << 20  // bytes that are compressed at once
	windowSize   = 32 << 10 // bytes before a chunk that its matches may reach
	library      = "klauspost/compress 1.20.3"
)

// Encoder names the encoder of a level and all that its bytes depend on.
func Encoder(level int) string {
	return fmt.Sprintf("%s, level %d, %d KiB chunks", library, level, chunkSize>>10)
}

// gzipHeader begins the output: deflate, no flags, no time, unknown system.
var gzipHeader = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff}

// Gzip is a writer that compresses chunks in parallel and writes them in order
// as one gzip member. Each chunk begins with the window of the one before, so
// the bytes do not depend on how many are compressed at once.
//
// Either Close or Abort must be called: both end its goroutines.
type Gzip struct {
	w     io.Writer
	level int
	buf   []byte // the window, then what is gathered of the current chunk
	dict  int    // length of the window in buf
	crc   uint32
	size  uint32
	queue chan chan []byte // results in the order of the chunks
	done  chan struct{}    // closed when all of queue is written
	pool  sync.Pool        // of *flate.Writer

	mu  sync.Mutex
	err error // sticky: the first failure to write, or errAborted
}

// NewGzip returns a writer that compresses to w at a level from 1 to 9, jobs
// chunks at a time.
func NewGzip(w io.Writer, level, jobs int) *Gzip {
	z := &Gzip{
		w: w, level: level,
		buf:   make([]byte, 0, windowSize+chunkSize),
		queue: make(chan chan []byte, max(jobs, 1)-1),
		done:  make(chan struct{}),
	}
	go z.drain()
	return z
}

// drain writes the chunks in order until queue is closed.
func (z *Gzip) drain() {
	defer close(z.done)
	_, err := z.w.Write(gzipHeader)
	z.fail(err)
	for result := range z.queue {
		chunk := <-result
		if z.failure() != nil {
			continue
		}
		_, err := z.w.Write(chunk)
		z.fail(err)
	}
}

func (z *Gzip) fail(err error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.err == nil {
		z.err = err
	}
}

func (z *Gzip) failure() error {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.err
}

// Write compresses p. An error may be that of an earlier chunk.
func (z *Gzip) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		n := min(len(p), z.dict+chunkSize-len(z.buf))
		z.buf = append(z.buf, p[:n]...)
		p = p[n:]
		if len(z.buf) == z.dict+chunkSize {
			z.send(false)
		}
	}
	return written, z.failure()
}

// send hands the gathered chunk to a goroutine and begins the next one.
func (z *Gzip) send(last bool) {
	buf, dict := z.buf, z.dict
	data := buf[dict:]
	z.crc = crc32.Update(z.crc, crc32.IEEETable, data)
	z.size += uint32(len(data))
	z.buf = make([]byte, 0, windowSize+chunkSize)
	z.buf = append(z.buf, buf[max(0, len(buf)-windowSize):]...)
	z.dict = len(z.buf)
	result := make(chan []byte, 1)
	z.queue <- result
	go func() { result <- z.compress(buf[:dict], data, last) }()
}

// compress deflates one chunk. All but the last end with an empty stored block,
// on a byte (RFC 1951 section 3.2.4).
func (z *Gzip) compress(dict, data []byte, last bool) []byte {
	var out bytes.Buffer
	out.Grow(len(data)/2 + 1024)
	fw, _ := z.pool.Get().(*flate.Writer)
	if fw == nil {
		var err error
		if fw, err = flate.NewWriterDict(&out, z.level, dict); err != nil {
			panic("internal error: " + err.Error()) // the level is out of range
		}
	} else {
		fw.ResetDict(&out, dict)
	}
	fw.Write(data) // a bytes.Buffer does not fail
	if last {
		fw.Close()
	} else {
		fw.Flush()
	}
	z.pool.Put(fw)
	return out.Bytes()
}

// Close ends the member. It does not close the writer below.
func (z *Gzip) Close() error {
	z.send(true)
	close(z.queue)
	<-z.done
	if err := z.failure(); err != nil {
		return err
	}
	var trailer [8]byte
	binary.LittleEndian.PutUint32(trailer[:4], z.crc)
	binary.LittleEndian.PutUint32(trailer[4:], z.size)
	_, err := z.w.Write(trailer[:])
	return err
}

// Abort ends the writer without ending the member: what was written so far is
// not a complete gzip file.
func (z *Gzip) Abort() {
	z.fail(errAborted)
	close(z.queue)
	<-z.done
}

var errAborted = fmt.Errorf("aborted")
