// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// noise is a layer of random bytes, about n of them.
func noise(n int) Blob {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return Layer(File("noise", string(b)), File("end", "1"))
}

func TestReader(t *testing.T) {
	layer := noise(1 << 20)
	for _, b := range []Blob{layer, layer.GzipMembers(300_000, 600_000), layer.ZstdFrames(500_000)} {
		l, err := scanBlob(b.Stored, expect(b))
		if err != nil {
			t.Fatal(err)
		}
		r := toc.NewReader(l, blobOf(b.Stored))
		rnd := rand.New(rand.NewPCG(3, 4))
		off := int64(0)
		for i := range 300 {
			if i%50 == 0 { // some ranges lie behind, most ahead
				off = 0
			}
			off += rnd.Int64N((l.Size-off)/10 + 1)
			n := rnd.Int64N(min(50_000, l.Size-off+1))
			var got bytes.Buffer
			if err := r.WriteRange(context.Background(), &got, off, n); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), b.Tar[off:off+n]) {
				t.Fatalf("%v: bytes %d+%d are wrong", l.Compression, off, n)
			}
			off += n
		}
		for _, c := range []struct{ off, n int64 }{{-1, 1}, {0, -1}, {0, l.Size + 1}, {l.Size, 1}, {1 << 62, 1 << 62}} {
			if err := r.WriteRange(context.Background(), io.Discard, c.off, c.n); err == nil {
				t.Errorf("%v: bytes %d+%d should not be there", l.Compression, c.off, c.n)
			}
		}
		if err := r.WriteRange(context.Background(), io.Discard, l.Size, 0); err != nil {
			t.Error(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// reads counts what is read of a blob.
type reads struct {
	memory
	n int64
}

func (r *reads) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.memory.ReadAt(p, off)
	r.n += int64(n)
	return n, err
}

// Ranges in ascending order read a compressed blob once, a plain one where they
// lie.
func TestReaderReadsOnce(t *testing.T) {
	layer := noise(1 << 20)
	for _, b := range []Blob{layer, layer.Gzip(), layer.Zstd()} {
		l, err := scanBlob(b.Stored, expect(b))
		if err != nil {
			t.Fatal(err)
		}
		blob := &reads{memory: memory{bytes.NewReader(b.Stored)}}
		r := toc.NewReader(l, blob)
		for off := int64(0); off < l.Size; off += 100_000 {
			if err := r.WriteRange(context.Background(), io.Discard, off, min(100, l.Size-off)); err != nil {
				t.Fatal(err)
			}
		}
		r.Close()
		if most := l.BlobSize; blob.n > most || l.Compression == toc.Plain && blob.n > most/500 {
			t.Errorf("%v: read %d bytes of %d", l.Compression, blob.n, most)
		}
	}
}

func TestReaderBlobChanged(t *testing.T) {
	layer := noise(1 << 20)
	for _, b := range []Blob{layer, layer.Gzip(), layer.Zstd()} {
		l, err := scanBlob(b.Stored, expect(b))
		if err != nil {
			t.Fatal(err)
		}
		for name, stored := range map[string][]byte{
			"short": b.Stored[:len(b.Stored)/2], "empty": nil, "other": GzipBytes(nil), "zeros": make([]byte, len(b.Stored)),
		} {
			if l.Compression == toc.Plain && name == "zeros" {
				continue // only a digest could tell
			}
			err := toc.NewReader(l, blobOf(stored)).WriteRange(context.Background(), io.Discard, 0, l.Size)
			if !errors.Is(err, image.ErrCorrupt) {
				t.Errorf("%v, %s: error %v", l.Compression, name, err)
			}
		}
	}
}

// failing is a writer that fails.
type failing struct{}

var errFull = errors.New("full")

func (failing) Write([]byte) (int, error) { return 0, errFull }

func TestReaderErrors(t *testing.T) {
	layer := noise(1 << 20)
	for _, b := range []Blob{layer, layer.Gzip(), layer.Zstd()} {
		l, err := scanBlob(b.Stored, expect(b))
		if err != nil {
			t.Fatal(err)
		}
		r := toc.NewReader(l, blobOf(b.Stored))
		if err := r.WriteRange(context.Background(), failing{}, 0, 1); err != errFull {
			t.Errorf("%v: error %v of the writer", l.Compression, err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := r.WriteRange(ctx, io.Discard, 0, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("%v: error %v when cancelled", l.Compression, err)
		}
		if err := r.WriteRange(context.Background(), io.Discard, 0, l.Size); err != nil {
			t.Errorf("%v: %v after errors", l.Compression, err)
		}
		r.Close()
		broken := errors.New("broken")
		r = toc.NewReader(l, faulty{memory{bytes.NewReader(b.Stored)}, 300_000, broken})
		if err := r.WriteRange(context.Background(), io.Discard, 0, l.Size); !errors.Is(err, broken) || errors.Is(err, image.ErrCorrupt) {
			t.Errorf("%v: error %v of the blob", l.Compression, err)
		}
	}
}

// Ranges in the worst order cost no more than decoding the layer a few times, and
// leave nothing behind.
func TestReaderBackwards(t *testing.T) {
	const files, size = 400, 300 << 10
	var entries []Entry
	for i := range files {
		entries = append(entries, File(fmt.Sprint("f", i), strings.Repeat(fmt.Sprint(i), size)[:size]))
	}
	plain := Layer(entries...)
	for name, b := range map[string]Blob{"zstd": plain.Zstd(), "gzip": plain.Gzip(), "wide": plain.As(ZstdWindow(24, plain.Tar))} {
		t.Run(name, func(t *testing.T) {
			l, err := scanBlob(b.Stored, expect(b))
			if err != nil {
				t.Fatal(err)
			}
			group := toc.Group{TempDir: t.TempDir()}
			r := group.NewReader(l, blobOf(b.Stored))
			for i := len(l.Entries) - 1; i >= 0; i-- {
				e := &l.Entries[i]
				var out bytes.Buffer
				if err := r.WriteRange(context.Background(), &out, e.Body(), e.Size); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(out.Bytes(), plain.Tar[e.Body():e.Body()+e.Size]) {
					t.Fatalf("%s: other bytes", e.Name)
				}
			}
			if l.Compression == toc.Zstd && !r.Kept() {
				t.Error("no copy is kept")
			}
			r.Close()
			if list, err := os.ReadDir(group.TempDir); err != nil || len(list) > 0 {
				t.Errorf("left: %v, %v", list, err)
			}
		})
	}
	missing := toc.Group{TempDir: filepath.Join(t.TempDir(), "missing")}
	b := plain.Zstd()
	l, err := scanBlob(b.Stored, expect(b))
	if err != nil {
		t.Fatal(err)
	}
	r := missing.NewReader(l, blobOf(b.Stored))
	for i := len(l.Entries) - 1; i >= 0 && err == nil; i-- {
		err = r.WriteRange(context.Background(), io.Discard, l.Entries[i].Body(), 1)
	}
	if !errors.Is(err, fs.ErrNotExist) || errors.Is(err, image.ErrCorrupt) {
		t.Errorf("no folder to keep it in: %v", err)
	}
}
