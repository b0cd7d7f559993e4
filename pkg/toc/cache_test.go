// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	. "github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// rich is a layer with something of everything that a table holds.
func rich() Blob {
	body := strings.Repeat("some text that compresses well, but not all too well; ", 1<<17)
	return Layer(
		Dir("d"), File("d/plain", "1"), File("d/owned", "2").Names("root", "wheel"),
		File("./d/dot", body), Symlink("d/s", "../x"), Link("d/l", "d/plain"),
		Char("d/null", 1, 3), File("d/x", "3").Xattr("user.a", "b\x00c").At(-5),
		File("d/slash/", ""), GlobalHeader("g", rec("comment", "warned of")),
	)
}

// cached scans a blob with a cache.
func cached(c *toc.Cache, b Blob) (*toc.Layer, error) {
	opts := expect(b)
	opts.Cache = c
	return scanBlob(b.Stored, opts)
}

// entriesOf are the files of a cache.
func entriesOf(t *testing.T, c *toc.Cache) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(c.Dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func wantCorrupt(t *testing.T, err error, text string) {
	t.Helper()
	if !errors.Is(err, image.ErrCorrupt) || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want one that speaks of %q", err, text)
	}
}

// What comes out of the cache is what went in, and reads the same bytes.
func TestCache(t *testing.T) {
	for name, b := range map[string]Blob{"plain": rich(), "gzip": rich().Gzip(), "members": rich().GzipMembers(1000, 300_000), "zstd": rich().Zstd()} {
		t.Run(name, func(t *testing.T) {
			c := &toc.Cache{Dir: filepath.Join(t.TempDir(), "new")}
			want, err := cached(c, b)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Load(want.Digest); !cmp.Equal(want, got) {
				t.Errorf("loaded (-want +got):\n%s", cmp.Diff(want, got))
			}
			again, err := cached(c, b)
			if err != nil || !again.Unverified {
				t.Fatalf("scanned again: %v, from the cache: %v", err, again.Unverified)
			}
			again.Unverified = false
			if !cmp.Equal(want, again) {
				t.Errorf("scanned again: %v (-want +got):\n%s", err, cmp.Diff(want, again))
			}
			checkLayer(t, again, b.Stored, b.Tar)
			if got := readAll(t, again, b.Stored); string(got) != string(b.Tar) {
				t.Error("reads other bytes")
			}
		})
	}
}

// A known layer's blob is verified when that is asked for, a layer that was
// scanned is not read again.
func TestVerify(t *testing.T) {
	b := rich().Gzip()
	c := &toc.Cache{Dir: t.TempDir()}
	ctx := context.Background()
	scanned, err := cached(c, b)
	if err != nil {
		t.Fatal(err)
	}
	known, err := cached(c, b)
	if err != nil {
		t.Fatal(err)
	}
	damaged := append([]byte(nil), b.Stored...)
	damaged[100] ^= 1
	if err := toc.Verify(ctx, blobOf(damaged), scanned, nil); err != nil {
		t.Errorf("of a layer that was scanned: %v", err)
	}
	var read int64
	if err := toc.Verify(ctx, blobOf(b.Stored), known, func(n int64) { read = n }); err != nil || read != int64(len(b.Stored)) {
		t.Errorf("%v, %d of %d bytes read", err, read, len(b.Stored))
	}
	wantCorrupt(t, toc.Verify(ctx, blobOf(damaged), known, nil), "digest of the blob")
	wantCorrupt(t, toc.Verify(ctx, blobOf(b.Stored[:200]), known, nil), "digest of the blob")
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if err := toc.Verify(canceled, blobOf(b.Stored), known, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("after a cancellation: %v", err)
	}
}

// A known layer whose diffID is not the expected one is scanned, and refused.
func TestCacheOtherDiffID(t *testing.T) {
	b := rich().Gzip()
	c := &toc.Cache{Dir: t.TempDir()}
	if _, err := cached(c, b); err != nil {
		t.Fatal(err)
	}
	opts := expect(b)
	opts.Cache, opts.DiffID = c, digest.FromString("another")
	_, err := scanBlob(b.Stored, opts)
	wantCorrupt(t, err, "diffID")
}

