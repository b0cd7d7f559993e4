// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package steady_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/seed-81b0d42e/flatten/internal/steady"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// memory is a blob whose bytes a test may change.
type memory struct {
	*bytes.Reader
	closed bool
}

func (m *memory) Close() error { m.closed = true; return nil }

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// Whatever is read, wherever, it is what the blob has.
func TestReads(t *testing.T) {
	for _, size := range []int{0, 1, 32<<10 - 1, 32 << 10, 32<<10 + 1, 100_000, 4 << 20} {
		want := noise(size)
		blob := &memory{Reader: bytes.NewReader(want)}
		s := steady.Of(blob)
		if s.Size() != int64(size) {
			t.Errorf("size %d, want %d", s.Size(), size)
		}
		r := rand.New(rand.NewPCG(1, uint64(size)))
		for range 100 {
			off, n := r.Int64N(int64(size)+2), r.IntN(size+100)
			got, theirs := make([]byte, n), make([]byte, n)
			m, err := s.ReadAt(got, off)
			k, wantErr := blob.ReadAt(theirs, off)
			if m != k || err != wantErr || !bytes.Equal(got[:m], theirs[:k]) {
				t.Fatalf("%d bytes at %d of %d: %d, %v, want %d, %v", n, off, size, m, err, k, wantErr)
			}
		}
		if s.Close() != nil || !blob.closed {
			t.Error("the blob is not closed")
		}
	}
}

// A byte that is not what it was is an error wherever it is, and only for those
// who read near it.
func TestChange(t *testing.T) {
	b := noise(200_000)
	for at := range b {
		if at%997 != 0 && at != len(b)-1 {
			continue
		}
		s := steady.Of(&memory{Reader: bytes.NewReader(b)})
		if _, err := io.Copy(io.Discard, io.NewSectionReader(s, 0, s.Size())); err != nil {
			t.Fatal(err)
		}
		b[at] ^= 1
		if _, err := s.ReadAt(make([]byte, 1), int64(at)); !errors.Is(err, image.ErrCorrupt) {
			t.Errorf("byte %d: %v", at, err)
		}
		if _, err := s.ReadAt(make([]byte, len(b)), 0); !errors.Is(err, image.ErrCorrupt) {
			t.Errorf("byte %d in all: %v", at, err)
		}
		if _, err := s.ReadAt(make([]byte, 1), int64(at+100_000)%int64(len(b))); err != nil {
			t.Errorf("far from byte %d: %v", at, err)
		}
		b[at] ^= 1
	}
}

// A blob that has become shorter gives what it has, and an error.
func TestShort(t *testing.T) {
	b := noise(100_000)
	s := steady.Of(&shortened{memory{Reader: bytes.NewReader(b)}, 70_000})
	got := make([]byte, 90_000)
	n, err := s.ReadAt(got, 5000)
	if n != 65_000 || err == nil || !bytes.Equal(got[:n], b[5000:70_000]) {
		t.Errorf("%d bytes, %v", n, err)
	}
	if n, err := s.ReadAt(got[:100], 69_000); n != 100 || err != nil {
		t.Errorf("what is there: %d bytes, %v", n, err)
	}
}

type shortened struct {
	memory
	to int64
}

func (s *shortened) ReadAt(p []byte, off int64) (int, error) {
	return io.NewSectionReader(s.Reader, 0, s.to).ReadAt(p, off)
}

// Of several readers at once all see the same, or an error.
func TestConcurrent(t *testing.T) {
	b := noise(1 << 20)
	s := steady.Of(&memory{Reader: bytes.NewReader(b)})
	var readers sync.WaitGroup
	for i := range 8 {
		readers.Go(func() {
			r := rand.New(rand.NewPCG(2, uint64(i)))
			buf := make([]byte, 300_000)
			for range 50 {
				off := r.Int64N(700_000)
				if _, err := s.ReadAt(buf, off); err != nil || !bytes.Equal(buf, b[off:off+300_000]) {
					t.Errorf("at %d: %v", off, err)
				}
			}
		})
	}
	readers.Wait()
}

func BenchmarkReadAt(b *testing.B) {
	blob := &memory{Reader: bytes.NewReader(noise(16 << 20))}
	buf := make([]byte, 1<<20)
	s := steady.Of(blob)
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		if _, err := s.ReadAt(buf, 12345); err != nil {
			b.Fatal(err)
		}
	}
}
