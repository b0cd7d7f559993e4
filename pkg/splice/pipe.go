// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package splice

import "io"

// buffers is how many of bitBuffer bytes are on their way: one is filled, one
// is written, and one waits, so that neither side waits for a short delay of the
// other.
const buffers = 3

// pipe takes buffers from one goroutine to another, which writes them.
type pipe struct {
	full  chan []byte
	empty chan []byte
	err   error // sticky: run keeps it so; read it after empty is closed
}

var _ sink = (*pipe)(nil)

func newPipe() *pipe {
	p := &pipe{full: make(chan []byte, buffers), empty: make(chan []byte, buffers)}
	for range buffers - 1 {
		p.empty <- make([]byte, 0, bitBuffer)
	}
	return p
}

// swap hands a buffer over and waits for another one. Its error is that of
// writing, maybe of a buffer before; it is not to be called again then.
func (p *pipe) swap(buf []byte) ([]byte, error) {
	p.full <- buf // there is room for all buffers
	next, ok := <-p.empty
	if !ok {
		return buf[:0], p.err // nobody reads it any more
	}
	return next[:0], nil
}

// close says that no buffer follows.
func (p *pipe) close() { close(p.full) }

// run writes to w until close is called or writing fails.
func (p *pipe) run(w io.Writer) error {
	defer close(p.empty)
	for buf := range p.full {
		if _, p.err = w.Write(buf); p.err != nil {
			return p.err
		}
		p.empty <- buf
	}
	return nil
}
