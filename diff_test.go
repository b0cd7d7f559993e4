// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package flatten_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/internal/conformance"
	. "github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/diff"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

var everything = diff.Options{FileTimes: true, DirTimes: true, HardLinks: true}

// What is written is the filesystem that was merged: for each case of the rules no
// difference is found between an image and the tar that it is flattened to, and
// canonical output differs from that in nothing.
func TestDiffFlattened(t *testing.T) {
	ctx := context.Background()
	compared := 0
	for _, c := range conformance.Cases() {
		if c.Err != "" || c.Want == nil {
			continue
		}
		t.Run(c.ID, func(t *testing.T) {
			opts := flatten.Options{FollowLowerSymlinks: c.FollowLower}
			m := load(t, c.Image(), opts)
			for _, canonical := range []bool{false, true} {
				var out bytes.Buffer
				opts := opts
				opts.Output, opts.Uncompressed, opts.Canonical = &out, true, canonical
				if _, err := m.Write(ctx, opts); err != nil {
					t.Fatal(err)
				}
				flat := load(t, Image(Plain(out.Bytes())), opts)
				changes, err := flatten.Diff(ctx, m, flat, opts, everything)
				if err != nil || len(changes) > 0 {
					t.Errorf("canonical %v: %v %v", canonical, changes, err)
				}
			}
		})
		compared++
	}
	if compared < 100 {
		t.Errorf("%d cases", compared)
	}
}

// A file that both images have in the same layer is not read, one that they have
// in different ones is.
func TestDiffReads(t *testing.T) {
	ctx := context.Background()
	opts := flatten.Options{Cache: &toc.Cache{Dir: t.TempDir()}}
	base := Layer(File("a", strings.Repeat("a", 70_000)), File("b", "2")).Gzip()
	one, two := Layer(File("b", "1")).Gzip(), Layer(File("b", "2"), File("c", "2")).Gzip()
	for _, b := range []Blob{base, one, two} {
		load(t, Image(b), opts) // for the cache to know it
	}
	compare := func(before, after *image.Image) string {
		changes, err := flatten.Diff(ctx, load(t, before, opts), load(t, after, opts), opts, everything)
		if err != nil {
			if !errors.Is(err, image.ErrCorrupt) {
				t.Error(err)
			}
			return "corrupt"
		}
		return fmt.Sprint(changes)
	}
	damaged := func(layers ...Blob) *image.Image {
		img := Image(layers...)
		other := bytes.Clone(layers[0].Stored)
		other[len(other)-5] ^= 1
		img.Layers[0].Open = Image(layers[0].As(other)).Layers[0].Open
		return img
	}
	for name, tt := range map[string]struct {
		before, after *image.Image
		want          string
	}{
		"same":                 {Image(base), Image(base), "[]"},
		"same, damaged":        {Image(base), damaged(base), "[]"},
		"other layer":          {Image(base, one), Image(base, two), "[C /b A /c]"},
		"other layer, damaged": {Image(base, one), damaged(base, two), "corrupt"},
		"back":                 {Image(base), Image(base, one, two), "[A /c]"},
	} {
		if got := compare(tt.before, tt.after); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestDiffLayers(t *testing.T) {
	ctx := context.Background()
	img := Image(
		Layer(Dir("etc"), File("etc/a", "1"), File("etc/b", "1"), File("etc/c", "1")),
		Layer(File("etc/a", "1"), File("etc/b", "2"), File("etc/c", "1").At(5), Dir("etc").At(5)),
		Layer(Dir("etc").At(7)),
		Layer(Whiteout("etc"), File("new", "")),
	)
	want := []string{
		"[A /etc A /etc/a A /etc/b A /etc/c]",
		"[C /etc C /etc/b C /etc/c]",
		"[]",
		"[D /etc A /new]",
	}
	m := load(t, img, flatten.Options{})
	for _, brief := range []bool{false, true} {
		for first := range want {
			for last := first; last <= len(want); last++ {
				n := first
				err := m.DiffLayers(ctx, flatten.Options{}, first, last, brief, func(d *flatten.LayerDiff) error {
					if got := fmt.Sprint(d.Changes); d.Layer != n || got != want[n] {
						t.Errorf("layer %d as %d: %s, want %s", n, d.Layer, got, want[n])
					}
					for _, c := range d.Changes {
						if c.Old >= 0 && d.Before.Paths[c.Old].Name != c.Path || c.New >= 0 && d.After.Paths[c.New].Name != c.Path {
							t.Errorf("layer %d: %v: indexes of other paths", n, c)
						}
					}
					n++
					return nil
				})
				if err != nil || n != last {
					t.Errorf("%d of %d: %v", n, last, err)
				}
			}
		}
	}
	enough := errors.New("enough")
	err := m.DiffLayers(ctx, flatten.Options{}, 0, 4, true, func(d *flatten.LayerDiff) error {
		if d.Layer == 2 {
			return enough
		}
		return nil
	})
	if err != enough {
		t.Errorf("error %v", err)
	}
}
