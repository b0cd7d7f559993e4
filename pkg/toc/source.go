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

	// While beside is not nil, it hashes what is read, of which ring keeps a
	// copy until that is done.
	beside *hasher
	ring   [][]byte
	at     int
}

// hashBeside has what is read hashed by h on another goroutine, until the
// function that it returns is called.
func (s *source) hashBeside(h hash.Hash) (stop func()) {
	s.beside, s.ring = newHasher(h, hold), make([][]byte, hold)
	return func() {
		s.beside.stop()
		s.beside, s.ring = nil, nil
	}
}

// hashed sees to it that p is hashed.
func (s *source) hashed(p []byte) {
	switch {
	case s.beside != nil:
		s.at = (s.at + 1) % len(s.ring)
		s.ring[s.at] = append(s.ring[s.at][:0], p...)
		s.beside.write(s.ring[s.at])
	case s.hash != nil:
		s.hash.Write(p)
	}
}

func (s *source) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.off >= s.size {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), s.size-s.off)]
	n, err := s.blob.ReadAt(p, s.off)
	s.off += int64(n)
	s.hashed(p[:n])
	if n < len(p) {
		s.err = readError(s.off, s.size, err)
		return n, s.err
	}
	return n, nil
}

// readError is the error of a blob that ended, or could not be read, at off.
func readError(off, size int64, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return image.Corruptf("blob ends at byte %d of %d", off, size)
	}
	return err
}
