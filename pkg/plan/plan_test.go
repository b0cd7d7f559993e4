// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	. "github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/plan"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
	"github.com/seed-81b0d42e/flatten/pkg/whiteout"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// merge scans and merges layers.
func merge(t testing.TB, layers ...Blob) *whiteout.View {
	t.Helper()
	img := Image(layers...)
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
		tocs = append(tocs, l)
	}
	v, err := whiteout.Merge(tocs, whiteout.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// print lists a plan: an extent a line, a header with the path it is for.
func print(p *plan.Plan) string {
	var b strings.Builder
	for _, e := range p.Extents {
		b.WriteString(e.String())
		if e.Kind == plan.Header && e.Offset >= 0 {
			fmt.Fprintf(&b, " %q", p.View.Paths[e.Offset].Name)
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "%d bytes, %d entries\n", p.Size, p.Entries)
	return b.String()
}

func TestPlan(t *testing.T) {
	base := Layer(Dir("a"), File("a/x", "1"), File("a/y", "2"), File("b", "3"))
	for _, tt := range []struct {
		name   string
		layers []Blob
		opts   plan.Options
	}{
		{"one-layer", []Blob{base}, plan.Options{}},
		{"canonical", []Blob{base}, plan.Options{Canonical: true}},
		{"whiteout", []Blob{base, Layer(Whiteout("a/x"))}, plan.Options{}},
		{"replaced", []Blob{base, Layer(File("a/x", "new"))}, plan.Options{}},
		{"dir-metadata", []Blob{base, Layer(Dir("a").Mode(0o700))}, plan.Options{}},
		{"dir-same-metadata", []Blob{base, Layer(Dir("a"), File("a/z", ""))}, plan.Options{}},
		{"implied", []Blob{Layer(File("p/q/f", "1"))}, plan.Options{}},
		{"name-not-clean", []Blob{Layer(File("./f", "1"), File("g", "2"))}, plan.Options{}},
		{"link", []Blob{Layer(File("t", "1"), Link("l", "t"))}, plan.Options{}},
		{"link-canonical", []Blob{Layer(File("t", "1"), Link("l", "t"))}, plan.Options{Canonical: true}},
		{"link-target-deleted", []Blob{Layer(File("t", "1"), File("u", "2"), Link("l", "t"), Link("m", "t")), Layer(Whiteout("t"))}, plan.Options{}},
		{"link-in-dir-target-deleted", []Blob{Layer(File("t", "1"), Dir("d"), Link("d/l", "t")), Layer(Whiteout("t"))}, plan.Options{}},
		{"link-forward", []Blob{Layer(Link("l", "t"), File("t", "1"))}, plan.Options{}},
		{"link-metadata", []Blob{Layer(File("t", "1"), Link("l", "t").Mode(0o600))}, plan.Options{}},
		{"xattr-dropped", []Blob{Layer(File("f", "1").Xattr("trusted.x", "1"))}, plan.Options{}},
		{"time-clamped", []Blob{Layer(File("f", "1").At(-5))}, plan.Options{}},
		{"root-entry", []Blob{Layer(Dir("./").Mode(0o700), File("f", "1"))}, plan.Options{RootEntry: true}},
		{"empty", []Blob{Layer()}, plan.Options{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := print(plan.Of(merge(t, tt.layers...), tt.opts))
			golden := filepath.Join("testdata", tt.name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("plan (-want +got), -update rewrites it:\n%s", diff)
			}
		})
	}
}

// Extents are not empty, copies that touch are one, and their lengths add up.
func TestPlanTiles(t *testing.T) {
	v := merge(t, Layer(Dir("a"), File("a/x", strings.Repeat("x", 5000)), File("./y", "")), Layer(Whiteout("a/x"), Link("z", "y")))
	for _, opts := range []plan.Options{{}, {Canonical: true}} {
		p := plan.Of(v, opts)
		sum := int64(0)
		for i, e := range p.Extents {
			if e.Length <= 0 {
				t.Errorf("%+v: extent %d is %v", opts, i, e)
			}
			sum += e.Length
		}
		if sum != p.Size || sum%512 != 0 {
			t.Errorf("%+v: extents have %d bytes, the plan says %d", opts, sum, p.Size)
		}
	}
}

func TestComparePaths(t *testing.T) {
	sorted := []string{"a", "a/b", "a/b/c", "a/b-c", "a b", "a-", "a.", "a0", "b"}
	for i, a := range sorted {
		for j, b := range sorted {
			got := plan.ComparePaths(a, b)
			if (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("%q against %q: %d", a, b, got)
			}
		}
	}
}

// A canonical output holds no time after the epoch that was asked for.
func TestEpoch(t *testing.T) {
	epoch := time.Unix(500, 0)
	v := merge(t, Layer(File("d/old", "1").At(100), File("d/new", "2").At(900)))
	p := plan.Of(v, plan.Options{Canonical: true, Epoch: &epoch})
	want := map[string]string{"d": "00000000764", "d/old": "00000000144", "d/new": "00000000764"}
	for i := range v.Paths {
		if got := string(p.Header(nil, i)[136:147]); got != want[v.Paths[i].Name] {
			t.Errorf("%s: mtime %s, want %s", v.Paths[i].Name, got, want[v.Paths[i].Name])
		}
	}
}

// The content of a file stands without its header and padding, and with the holes
// of a sparse one; what is no file has none.
func TestContent(t *testing.T) {
	v := merge(t,
		Layer(Dir("d"), File("d/f", "12345"), File("e", ""), Link("l", "d/f"), Symlink("s", "d/f")),
		Layer(OldSparse("h", 3000, "0123456789", Fragment{Offset: 1000, Length: 10}), File("i/j", "1")))
	got := map[string]string{}
	for i := range v.Paths {
		p := &v.Paths[i]
		if v.Content(p) == whiteout.Implied {
			continue
		}
		for _, e := range plan.Content(v, v.Content(p)).Extents {
			got[p.Name] += e.String() + ";"
		}
	}
	want := map[string]string{
		"d/f": "copy layer 1 1024..1029;",
		"l":   "copy layer 1 1024..1029;",
		"h":   "zeros 1000;copy layer 2 512..522;zeros 1990;",
		"i/j": "copy layer 2 1536..1537;",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("contents (- want, + got):\n%s", diff)
	}
}
