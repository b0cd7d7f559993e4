// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package steady reads blobs more than once and makes sure that they say the same
// every time.
//
// A blob is verified by reading all of it, and what is made of it is read again,
// later or at the same time, perhaps by others. In between a file may be written
// to, and a disk may fail. [Of] remembers a keyed 64-bit hash of each stretch of
// 32 KiB when that is read for the first time, and compares those of later reads:
// what was used is what was verified, if all of the blob was. The key is random
// and stays in the process, so that nobody can choose other bytes that fit. The
// hashes are a four-thousandth of what is read.
//
// A read costs that of the whole stretches that it touches.
package steady

import (
	"hash/maphash"
	"io"
	"sync"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

const (
	stretch = 32 << 10 // bytes that have a hash
	perPage = 1 << 10  // hashes that are allocated at once
)

// Of returns the blob with reads that fail, as [image.ErrCorrupt], where bytes
// have changed since they were first read. It is safe for concurrent use if the
// blob is.
func Of(blob image.Blob) image.Blob {
	return &steady{Blob: blob, seed: maphash.MakeSeed(), pages: map[int64]*[perPage]uint64{}}
}

type steady struct {
	image.Blob
	seed maphash.Seed

	mu    sync.Mutex
	pages map[int64]*[perPage]uint64 // by stretch / perPage; 0: not read yet
}

// edges are buffers for stretches of which only a part is asked for.
var edges = sync.Pool{New: func() any { return new([stretch]byte) }}

// ReadAt implements io.ReaderAt.
func (s *steady) ReadAt(p []byte, off int64) (n int, err error) {
	size := s.Size()
	if off < 0 || off >= size || len(p) == 0 {
		return s.Blob.ReadAt(p, off)
	}
	for n < len(p) && off < size {
		first := off / stretch * stretch
		var m int
		if whole := (len(p) - n) / stretch * stretch; first == off && whole > 0 && int64(whole) <= size-off {
			m, err = s.whole(p[n:n+whole], off)
		} else {
			m, err = s.part(p[n:], off, first, min(stretch, size-first))
		}
		n, off = n+m, off+int64(m)
		if err != nil {
			return n, err
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// whole reads stretches into p.
func (s *steady) whole(p []byte, off int64) (int, error) {
	n, err := s.full(p, off)
	for at := 0; at+stretch <= n; at += stretch {
		if err := s.check(p[at:at+stretch], off+int64(at)); err != nil {
			return at, err
		}
	}
	return n, err
}

// part reads from off to the end of the stretch that begins at first, or as much
// of that as p takes.
func (s *steady) part(p []byte, off, first, length int64) (int, error) {
	buf := edges.Get().(*[stretch]byte)
	defer edges.Put(buf)
	n, err := s.full(buf[:length], first)
	if int64(n) == length {
		err = s.check(buf[:length], first)
		if err != nil {
			return 0, err
		}
	}
	if int64(n) <= off-first {
		return 0, err
	}
	m := copy(p, buf[off-first:n])
	if m == len(p) {
		err = nil // it is about bytes that nobody asked for
	}
	return m, err
}

// full is ReadAt of the blob whose error is nil exactly if p is full.
func (s *steady) full(p []byte, off int64) (int, error) {
	n, err := s.Blob.ReadAt(p, off)
	switch {
	case n == len(p):
		return n, nil
	case err == nil:
		return n, io.EOF
	}
	return n, err
}

// check compares a stretch with what was read there before.
func (s *steady) check(p []byte, off int64) error {
	sum := maphash.Bytes(s.seed, p)
	if sum == 0 {
		sum = 1
	}
	i := off / stretch
	s.mu.Lock()
	defer s.mu.Unlock()
	page := s.pages[i/perPage]
	if page == nil {
		page = new([perPage]uint64)
		s.pages[i/perPage] = page
	}
	before := &page[i%perPage]
	if *before == 0 {
		*before = sum
	}
	if *before != sum {
		return image.WithHint(image.Corruptf("bytes %d to %d changed while the blob was being read", off, off+int64(len(p))-1),
			"something writes to the image, or the disk fails; try again when nothing does")
	}
	return nil
}
