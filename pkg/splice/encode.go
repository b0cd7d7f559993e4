// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package splice

import (
	"bytes"
	"hash/crc32"
	"sync"

	"github.com/klauspost/compress/flate"
)

// The parameters of the encoder. Changing one changes every digest: they are
// part of the name that [Encoder] gives, and a golden test holds them.
const (
	// DefaultLevel is the level at which is encoded what is not copied.
	DefaultLevel = 1

	chunkSize  = 1 << 20  // bytes that are compressed at once
	windowSize = 32 << 10 // bytes before a chunk that its matches may reach
	library    = "klauspost/compress 1.20.3"
)

// encoder compresses chunks. It is safe for use by several goroutines.
type encoder struct {
	level int
	pool  sync.Pool // of *flate.Writer
}

// chunk is encoded bytes: whole bytes of DEFLATE that end with an empty stored
// block, so that what follows begins on a byte.
type chunk struct {
	deflate []byte
	crc     uint32
	size    int64
}

// encode compresses data, the matches of which may reach into the window
// before it. The bytes depend on nothing else.
func (e *encoder) encode(window, data []byte) chunk {
	var out bytes.Buffer
	out.Grow(len(data)/2 + 1024)
	fw, _ := e.pool.Get().(*flate.Writer)
	if fw == nil {
		var err error
		if fw, err = flate.NewWriterDict(&out, e.level, window); err != nil {
			panic("internal error: " + err.Error()) // the level is out of range
		}
	} else {
		fw.ResetDict(&out, window)
	}
	fw.Write(data) // a bytes.Buffer does not fail
	fw.Flush()
	e.pool.Put(fw)
	return chunk{out.Bytes(), crc32.ChecksumIEEE(data), int64(len(data))}
}
