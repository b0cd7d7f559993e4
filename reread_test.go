// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package flatten_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/seed-81b0d42e/flatten"
	. "github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// unsteady is a blob whose bytes are not the same each time. It is good for the
// first reads and spoils later ones.
type unsteady struct {
	stored []byte

	mu    sync.Mutex
	reads int
	spoil func(read int, p []byte, off int64) (n int)
	ends  error // of reads that spoil shortens
}

func (u *unsteady) Size() int64  { return int64(len(u.stored)) }
func (u *unsteady) Close() error { return nil }

func (u *unsteady) ReadAt(p []byte, off int64) (int, error) {
	n, err := bytes.NewReader(u.stored).ReadAt(p, off)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.reads++
	if u.spoil != nil && n > 0 {
		if m := u.spoil(u.reads, p[:n], off); m < n {
			return m, u.ends
		}
	}
	return n, err
}

// on opens the image's only layer as the blob.
func (u *unsteady) on(img *image.Image) *image.Image {
	img.Layers[0].Open = func(context.Context) (image.Blob, error) { return u, nil }
	return img
}

// stored are the ways of storing a layer of which flatten reads parts twice: with
// and without blocks to copy.
func stored() map[string]Blob {
	r := rand.New(rand.NewPCG(1, 2))
	text := func(n int) string {
		var b strings.Builder
		for b.Len() < n {
			fmt.Fprintf(&b, "%d ", r.IntN(1000))
		}
		return b.String()[:n]
	}
	entries := []Entry{Dir("d"), File("d/long", text(200_000)), File("d/short", text(700)), Symlink("link", "d")}
	blob := Layer(append(entries, Dir("gone"), File("gone/x", text(1000)))...)
	return map[string]Blob{"plain": blob, "gzip": blob.Gzip(), "zstd": blob.Zstd()}
}

// A layer that is changed between its verification and the writing, at any byte,
// makes an error or no difference: never another output.
func TestChangedBetween(t *testing.T) {
	for name, b := range stored() {
		img := Image(b, Layer(Whiteout("gone")))
		var want bytes.Buffer
		if _, err := flatten.Flatten(t.Context(), img, flatten.Options{Output: &want}); err != nil {
			t.Fatal(err)
		}
		caught, tries := 0, 0
		step := 1 + len(b.Stored)/100
		for at := 0; at < len(b.Stored); at += step {
			u := &unsteady{stored: bytes.Clone(b.Stored)}
			m, err := flatten.Load(t.Context(), u.on(img), flatten.Options{})
			if err != nil {
				t.Fatal(err)
			}
			u.stored[at] ^= 1 << (at % 8)
			tries++
			caught += checkSameOrError(t, fmt.Sprintf("%s, byte %d", name, at), m, want.Bytes())
			m.Close()
		}
		t.Logf("%s: %d bytes changed, %d caught, the others made no difference", name, tries, caught)
		if caught == 0 {
			t.Errorf("%s: not one was caught", name)
		}
	}
}

// checkSameOrError returns 1 when writing ends with a sound error, 0 when it makes
// the same.
func checkSameOrError(t *testing.T, what string, m *flatten.Merged, want []byte) int {
	t.Helper()
	var got bytes.Buffer
	_, err := m.Write(t.Context(), flatten.Options{Output: &got})
	switch {
	case err == nil && !bytes.Equal(got.Bytes(), want):
		t.Errorf("%s: another output", what)
	case err != nil && !errors.Is(err, image.ErrCorrupt):
		t.Errorf("%s: %v: not the image's fault", what, err)
	case err != nil:
		return 1
	}
	return 0
}

// A disk that gives a wrong bit now and then, at any read, from the first on, and
// with layers that a cache knew, so that they are verified while they are written,
// makes an error or no difference.
func TestFlickering(t *testing.T) {
	for name, b := range stored() {
		for _, known := range []bool{false, true} {
			var opts flatten.Options
			if known {
				opts.Cache = &toc.Cache{Dir: t.TempDir()}
			}
			img := Image(b, Layer(Whiteout("gone")))
			want, err := flatten.Flatten(t.Context(), img, flatten.Options{Output: io.Discard, Cache: opts.Cache})
			if err != nil {
				t.Fatal(err)
			}
			opts.Output = io.Discard
			caught := 0
			const tries = 60
			for seed := range uint64(tries) {
				rnd := rand.New(rand.NewPCG(3, seed))
				u := &unsteady{stored: b.Stored, spoil: func(_ int, p []byte, _ int64) int {
					if rnd.IntN(6) == 0 {
						p[rnd.IntN(len(p))] ^= 1 << rnd.IntN(8)
					}
					return len(p)
				}}
				r, err := flatten.Flatten(t.Context(), u.on(img), opts)
				switch {
				case err == nil && r.Digest != want.Digest:
					t.Errorf("%s, known %v, %d: another output", name, known, seed)
				case err != nil && !errors.Is(err, image.ErrCorrupt):
					t.Errorf("%s, known %v, %d: %v: not the image's fault", name, known, seed, err)
				case err != nil:
					caught++
				}
			}
			t.Logf("%s, known %v: %d runs, %d ended with an error", name, known, tries, caught)
			if caught == 0 || caught == tries {
				t.Errorf("%s, known %v: %d of %d runs failed: this tests nothing", name, known, caught, tries)
			}
		}
	}
}

// A blob that ends early, from any read on, while it is scanned or written, is an
// error of the image.
func TestShortened(t *testing.T) {
	for name, b := range stored() {
		img := Image(b, Layer(Whiteout("gone")))
		for from := 1; ; from++ {
			u := &unsteady{stored: b.Stored, spoil: func(read int, p []byte, _ int64) int {
				if read >= from {
					return len(p) / 2
				}
				return len(p)
			}, ends: io.EOF}
			_, err := flatten.Flatten(t.Context(), u.on(img), flatten.Options{Output: io.Discard})
			if u.reads < from {
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				break // none was shortened
			}
			if !errors.Is(err, image.ErrCorrupt) {
				t.Errorf("%s: %v when read %d ends early", name, err, from)
			}
		}
	}
}
