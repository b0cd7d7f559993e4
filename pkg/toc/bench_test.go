// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc_test

import (
	"fmt"
	"io"
	"runtime"
	"testing"

	gotar "archive/tar"
	"bytes"

	. "github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// tree is a stream of n entries as a package manager leaves them: ustar headers,
// names of 60 bytes, small files. Every tenth has what each adds.
func tree(n int, tenth func(Entry) Entry) []byte {
	var b []byte
	for i := range n {
		e := File(fmt.Sprintf("usr/share/doc/package-%06d/examples/directory/file-%07d", i/100, i), "1").
			Names("root", "root").USTAR()
		if i%10 == 0 {
			e = tenth(e)
		}
		b = append(b, Stream(e)...)
	}
	return append(b, make([]byte, 1024)...)
}

func BenchmarkScanner(b *testing.B) {
	const n = 100_000
	for _, c := range []struct {
		name  string
		tenth func(Entry) Entry
	}{
		{"ustar", func(e Entry) Entry { return e }},
		{"xattr-of-tenth", func(e Entry) Entry { return e.PAX("mtime", "1.5").Xattr("security.capability", "\x01\x00\x00\x02") }},
	} {
		stream := tree(n, c.tenth)
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(stream)))
			b.ReportAllocs()
			for b.Loop() {
				if got := scan(stream, 1<<20, image.Limits{}); len(got.entries) != n {
					b.Fatal(got.err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

// BenchmarkArchiveTar is what archive/tar takes for the same stream.
func BenchmarkArchiveTar(b *testing.B) {
	const n = 100_000
	stream := tree(n, func(e Entry) Entry { return e })
	b.SetBytes(int64(len(stream)))
	for b.Loop() {
		tr := gotar.NewReader(bytes.NewReader(stream))
		for {
			if _, err := tr.Next(); err == io.EOF {
				break
			} else if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

// BenchmarkScan reads a whole blob of one large file.
func BenchmarkScan(b *testing.B) {
	layer := noise(8 << 20)
	for name, blob := range map[string]Blob{"plain": layer, "gzip": layer.Gzip(), "zstd": layer.Zstd()} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(blob.Tar)))
			for b.Loop() {
				if _, err := scanBlob(blob.Stored, expect(blob)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// An entry with a name of 60 bytes and owners takes less than 140 bytes, and
// little more while it is being read.
func TestMemory(t *testing.T) {
	const n = 200_000
	part := tree(n/100, func(e Entry) Entry { return e })
	part = part[:len(part)-1024]
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := toc.NewScanner(image.Limits{})
	for range 100 {
		if _, err := s.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	entries, _, err := s.Finish()
	if err != nil || len(entries) != n {
		t.Fatal(len(entries), err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	kept := float64(after.HeapAlloc-before.HeapAlloc) / n
	churned := float64(after.TotalAlloc-before.TotalAlloc) / n
	t.Logf("%.1f bytes per entry kept, %.1f allocated on the way", kept, churned)
	if kept > 140 || churned > 250 {
		t.Errorf("%.1f bytes per entry kept, %.1f allocated on the way", kept, churned)
	}
	runtime.KeepAlive(entries)
}
