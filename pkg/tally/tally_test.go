// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package tally_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/internal/conformance"
	. "github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/tally"
)

// load merges an image and adds it up.
func load(t *testing.T, img *image.Image, opts flatten.Options) (*flatten.Merged, *tally.Tally) {
	t.Helper()
	m, err := flatten.Load(t.Context(), img, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	p := m.Plan(opts)
	pieces, err := m.Pieces(p, opts)
	if err != nil {
		t.Fatal(err)
	}
	hidden, err := m.Hidden(opts)
	if err != nil {
		t.Fatal(err)
	}
	return m, tally.Of(p, pieces, hidden)
}

// lines are the waste, a path a line.
func lines(ty *tally.Tally) []string {
	var list []string
	for _, w := range ty.Waste {
		how := "removes"
		if w.Replaced {
			how = "replaces"
		}
		slash := ""
		if w.Dir {
			slash = "/"
		}
		list = append(list, fmt.Sprintf("%s%s %d bytes in %d files of layer %d, which layer %d %s",
			w.Path, slash, w.Size, w.Files, w.Layer+1, w.By+1, how))
	}
	return list
}

func TestWaste(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	for _, tt := range []struct {
		name   string
		layers []Blob
		want   []string
	}{
		{"the example of the package", []Blob{
			Layer(Dir("a"), File("a/x", x(1000)), File("a/y", x(600)), File("b", x(3000))),
			Layer(Whiteout("a"), File("b", x(3000))),
		}, []string{
			"a/ 3584 bytes in 2 files of layer 1, which layer 2 removes",
			"b 3584 bytes in 1 files of layer 1, which layer 2 replaces",
		}},
		{"nothing", []Blob{Layer(Dir("a"), File("a/x", "1")), Layer(Dir("a"), File("a/y", "1"))}, nil},
		{"twice in a layer", []Blob{Layer(File("a", "1"), File("a", "2"))}, nil},
		{"a folder of two layers", []Blob{
			Layer(Dir("d"), File("d/1", "1")), Layer(File("d/2", x(600)), File("d/3", "")), Layer(Whiteout("d")),
		}, []string{
			"d/ 2048 bytes in 2 files of layer 2, which layer 3 removes",
			"d/ 1536 bytes in 1 files of layer 1, which layer 3 removes",
		}},
		{"an opaque folder", []Blob{Layer(File("d/1", "1"), File("d/e/2", "")), Layer(Opaque("d"))}, []string{
			"d/1 1024 bytes in 1 files of layer 1, which layer 2 removes",
			"d/e/ 512 bytes in 1 files of layer 1, which layer 2 removes",
		}},
		{"back, and gone again", []Blob{
			Layer(File("f", "1")), Layer(Whiteout("f")), Layer(File("f", x(600))), Layer(Whiteout("f")),
		}, []string{
			"f 1536 bytes in 1 files of layer 3, which layer 4 removes",
			"f 1024 bytes in 1 files of layer 1, which layer 2 removes",
		}},
		{"one of two names", []Blob{Layer(File("f", "1"), Link("g", "f")), Layer(Whiteout("f"))}, nil},
		{"one of two names, the link", []Blob{Layer(File("f", "1"), Link("g", "f")), Layer(Whiteout("g"))}, []string{
			"g 512 bytes in 1 files of layer 1, which layer 2 removes",
		}},
		{"both names, one after the other", []Blob{
			Layer(File("f", "1"), Link("g", "f")), Layer(Whiteout("f")), Layer(Whiteout("g")),
		}, []string{
			"g 1536 bytes in 1 files of layer 1, which layer 3 removes",
		}},
		{"a folder becomes a file", []Blob{Layer(Dir("d"), File("d/f", "")), Layer(File("d", ""))}, []string{
			"d/ 1024 bytes in 1 files of layer 1, which layer 2 replaces",
		}},
	} {
		_, ty := load(t, Image(tt.layers...), flatten.Options{})
		if got := lines(ty); !cmp.Equal(got, tt.want) {
			t.Errorf("%s:\n%s", tt.name, cmp.Diff(tt.want, got))
		}
	}
}

// What is added up is what is written, and every byte of a layer is in one sum.
func TestSums(t *testing.T) {
	for _, c := range conformance.Cases() {
		if c.Err != "" || c.Want == nil || c.OS != "" {
			continue
		}
		for _, canonical := range []bool{false, true} {
			opts := flatten.Options{Canonical: canonical, RootEntry: c.RootEntry, FollowLowerSymlinks: c.FollowLower}
			checkSums(t, c.ID, c.Image(), opts)
		}
	}
	for _, opts := range []flatten.Options{{}, {Canonical: true}} {
		checkSums(t, "noise", Image(noise(1, 25), noise(2, 25), noise(3, 25)), opts)
	}
}

// noise is a layer of 20 large files with some of so many names.
func noise(seed uint64, names int) Blob {
	r := rand.New(rand.NewPCG(seed, 0))
	var entries []Entry
	for _, name := range r.Perm(names)[:20] {
		b := make([]byte, 1000+r.IntN(100_000))
		for i := range b {
			b[i] = 'a' + byte(r.IntN(20))
		}
		entries = append(entries, File(fmt.Sprint("f", name), string(b)))
	}
	return Layer(entries...).Gzip()
}

func checkSums(t *testing.T, id string, img *image.Image, opts flatten.Options) {
	t.Helper()
	m, ty := load(t, img, opts)
	opts.Output = new(bytes.Buffer)
	r, err := m.Write(t.Context(), opts)
	if err != nil {
		t.Fatalf("%s: %v", id, err)
	}
	if ty.Copied != r.Copied || ty.Encoded != r.Encoded {
		t.Errorf("%s: %d copied, %d encoded, but %d, %d are", id, ty.Copied, ty.Encoded, r.Copied, r.Encoded)
	}
	if id == "noise" && (!opts.Canonical && ty.Copied == 0 || ty.Wasted == 0 || ty.Output < r.Size*3/4 || ty.Output > r.Size*5/4) {
		t.Errorf("%s: %+v, and %d bytes are written", id, ty, r.Size)
	}
	copied, encoded, dropped, wasted, hides, stored := int64(0), ty.New, int64(0), int64(0), int64(0), int64(0)
	for i, l := range ty.Layers {
		copied, encoded, dropped = copied+l.Copied, encoded+l.Encoded, dropped+l.Dropped
		wasted, hides = wasted+l.Wasted, hides+l.Hides
		if l.Copied < 0 || l.Encoded < 0 || l.Wasted < 0 || l.Wasted > l.Dropped ||
			l.Copied+l.Encoded+l.Dropped != m.View.Layers[i].Size {
			t.Errorf("%s: layer %d of %d bytes: %+v", id, i+1, m.View.Layers[i].Size, l)
		}
		stored += m.View.Layers[i].BlobSize
	}
	if copied != ty.Copied || encoded != ty.Encoded || dropped != ty.Dropped || wasted != ty.Wasted || hides != ty.Wasted {
		t.Errorf("%s: the layers add up to %d, %d, %d, %d, %d: %+v", id, copied, encoded, dropped, wasted, hides, ty)
	}
	if ty.WastedStored < 0 || ty.WastedStored > stored {
		t.Errorf("%s: %d stored bytes of %d are wasted", id, ty.WastedStored, stored)
	}
}

// The stored bytes of a layer's files, taken together, are nearly all of the blob.
func TestStored(t *testing.T) {
	gone := noise(7, 20)
	for _, b := range []Blob{gone, Plain(gone.Tar), Plain(gone.Tar).Zstd(), Plain(gone.Tar).GzipMembers(70_001, 300_000)} {
		_, ty := load(t, Image(b, Layer(Opaque(""))), flatten.Options{})
		if got, all := ty.WastedStored, int64(len(b.Stored)); got > all || got < all*98/100-2000 {
			t.Errorf("%d of %d bytes, though everything is hidden", got, all)
		}
	}
}

// Small paths are counted with their folder, and small folders with theirs; a path
// alone is not.
func TestFold(t *testing.T) {
	waste := []tally.Waste{
		{Path: "a/big", Layer: 0, By: 1, Files: 1, Size: 1000, Stored: 10},
		{Path: "a/small", Layer: 0, By: 1, Files: 1, Size: 40, Stored: 4},
		{Path: "a/b/1", Layer: 0, By: 1, Files: 1, Size: 60, Stored: 6},
		{Path: "a/b/2", Layer: 0, By: 1, Files: 1, Size: 50, Stored: 5},
		{Path: "a/c/d/3", Layer: 0, By: 1, Files: 1, Size: 70, Stored: 7},
		{Path: "a/c/d/4", Layer: 1, By: 2, Files: 1, Size: 20, Stored: 2},
		{Path: "a/c/d/5", Layer: 0, By: 1, Replaced: true, Files: 1, Size: 10, Stored: 1},
		{Path: "dir", Dir: true, Layer: 0, By: 1, Files: 7, Size: 90, Stored: 9},
		{Path: "dir/left", Layer: 0, By: 1, Files: 1, Size: 30, Stored: 3},
	}
	got := lines(&tally.Tally{Waste: tally.Fold(waste, 100)})
	want := []string{
		"a/big 1000 bytes in 1 files of layer 1, which layer 2 removes",
		"dir/ 120 bytes in 8 files of layer 1, which layer 2 removes",
		"a/ 110 bytes in 2 files of layer 1, which layer 2 removes",
		"a/b/ 110 bytes in 2 files of layer 1, which layer 2 removes",
		"a/c/d/4 20 bytes in 1 files of layer 2, which layer 3 removes",
		"a/c/d/5 10 bytes in 1 files of layer 1, which layer 2 replaces",
	}
	if !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
	if all := tally.Fold(waste, 0); len(all) != len(waste) {
		t.Errorf("with nothing to fold there are %d paths", len(all))
	}
}
