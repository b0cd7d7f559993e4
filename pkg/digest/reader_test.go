// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package digest_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	godigest "github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten/pkg/digest"
)

// What is read is what the source has, and so is its digest, however it comes.
func TestReader(t *testing.T) {
	data := make([]byte, 1<<20+17)
	rand.Read(data)
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"at once":      func(r io.Reader) io.Reader { return r },
		"in halves":    iotest.HalfReader,
		"with its end": iotest.DataErrReader,
	} {
		for _, n := range []int{0, 1, 64 << 10, 256 << 10, len(data)} {
			r := digest.NewReader(wrap(bytes.NewReader(data[:n])))
			if err := iotest.TestReader(r, data[:n]); err != nil {
				t.Errorf("%s, %d bytes: %v", name, n, err)
			}
			if r.Digest() != godigest.FromBytes(data[:n]) || r.Size() != int64(n) {
				t.Errorf("%s, %d bytes: %d bytes of %s", name, n, r.Size(), r.Digest())
			}
		}
	}
}

// An error of the source comes after what was read before it, and for good.
func TestReaderFails(t *testing.T) {
	broken := errors.New("broken")
	r := digest.NewReader(io.MultiReader(bytes.NewReader(make([]byte, 300<<10)), iotest.ErrReader(broken)))
	n, err := io.Copy(io.Discard, r)
	if n != 300<<10 || err != broken {
		t.Errorf("%d bytes, %v", n, err)
	}
	if _, err := r.Read(make([]byte, 1)); err != broken {
		t.Errorf("then %v", err)
	}
}