// An entry that is damaged at any byte, cut at any length, or that of another
// blob is not believed, removed and made anew.
func TestCacheDamaged(t *testing.T) {
	b := Layer(File("a", "1"), File("b", strings.Repeat("2", 5000))).Gzip()
	c := &toc.Cache{Dir: t.TempDir()}
	want, err := cached(c, b)
	if err != nil {
		t.Fatal(err)
	}
	file := entriesOf(t, c)[0]
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	try := func(what string, at int, bad []byte) {
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if c.Load(want.Digest) != nil {
			t.Errorf("%s at %d: believed", what, at)
		}
		if len(entriesOf(t, c)) != 0 {
			t.Errorf("%s at %d: not removed", what, at)
		}
	}
	for i := range good {
		bad := []byte(string(good))
		bad[i] ^= 0x10
		try("damaged", i, bad)
		try("cut", i, good[:i])
	}
	if other, err := cached(c, rich().Zstd()); err != nil {
		t.Fatal(err)
	} else if err := os.Rename(entriesOf(t, c)[0], file); err != nil {
		t.Fatal(err)
	} else if c.Load(want.Digest) != nil || other.Digest == want.Digest {
		t.Error("the entry of another blob: believed")
	}
	if _, err := cached(c, b); err != nil || len(entriesOf(t, c)) != 1 {
		t.Errorf("not made anew: %v", err)
	}
}

// The cache keeps to its size, and what was used last.
func TestCacheEvicts(t *testing.T) {
	now := time.Unix(1_000_000_000, 0)
	c := &toc.Cache{Dir: t.TempDir(), Now: func() time.Time { now = now.Add(time.Hour); return now }}
	layers := make([]*toc.Layer, 4)
	load := func(i int) bool { return c.Load(layers[i].Digest) != nil }
	for i := range layers {
		var err error
		if layers[i], err = cached(c, Layer(File("f", strings.Repeat(string(rune('a'+i)), 100))).Gzip()); err != nil {
			t.Fatal(err)
		}
		load(i) // sets the time that the entry was used
	}
	info, err := os.Stat(entriesOf(t, c)[0])
	if err != nil {
		t.Fatal(err)
	}
	load(0)
	c.MaxSize = 4*info.Size() + info.Size()/2
	for _, text := range []string{"new", "newer"} {
		if _, err := cached(c, Layer(File("f", text)).Gzip()); err != nil {
			t.Fatal(err)
		}
	}
	if load(1) || load(2) || !load(0) || !load(3) {
		t.Error("not those used longest ago were removed")
	}
}

// A cache that cannot be used does no harm.
func TestCacheUnusable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := cached(&toc.Cache{Dir: file}, rich().Gzip()); err != nil {
		t.Error(err)
	}
	tiny := &toc.Cache{Dir: t.TempDir(), MaxSize: 1}
	if _, err := cached(tiny, rich().Gzip()); err != nil || len(entriesOf(t, tiny)) != 0 {
		t.Errorf("%v, %v", err, entriesOf(t, tiny))
	}
}

// Many users at once do not disturb each other.
func TestCacheShared(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for _, b := range []Blob{Layer(File("a", "1")).Gzip(), Layer(File("b", "2")).Zstd()} {
				if _, err := cached(&toc.Cache{Dir: dir, Now: time.Now}, b); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if names := entriesOf(t, &toc.Cache{Dir: dir}); len(names) != 2 {
		t.Errorf("the cache has %q", names)
	}
}

// FuzzCacheEntry: no bytes make the cache panic or return a table that breaks
// what its users rely on, even with the right checksum.
func FuzzCacheEntry(f *testing.F) {
	for _, b := range []Blob{rich(), rich().Gzip(), rich().Zstd(), Layer(), Layer(File("f", "1")).GzipMembers(100)} {
		l, err := scanBlob(b.Stored, expect(b))
		if err != nil {
			f.Fatal(err)
		}
		l.Checkpoints = nil // they would make seeds large
		f.Add(toc.EncodeLayer(l))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := toc.DecodeLayer(raw)
		if err != nil {
			return
		}
		again, err := toc.DecodeLayer(toc.EncodeLayer(l))
		if err != nil || !cmp.Equal(l, again) {
			t.Fatalf("decoded, encoded, decoded: %v\n%s", err, cmp.Diff(l, again))
		}
		r := toc.NewReader(l, blobOf(make([]byte, min(l.BlobSize, 1<<16))))
		defer r.Close()
		for i := range l.Entries {
			e := &l.Entries[i]
			_ = r.WriteRange(context.Background(), &failing{}, e.Start, int64(e.Header)+e.Stored())
		}
	})
}
