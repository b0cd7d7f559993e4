// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

import (
	"hash"
	"io"
)

// ahead reads a blob on a goroutine of its own and hashes it there.
type ahead struct {
	full chan stretch // what was read, in its order
	free chan []byte  // what may be read into
	quit chan struct{}
	done chan struct{}
	off  int64 // how far the blob is hashed; for others once done is closed

	// The reader's: the stretch that is being read, and what is left of it.
	now  []byte
	rest []byte
	err  error // what follows it
}

// stretch is a part of a blob, and the error that ended it, if one did.
type stretch struct {
	data []byte
	err  error
}

// newAhead starts to read bytes off to size of a blob.
func newAhead(blob io.ReaderAt, off, size int64, h hash.Hash) *ahead {
	a := &ahead{
		full: make(chan stretch, hold), free: make(chan []byte, hold),
		quit: make(chan struct{}), done: make(chan struct{}), off: off,
	}
	for range hold {
		a.free <- make([]byte, min(sourceLen, size-off))
	}
	go a.run(blob, size, h)
	return a
}

func (a *ahead) run(blob io.ReaderAt, size int64, h hash.Hash) {
	defer close(a.done)
	defer close(a.full)
	for off := a.off; off < size; {
		var buf []byte
		select {
		case buf = <-a.free:
		case <-a.quit:
			return
		}
		buf = buf[:min(int64(cap(buf)), size-off)]
		n, err := blob.ReadAt(buf, off)
		off += int64(n)
		if n == len(buf) {
			err = nil
		} else {
			err = readError(off, size, err)
		}
		a.full <- stretch{buf[:n], err} // there is room for all buffers
		h.Write(buf[:n])                // which is read into again only afterwards
		a.off = off
		if err != nil {
			return
		}
	}
}

// read is Read before the end of the blob.
func (a *ahead) read(p []byte) (int, error) {
	if len(a.rest) == 0 && a.err == nil {
		if a.now != nil {
			a.free <- a.now
		}
		next := <-a.full
		a.now, a.rest, a.err = next.data, next.data, next.err
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	if len(a.rest) == 0 {
		return n, a.err
	}
	return n, nil
}

// stop ends the goroutine and returns how far the blob is hashed.
func (a *ahead) stop() int64 {
	close(a.quit)
	<-a.done
	return a.off
}
