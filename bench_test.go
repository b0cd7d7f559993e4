// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package flatten_test

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strconv"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/internal/tarheader"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

const million = 1_000_000

// BenchmarkMillionEntries flattens an image of a million entries and prints the
// peak of the process's memory, in MB, which must stay below 512 MiB:
//
//	go test -run - -bench MillionEntries -benchtime 1x .
//
// The memory depends on the number of entries alone, not on their sizes: "large"
// has files of 64 KiB, "empty" has none with a byte.
func BenchmarkMillionEntries(b *testing.B) {
	debug.SetGCPercent(50) // as the command does
	for _, kind := range []struct {
		name      string
		size      int64
		canonical bool
	}{{"empty", 0, false}, {"canonical", 0, true}, {"large", 64 << 10, false}} {
		b.Run(kind.name, func(b *testing.B) {
			n := million
			if kind.size > 0 {
				n = million / 20
			}
			img := manyEntries(b, n, kind.size)
			for b.Loop() {
				r, err := flatten.Flatten(context.Background(), img, flatten.Options{
					Output: io.Discard, Canonical: kind.canonical,
					Limits: image.Limits{Ratio: 1000}, // the names are almost all alike
				})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(r.Entries), "entries")
			}
			b.ReportMetric(peak(b), "peak-MB")
		})
	}
}

// peak is the most memory that this process ever had, in MB of 10^6 bytes.
func peak(b *testing.B) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip("needs /proc/self/status")
	}
	kb, err := strconv.Atoi(string(regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)[1]))
	if err != nil {
		b.Fatal(err)
	}
	return float64(kb) * 1024 / 1e6
}

// manyEntries is an image of one layer with so many files, a hundred to a
// directory.
func manyEntries(b *testing.B, n int, size int64) *image.Image {
	path := filepath.Join(b.TempDir(), "layer")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	blob, diff := digest.SHA256.Digester(), digest.SHA256.Digester()
	z, err := gzip.NewWriterLevel(io.MultiWriter(f, blob.Hash()), gzip.BestSpeed)
	if err != nil {
		b.Fatal(err)
	}
	w := io.MultiWriter(z, diff.Hash())
	body := make([]byte, size)
	var header []byte
	for i := range n {
		h := tarheader.Header{Type: '0', Mode: 0o644, Size: size, Sec: int64(i)}
		h.Name = fmt.Sprintf("usr/lib/node_modules/package-%06d/file-with-a-name-%08d", i/100, i)
		if i%100 == 0 {
			h = tarheader.Header{Type: '5', Mode: 0o755, Name: fmt.Sprintf("usr/lib/node_modules/package-%06d/", i/100)}
		}
		header = h.Append(header[:0])
		w.Write(header)
		if h.Type == '0' {
			w.Write(body)
		}
	}
	w.Write(make([]byte, 1024))
	if err := z.Close(); err != nil {
		b.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	return &image.Image{Layers: []image.Layer{{
		Digest: blob.Digest(), DiffID: diff.Digest(), Size: info.Size(),
		Open: func(context.Context) (image.Blob, error) { return fileBlob{f, info.Size()}, nil },
	}}}
}

// fileBlob is a blob in a file, which stays open.
type fileBlob struct {
	*os.File
	size int64
}

func (b fileBlob) Size() int64  { return b.size }
func (b fileBlob) Close() error { return nil }
