// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package flatten_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-81b0d42e/flatten"
	. "github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
	"github.com/seed-81b0d42e/flatten/pkg/whiteout"
)

// load merges an image.
func load(t *testing.T, img *image.Image, opts flatten.Options) *flatten.Merged {
	t.Helper()
	m, err := flatten.Load(context.Background(), img, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// files are the entries of all regular files, last path first.
func files(m *flatten.Merged) []whiteout.Position {
	var list []whiteout.Position
	for i := range m.View.Paths {
		p := &m.View.Paths[len(m.View.Paths)-1-i]
		if at := m.View.Content(p); at != whiteout.Implied && m.View.Entry(at).Type == toc.TypeReg {
			list = append(list, at)
		}
	}
	return list
}

// Contents reads what the flattened tar holds, each file once, in the order of
// the layers, however these are stored.
func TestContents(t *testing.T) {
	lower := Layer(Dir("d"), File("d/f", strings.Repeat("lower", 5000)), File("gone", "1"), Link("l", "d/f"), File("e", ""))
	upper := Layer(File("u", "upper"), Whiteout("gone"), Symlink("s", "u"),
		OldSparse("h", 3000, "0123456789", Fragment{Offset: 1000, Length: 10}), File("implied/x", "2"))
	for name, img := range map[string]*image.Image{
		"plain": Image(lower, upper), "gzip": Image(lower.Gzip(), upper.GzipMembers(600)), "zstd": Image(lower.Zstd(), upper.Zstd()),
	} {
		m := load(t, img, flatten.Options{})
		var out bytes.Buffer
		if _, err := m.Write(context.Background(), flatten.Options{Output: &out, Uncompressed: true}); err != nil {
			t.Fatal(err)
		}
		tree, err := Read(out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		for _, n := range tree.Nodes {
			if n.Type == '0' && n.Same == "" {
				want[n.Path] = string(n.Body)
			}
		}
		got := map[string]string{}
		last := whiteout.Position{Layer: -1}
		err = m.Contents(context.Background(), flatten.Options{}, files(m), func(at whiteout.Position, write func(io.Writer) error) error {
			if at.Layer < last.Layer || at.Layer == last.Layer && at.Entry <= last.Entry {
				t.Errorf("%s: %v after %v", name, at, last)
			}
			last = at
			var b strings.Builder
			err := write(&b)
			got[m.View.Entry(at).Name] = b.String()
			return err
		})
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (- want, + got):\n%s", name, err, diff)
		}
	}
}

// What the caller does wrong ends it, and so does a layer that is not what the
// cache knew, whichever file is read.
func TestContentsFails(t *testing.T) {
	ctx := context.Background()
	blob := Layer(File("a", strings.Repeat("a", 70_000)), File("b", "2")).Gzip()
	opts := flatten.Options{Cache: &toc.Cache{Dir: t.TempDir()}}
	m := load(t, Image(blob), opts)
	stop := errors.New("enough")
	err := m.Contents(ctx, opts, files(m), func(whiteout.Position, func(io.Writer) error) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("error %v", err)
	}
	skip := func(whiteout.Position, func(io.Writer) error) error { return nil }
	if err := load(t, Image(blob), opts).Contents(ctx, opts, files(m), skip); err != nil {
		t.Error(err)
	}
	damaged := Image(blob)
	other := bytes.Clone(blob.Stored)
	other[len(other)-5] ^= 1
	damaged.Layers[0].Open = Image(blob.As(other)).Layers[0].Open
	if err := load(t, damaged, opts).Contents(ctx, opts, files(m)[:1], skip); !errors.Is(err, image.ErrCorrupt) {
		t.Errorf("of a damaged layer: %v", err)
	}
}
