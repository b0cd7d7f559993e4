// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

import (
	"errors"
	"hash"
	"io"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// source reads a blob from its start to its end, hashing it on the way.
type source struct {
	blob io.ReaderAt
	size int64
	off  int64
	hash hash.Hash // nil: not hashed here
	err  error     // sticky: what ended reading before size, never io.EOF

	ahead *ahead // nil: read by who asks
}

// readAhead has the blob read and hashed by another goroutine, a little ahead,
// until the function that it returns is called. h has hashed what is before off
// by then.
func (s *source) readAhead(h hash.Hash) (stop func()) {
	s.ahead = newAhead(s.blob, s.off, s.size, h)
	return func() {
		s.off = s.ahead.stop()
		s.ahead = nil
	}
}

func (s *source) Read(p []byte) (n int, err error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.off >= s.size {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), s.size-s.off)]
	if s.ahead != nil {
		n, err = s.ahead.read(p)
	} else if n, err = s.blob.ReadAt(p, s.off); n == len(p) {
		err = nil
	} else {
		err = readError(s.off+int64(n), s.size, err)
	}
	s.off += int64(n)
	if s.hash != nil {
		s.hash.Write(p[:n])
	}
	s.err = err
	return n, err
}

// readError is the error of a blob that ended, or could not be read, at off.
func readError(off, size int64, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return image.Corruptf("blob ends at byte %d of %d", off, size)
	}
	return err
}
