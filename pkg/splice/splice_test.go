// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package splice_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	. "github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/plan"
	"github.com/seed-81b0d42e/flatten/pkg/splice"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
	"github.com/seed-81b0d42e/flatten/pkg/whiteout"
)

// stack is layers that have been scanned and merged.
type stack struct {
	view  *whiteout.View
	blobs []image.Blob
}

func load(t testing.TB, layers ...Blob) stack {
	t.Helper()
	img := Image(layers...)
	var s stack
	var tocs []*toc.Layer
	for i := range img.Layers {
		blob, err := img.Layers[i].Open(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		l, err := toc.Scan(context.Background(), blob, toc.Options{Size: -1})
		if err != nil {
			t.Fatal(err)
		}
		tocs, s.blobs = append(tocs, l), append(s.blobs, blob)
	}
	var err error
	if s.view, err = whiteout.Merge(tocs, whiteout.Options{}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s stack) layers() []splice.Layer {
	layers := make([]splice.Layer, len(s.blobs))
	for i, l := range s.view.Layers {
		layers[i] = splice.Layer{Source: toc.NewReader(l, s.blobs[i]), Blob: s.blobs[i], Blocks: l.Blocks}
	}
	return layers
}

// check compares a spliced output with the plain tar of the same plan, and
// returns what was copied.
func check(t testing.TB, s stack, p *plan.Plan) splice.Stats {
	t.Helper()
	var want, got bytes.Buffer
	if err := splice.Tar(context.Background(), &want, p, s.layers()); err != nil {
		t.Fatal(err)
	}
	stats, err := splice.Gzip(context.Background(), &got, p, s.layers(), splice.Options{Jobs: 2})
	if err != nil {
		t.Fatal(err)
	}
	tar, err := Gunzip(got.Bytes())
	if err != nil {
		t.Fatalf("%v; pieces:\n%v", err, pieces(t, s, p))
	}
	if !bytes.Equal(tar, want.Bytes()) {
		t.Fatalf("the spliced tar differs from byte %d on; pieces:\n%v", differs(tar, want.Bytes()), pieces(t, s, p))
	}
	if stats.Copied+stats.Encoded != p.Size {
		t.Errorf("%d bytes copied and %d encoded of %d", stats.Copied, stats.Encoded, p.Size)
	}
	return stats
}

func pieces(t testing.TB, s stack, p *plan.Plan) []splice.Piece {
	t.Helper()
	list, err := splice.Pieces(p, s.layers(), splice.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func differs(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// text is n bytes that compress about as program text does.
func text(r *rand.Rand, n int) string {
	words := strings.Fields("the a of layer image blob digest tar gzip block window match whiteout opaque plan extent 0123 4567 /usr/lib /etc")
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(words[r.IntN(len(words))])
		if r.IntN(4) == 0 {
			fmt.Fprintf(&b, "%x", r.Uint32())
		}
		b.WriteByte(" \n"[r.IntN(2)])
	}
	return b.String()[:n]
}

// noise is n bytes that do not compress, so that they become stored blocks.
func noise(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// compressors are ways in which a layer may have been stored.
var compressors = map[string]func(r *rand.Rand, b []byte) []byte{
	"fastest": func(_ *rand.Rand, b []byte) []byte { return deflated(b, flate.BestSpeed, nil) },
	"default": func(_ *rand.Rand, b []byte) []byte { return deflated(b, flate.DefaultCompression, nil) },
	"huffman": func(_ *rand.Rand, b []byte) []byte { return deflated(b, flate.HuffmanOnly, nil) },
	"stored":  func(_ *rand.Rand, b []byte) []byte { return deflated(b, flate.NoCompression, nil) },
	"flushed": func(r *rand.Rand, b []byte) []byte { return deflated(b, flate.DefaultCompression, r) },
	"members": func(r *rand.Rand, b []byte) []byte {
		var out []byte
		for len(b) > 0 {
			n := 1 + r.IntN(len(b))
			out = append(out, deflated(b[:n], 1+r.IntN(9), nil)...)
			b = b[n:]
		}
		return out
	},
}

// deflated is one gzip member; with r it is flushed at random places.
func deflated(b []byte, level int, r *rand.Rand) []byte {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		panic(err)
	}
	for r != nil && len(b) > 0 {
		n := 1 + r.IntN(min(len(b), 1<<r.IntN(17)))
		z.Write(b[:n])
		z.Flush()
		b = b[n:]
	}
	z.Write(b)
	z.Close()
	return out.Bytes()
}

// names of the compressors in a fixed order.
var kinds = []string{"fastest", "default", "huffman", "stored", "flushed", "members"}

// randomStack is a stack of layers, each compressed in one of all ways, that
// remove and replace each other's files.
func randomStack(r *rand.Rand) []Blob {
	layers := make([]Blob, 1+r.IntN(3))
	for i := range layers {
		var entries []Entry
		for range 1 + r.IntN(12) {
			name := fmt.Sprintf("f%d", r.IntN(20))
			if r.IntN(5) == 0 {
				name = "./" + name // to be re-written
			}
			size := 1 << r.IntN(19)
			switch r.IntN(5) {
			case 0:
				entries = append(entries, Whiteout(strings.TrimPrefix(name, "./")))
			case 1:
				entries = append(entries, File(name, noise(r, size)))
			default:
				entries = append(entries, File(name, text(r, size)))
			}
		}
		layers[i] = Layer(entries...)
		if r.IntN(8) > 0 {
			kind := kinds[r.IntN(len(kinds))]
			layers[i] = layers[i].As(compressors[kind](r, layers[i].Tar))
		}
	}
	return layers
}

// Whatever the layers and however they were compressed: the output is the one
// that decoding, merging and encoding gives.
func TestRandomStacks(t *testing.T) {
	var copied, total int64
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 0))
		s := load(t, randomStack(r)...)
		p := plan.Of(s.view, plan.Options{})
		stats := check(t, s, p)
		copied, total = copied+stats.Copied, total+p.Size
	}
	if copied < total/4 {
		t.Errorf("only %d of %d bytes were copied: the test tests nothing", copied, total)
	}
}

// FuzzSplice is TestRandomStacks with the fuzzer's seeds.
func FuzzSplice(f *testing.F) {
	for seed := range uint64(32) {
		f.Add(seed, uint64(1))
	}
	f.Fuzz(func(t *testing.T, a, b uint64) {
		s := load(t, randomStack(rand.New(rand.NewPCG(a, b)))...)
		check(t, s, plan.Of(s.view, plan.Options{}))
	})
}

// Each way to compress is copied where nothing is in the way.
func TestCopies(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	base := Layer(File("a", text(r, 2<<20)), File("b", text(r, 100)), File("c", noise(r, 1<<20)), File("d", text(r, 2<<20)))
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			s := load(t, base.As(compressors[kind](r, base.Tar)), Layer(Whiteout("b")))
			p := plan.Of(s.view, plan.Options{})
			stats := check(t, s, p)
			if stats.Encoded > p.Size/3 {
				t.Errorf("%d of %d bytes encoded", stats.Encoded, p.Size)
			}
			t.Logf("%d of %d bytes encoded", stats.Encoded, p.Size)
		})
	}
}

