// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	. "github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// lines is a body of n bytes whose place each line tells.
func lines(n int) string {
	var b strings.Builder
	for b.Len() < n {
		fmt.Fprintln(&b, b.Len())
	}
	return b.String()[:n]
}

// gone is a blob that nobody can read any more.
type gone struct{ size int64 }

func (g gone) ReadAt([]byte, int64) (int, error) { return 0, errGone }
func (g gone) Size() int64                       { return g.size }
func (g gone) Close() error                      { return nil }

var errGone = errors.New("the blob was read")

// span is a range of a tar stream.
type span struct{ off, n int64 }

// readSpans reads ranges of a layer through a cache, checks them, and has the cache
// keep them. It returns what stopped it.
func readSpans(t *testing.T, c *toc.Cache, l *toc.Layer, b Blob, blobThere bool, spans ...span) error {
	t.Helper()
	group := toc.Group{Cache: c}
	blob := blobOf(b.Stored)
	if !blobThere {
		blob = gone{int64(len(b.Stored))}
	}
	r := group.NewReader(l, blob)
	for _, s := range spans {
		var got bytes.Buffer
		if err := r.WriteRange(context.Background(), &got, s.off, s.n); err != nil {
			return err
		}
		if !bytes.Equal(got.Bytes(), b.Tar[s.off:s.off+s.n]) {
			t.Errorf("%v: other bytes", s)
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	return r.Keep()
}

// What was read once and kept is read again without the blob, whole or in part,
// also what was read in pieces or in several runs. Nothing else is.
func TestExcerpts(t *testing.T) {
	b := Layer(File("a", lines(3<<20))).Gzip()
	c := &toc.Cache{Dir: t.TempDir()}
	l, err := cached(c, b)
	if err != nil {
		t.Fatal(err)
	}
	for _, spans := range [][]span{{{0, 512}, {1000, 50}, {1050, 70_000}}, {{2 << 20, 300}, {90_000, 5}}, {{71_000, 100}}} {
		if err := readSpans(t, c, l, b, true, spans...); err != nil {
			t.Fatal(err)
		}
	}
	if err := readSpans(t, c, l, b, false, span{100, 412}, span{1010, 70_040}, span{2 << 20, 300}, span{90_004, 1},
		span{1000, 70_100}, span{71_099, 1}); err != nil {
		t.Errorf("what is kept: %v", err)
	}
	for _, s := range []span{{0, 513}, {999, 10}, {71_099, 2}, {1 << 20, 1}} {
		if err := readSpans(t, c, l, b, false, s); !errors.Is(err, errGone) {
			t.Errorf("%v, which is not kept: %v", s, err)
		}
	}
	if list := entriesOf(t, c); len(list) != 2 {
		t.Errorf("the cache has %q", list)
	}
}

// Whatever is read in whatever order, it is right, and kept.
func TestExcerptsAtRandom(t *testing.T) {
	b := Layer(File("a", lines(2<<20))).Gzip()
	c := &toc.Cache{Dir: t.TempDir()}
	l, err := cached(c, b)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		var spans []span
		for range 30 {
			n := r.Int64N(5000)
			spans = append(spans, span{r.Int64N(l.Size - n), n})
		}
		if err := readSpans(t, c, l, b, true, spans...); err != nil {
			t.Fatal(err)
		}
		r.Shuffle(len(spans), func(i, k int) { spans[i], spans[k] = spans[k], spans[i] })
		if err := readSpans(t, c, l, b, false, spans...); err != nil {
			t.Fatalf("%v of %v", err, spans)
		}
	}
}

// Of what is small, not compressed in blocks, or read for the most part, nothing is
// kept.
func TestNoExcerpts(t *testing.T) {
	large := Layer(File("a", lines(toc.MaxExcerpts+1000)))
	for name, tt := range map[string]struct {
		blob Blob
		span span
	}{
		"a small layer": {Layer(File("a", lines(toc.ExcerptedSize-4096))).Gzip(), span{0, 1000}},
		"a zstd layer":  {Layer(File("a", lines(2<<20))).Zstd(), span{0, 1000}},
		"a plain layer": {Layer(File("a", lines(2<<20))), span{0, 1000}},
		"nearly all":    {large.Gzip(), span{0, toc.MaxExcerpts + 1}},
	} {
		t.Run(name, func(t *testing.T) {
			c := &toc.Cache{Dir: t.TempDir()}
			l, err := cached(c, tt.blob)
			if err != nil {
				t.Fatal(err)
			}
			if err := readSpans(t, c, l, tt.blob, true, span{5, 10}, tt.span); err != nil {
				t.Fatal(err)
			}
			if list, _ := filepath.Glob(filepath.Join(c.Dir, "*.excerpts")); len(list) > 0 {
				t.Errorf("kept: %q", list)
			}
		})
	}
}

// When all that was ever read is too much, what the last run used stays.
func TestExcerptsStayBounded(t *testing.T) {
	const part = toc.MaxExcerpts / 4
	b := Layer(File("a", lines(8*part))).Gzip()
	c := &toc.Cache{Dir: t.TempDir()}
	l, err := cached(c, b)
	if err != nil {
		t.Fatal(err)
	}
	always := span{100, 1000}
	for i := range int64(6) {
		if err := readSpans(t, c, l, b, true, always, span{(i + 1) * part, part - 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := readSpans(t, c, l, b, false, always, span{6 * part, part - 1}); err != nil {
		t.Errorf("what was used last: %v", err)
	}
	if err := readSpans(t, c, l, b, false, span{part, 10}); !errors.Is(err, errGone) {
		t.Errorf("what was not used for long: %v", err)
	}
}

// Excerpts that are damaged anywhere, cut, or those of another blob are not
// believed, but removed.
func TestExcerptsDamaged(t *testing.T) {
	b := Layer(File("a", lines(2<<20))).Gzip()
	c := &toc.Cache{Dir: t.TempDir()}
	l, err := cached(c, b)
	if err != nil {
		t.Fatal(err)
	}
	if err := readSpans(t, c, l, b, true, span{700_000, 100}); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(c.Dir, "*.excerpts"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%q, %v", files, err)
	}
	good, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	try := func(what string, at int, bad []byte) {
		if err := os.WriteFile(files[0], bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := readSpans(t, c, l, b, false, span{700_000, 100}); !errors.Is(err, errGone) {
			t.Errorf("%s at %d: %v", what, at, err)
		}
		if _, err := os.Stat(files[0]); err == nil {
			t.Errorf("%s at %d: not removed", what, at)
		}
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		try("damaged", i, bad)
		try("cut", i, good[:i])
	}
	other := Layer(File("b", lines(2<<20))).Gzip()
	of, err := cached(c, other)
	if err != nil {
		t.Fatal(err)
	}
	if err := readSpans(t, c, of, other, true, span{700_000, 100}); err != nil {
		t.Fatal(err)
	}
	foreign, err := os.ReadFile(filepath.Join(c.Dir, "sha256-"+of.Digest.Encoded()+".excerpts"))
	if err != nil {
		t.Fatal(err)
	}
	try("another's", 0, foreign)
}

// FuzzExcerpts: no bytes make the cache panic, and what they say is in order.
func FuzzExcerpts(f *testing.F) {
	const of = digest.Digest("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
	f.Add(toc.EncodeExcerpts(of, nil))
	f.Add(toc.EncodeExcerpts(of, []toc.Excerpt{{Offset: 0, Data: []byte("a")}, {Offset: 5, Data: []byte("bc")}}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, list, err := toc.DecodeExcerpts(raw)
		if err != nil {
			return
		}
		end := int64(0)
		for _, e := range list {
			if e.Offset < end {
				t.Fatalf("an excerpt at %d after one that ends at %d", e.Offset, end)
			}
			end = e.Offset + int64(len(e.Data))
		}
		d2, again, err := toc.DecodeExcerpts(toc.EncodeExcerpts(d, list))
		if err != nil || d != d2 || !cmp.Equal(list, again) {
			t.Fatalf("decoded, encoded, decoded: %v\n%s", err, cmp.Diff(list, again))
		}
	})
}
