// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	. "github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// Limits hold for all layers together, whether a layer is read or known.
func TestBudget(t *testing.T) {
	a, b := Layer(File("a", "1"), File("b", "2")).Gzip(), Layer(OldSparse("c", 1<<20, "x", frag(0, 1))).Gzip()
	cache := &toc.Cache{Dir: t.TempDir()}
	for _, blob := range []Blob{a, b} {
		opts := expect(blob)
		opts.Cache = cache
		if _, err := scanBlob(blob.Stored, opts); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		limits image.Limits
		over   string
	}{
		{"none", image.Limits{}, ""},
		{"entries", image.Limits{Entries: 2}, "Entries"},
		{"entries-ok", image.Limits{Entries: 3}, ""},
		{"size", image.Limits{Size: 3072 + 2048 + 1<<20 - 2}, "Size"},
		{"size-ok", image.Limits{Size: 3072 + 2048 + 1<<20 - 1}, ""},
		{"headers", image.Limits{HeaderBytes: 112}, "HeaderBytes"},
		{"headers-ok", image.Limits{HeaderBytes: 113}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, known := range []bool{false, true} {
				budget := toc.NewBudget(c.limits)
				var err error
				for _, blob := range []Blob{a, b} {
					opts := expect(blob)
					opts.Budget = budget
					if known {
						opts.Cache = cache
						if cache.Load(opts.Digest) == nil {
							t.Fatal("the cache does not know the layer")
						}
					}
					if _, err = scanBlob(blob.Stored, opts); err != nil {
						break
					}
				}
				var limit *image.LimitError
				switch {
				case c.over == "" && err != nil:
					t.Errorf("known %v: %v", known, err)
				case c.over != "" && (!errors.As(err, &limit) || limit.Limit != c.over || !errors.Is(err, image.ErrCorrupt)):
					t.Errorf("known %v: error %v, want that of %s", known, err, c.over)
				}
			}
		})
	}
}

// A sparse file counts with its holes, against the size of the blob that has it.
func TestScanRatio(t *testing.T) {
	b := Layer(OldSparse("f", 1<<31, "x", frag(0, 1)))
	_, err := scanBlob(b.Stored, expect(b))
	var limit *image.LimitError
	if !errors.As(err, &limit) || limit.Limit != "Ratio" {
		t.Errorf("error %v", err)
	}
	opts := expect(b)
	opts.Budget = toc.NewBudget(image.Limits{Ratio: 1 << 21}, int64(len(b.Stored)))
	if _, err := scanBlob(b.Stored, opts); err != nil {
		t.Error(err)
	}
}

// A frame that asks for a large window may come late, and its layer may be read
// together with others of the kind.
func TestWideWindows(t *testing.T) {
	tar := tar(File("a", strings.Repeat("a", 5000)), File("b", strings.Repeat("b", 5000)))
	b := Plain(tar).As(ZstdBytes(tar[:4096]), ZstdWindow(24, tar[4096:]))
	opts := expect(b)
	last := int64(0)
	opts.Progress = func(n int64) {
		if n < last {
			t.Errorf("progress goes back from %d to %d", last, n)
		}
		last = n
	}
	l, err := scanBlob(b.Stored, opts)
	if err != nil || len(l.Entries) != 2 {
		t.Fatal(l, err)
	}
	var group toc.Group
	one, two := group.NewReader(l, blobOf(b.Stored)), group.NewReader(l, blobOf(b.Stored))
	for off := int64(0); off < l.Size-100; off += 1000 {
		for _, r := range []*toc.Reader{one, two} {
			var out bytes.Buffer
			if err := r.WriteRange(context.Background(), &out, off, 100); err != nil || out.String() != string(tar[off:off+100]) {
				t.Fatalf("at %d: %d bytes, %v", off, out.Len(), err)
			}
		}
	}
}