// A file that is cut at every byte around a block's end gives each seam.
func TestEverySeam(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for size := 40_000; size < 40_000+512*20; size += 512 {
		base := Layer(File("a", text(r, size)), File("b", text(r, 1000)), File("c", text(r, 90_000)))
		s := load(t, base.As(deflated(base.Tar, 1, nil)), Layer(Whiteout("b")))
		check(t, s, plan.Of(s.view, plan.Options{}))
	}
}

// Bytes do not depend on the number of jobs, at any level.
func TestJobs(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	base := Layer(File("a", noise(r, 2<<20)), File("b", text(r, 1<<20))).Gzip()
	s := load(t, base, Layer(File("a2", text(r, 1<<20))), Layer(Whiteout("b")))
	for _, level := range []int{0, 1, 6, 9} {
		var first []byte
		for _, jobs := range []int{1, 2, 7} {
			var out bytes.Buffer
			hash := sha256.New()
			opts := splice.Options{Level: level, Jobs: jobs, TarHash: hash}
			if _, err := splice.Gzip(context.Background(), &out, plan.Of(s.view, plan.Options{}), s.layers(), opts); err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = out.Bytes()
			}
			if !bytes.Equal(first, out.Bytes()) {
				t.Errorf("level %d: other bytes with %d jobs than with 1", level, jobs)
			}
			tar, err := Gunzip(out.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if want := sha256.Sum256(tar); level > 0 && !bytes.Equal(hash.Sum(nil), want[:]) {
				t.Errorf("level %d: the hash of the tar is wrong", level)
			}
		}
	}
}

// failing fails after n bytes.
type failing struct{ n int }

var errFull = errors.New("no space left")

func (w *failing) Write(p []byte) (int, error) {
	if len(p) > w.n {
		return w.n, errFull
	}
	w.n -= len(p)
	return len(p), nil
}

// An error of the writer comes out, wherever it strikes.
func TestWriterFails(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	s := load(t, Layer(File("a", text(r, 3<<20)), File("./b", noise(r, 1<<20))).Gzip())
	p := plan.Of(s.view, plan.Options{})
	var whole bytes.Buffer
	if _, err := splice.Gzip(context.Background(), &whole, p, s.layers(), splice.Options{}); err != nil {
		t.Fatal(err)
	}
	for n := 0; n < whole.Len(); n += whole.Len()/50 + 1 {
		if _, err := splice.Gzip(context.Background(), &failing{n}, p, s.layers(), splice.Options{}); !errors.Is(err, errFull) {
			t.Errorf("writer full after %d bytes: %v", n, err)
		}
	}
}

// A layer that fails to be read again is named.
func TestLayerFails(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	s := load(t, Layer(File("a", "1")), Layer(File("b", text(r, 3<<20))).Gzip())
	p := plan.Of(s.view, plan.Options{})
	layers := s.layers()
	layers[1].Blob = strings.NewReader("short")
	var e *splice.LayerError
	if _, err := splice.Gzip(context.Background(), io.Discard, p, layers, splice.Options{}); !errors.As(err, &e) || e.Layer != 1 {
		t.Errorf("error %v", err)
	}
}

func TestCancelled(t *testing.T) {
	s := load(t, Layer(File("a", "1")).Gzip())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p := plan.Of(s.view, plan.Options{})
	if _, err := splice.Gzip(ctx, io.Discard, p, s.layers(), splice.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if err := splice.Tar(ctx, io.Discard, p, s.layers()); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
