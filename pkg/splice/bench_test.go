// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package splice

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/plan"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
	"github.com/seed-81b0d42e/flatten/pkg/whiteout"
)

// nowhere is a sink.
type nowhere struct{}

func (nowhere) swap(full []byte) ([]byte, error) { return full[:0], nil }

// BenchmarkCopyBits moves a megabyte from each bit of a byte to another, and to
// the same:
//
//	go test -run - -bench CopyBits ./pkg/splice
func BenchmarkCopyBits(b *testing.B) {
	src := make([]byte, 1<<20)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range src {
		src[i] = byte(r.Uint32())
	}
	for from := range int64(8) {
		for _, to := range []uint{uint(from), 3} {
			b.Run(fmt.Sprintf("%d-to-%d", from, to), func(b *testing.B) {
				w := newBitWriter(nowhere{})
				b.SetBytes(int64(len(src)))
				for b.Loop() {
					w.n, w.acc = to, 0
					w.copyBits(src, from, int64(len(src))*8-8)
				}
			})
		}
	}
}

// large is a layer of about 64 MB that compresses as software does, in files of
// many sizes, as gzip -6 stores it.
var large = sync.OnceValue(func() tartest.Blob {
	r := rand.New(rand.NewPCG(2, 2))
	vocabulary := make([]string, 4096)
	for i := range vocabulary {
		word := make([]byte, 2+r.IntN(9))
		for j := range word {
			word[j] = byte(r.Uint32())
			if i%4 > 0 {
				word[j] = "etaoinshrdlu_./ =(0"[r.IntN(19)]
			}
		}
		vocabulary[i] = string(word)
	}
	var entries []tartest.Entry
	for size := 0; size < 64<<20; {
		var body strings.Builder
		for n := 1 << (8 + r.IntN(14)); body.Len() < n; {
			// Few words are common, and most are not.
			body.WriteString(vocabulary[r.IntN(1+r.IntN(1+r.IntN(len(vocabulary))))])
			if r.IntN(8) == 0 {
				fmt.Fprintf(&body, "%c%c%c", r.Uint32()&255, r.Uint32()&255, r.Uint32()&255)
			}
		}
		entries = append(entries, tartest.File(fmt.Sprintf("f%d", len(entries)), body.String()))
		size += body.Len()
	}
	base := tartest.Layer(entries...)
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, 6)
	if err != nil {
		panic(err)
	}
	z.Write(base.Tar)
	z.Close()
	return base.As(out.Bytes())
})

// BenchmarkGzip writes a layer of which a higher one removes a few files. MB/s are
// of the tar:
//
//	go test -run - -bench Gzip ./pkg/splice
func BenchmarkGzip(b *testing.B) {
	ctx := context.Background()
	img := tartest.Image(large(), tartest.Layer(tartest.Whiteout("f50"), tartest.Whiteout("f100"), tartest.Whiteout("f150"), tartest.Whiteout("f151")))
	var tables []*toc.Layer
	var blobs []image.Blob
	for i := range img.Layers {
		blob, err := img.Layers[i].Open(ctx)
		if err != nil {
			b.Fatal(err)
		}
		table, err := toc.Scan(ctx, blob, toc.Options{Size: -1})
		if err != nil {
			b.Fatal(err)
		}
		tables, blobs = append(tables, table), append(blobs, blob)
	}
	view, err := whiteout.Merge(tables, whiteout.Options{})
	if err != nil {
		b.Fatal(err)
	}
	p := plan.Of(view, plan.Options{})
	for _, level := range []int{0, 1, 6} {
		name := fmt.Sprintf("level-%d", level)
		if level == 0 {
			name = "copy"
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(p.Size)
			var stats Stats
			for b.Loop() {
				layers := make([]Layer, len(blobs))
				for i := range blobs {
					layers[i] = Layer{toc.NewReader(tables[i], blobs[i]), blobs[i], tables[i].Blocks}
				}
				if stats, err = Gzip(ctx, io.Discard, p, layers, Options{Level: level}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(100*float64(stats.Encoded)/float64(p.Size), "%encoded")
		})
	}
}
