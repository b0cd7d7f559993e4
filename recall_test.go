// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package flatten_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten"
	. "github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// A layer that the cache knows, but whose blob is another by now, is found out
// while the output is written: no file is left, no stream is complete.
func TestKnownLayerDamaged(t *testing.T) {
	ctx := context.Background()
	cache := &toc.Cache{Dir: t.TempDir()}
	blob := Layer(File("a", strings.Repeat("abc", 10_000)), File("b", "2")).Gzip()
	sound := Image(blob)
	if _, err := flatten.Flatten(ctx, sound, flatten.Options{Output: io.Discard, Cache: cache}); err != nil {
		t.Fatal(err)
	}
	for at := range blob.Stored {
		other := bytes.Clone(blob.Stored)
		other[at] ^= 0x10
		damaged := *sound
		damaged.Layers = []image.Layer{sound.Layers[0]}
		damaged.Layers[0].Open = Image(blob.As(other)).Layers[0].Open

		dir := t.TempDir()
		_, err := flatten.Flatten(ctx, &damaged, flatten.Options{Dir: dir, Cache: cache})
		var layer *flatten.LayerError
		if !errors.Is(err, image.ErrCorrupt) || !errors.As(err, &layer) {
			t.Fatalf("byte %d: error %v", at, err)
		}
		if at > 10 && !strings.Contains(err.Error(), "digest of the blob") { // sooner it is no gzip
			t.Fatalf("byte %d: %v", at, err)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Fatalf("byte %d: left %v", at, left)
		}
		for _, plain := range []bool{false, true} {
			var out bytes.Buffer
			o := flatten.Options{Output: &out, Cache: cache, Uncompressed: plain}
			if _, err := flatten.Flatten(ctx, &damaged, o); err == nil {
				t.Fatalf("byte %d: no error", at)
			}
			if complete(out.Bytes(), plain) {
				t.Fatalf("byte %d: a complete stream of %d bytes", at, out.Len())
			}
		}
	}
}

// complete reports whether a reader would take a stream for all of it.
func complete(b []byte, plain bool) bool {
	if plain {
		return len(b)%512 == 0 && bytes.HasSuffix(b, make([]byte, 1024))
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, z)
	return err == nil
}

// Of layers large enough for excerpts the same bytes come out, whatever the cache
// knows: nothing, tables, excerpts of the same image, or of others on the same base.
func TestKnownExcerptsSameBytes(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 0))
	layer := func() Blob {
		var entries []Entry
		for i := range 40 {
			var body strings.Builder
			for body.Len() < 60_000+random.IntN(80_000) {
				fmt.Fprintf(&body, "%x\n", random.Uint32()>>random.IntN(24))
			}
			entries = append(entries, File(fmt.Sprintf("f%d", i*random.IntN(20)), body.String()))
		}
		return Layer(entries...)
	}
	base := []Blob{layer().Gzip(), layer().GzipMembers(100_000, 500_000), layer().Gzip()}
	cache := &toc.Cache{Dir: t.TempDir()}
	kept := map[string]bool{}
	for i := range 4 {
		img := Image(append(slices.Clone(base), Layer(File(fmt.Sprintf("f%d", 3*i), "new"), Whiteout("f0")).Gzip())...)
		want := nameOf(t, img, nil)
		for range 3 {
			if got := nameOf(t, img, cache); got != want {
				t.Errorf("image %d: %s, without a cache %s", i, got, want)
			}
		}
		list, err := filepath.Glob(filepath.Join(cache.Dir, "*.excerpts"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range list {
			kept[name] = true
		}
	}
	if len(kept) != len(base) {
		t.Errorf("excerpts of %d layers, want those of %d", len(kept), len(base))
	}
}

// nameOf is the digest that an image flattens to.
func nameOf(t *testing.T, img *image.Image, cache *toc.Cache) digest.Digest {
	t.Helper()
	r, err := flatten.Flatten(context.Background(), img, flatten.Options{Output: io.Discard, Cache: cache})
	if err != nil {
		t.Fatal(err)
	}
	return r.Digest
}
