// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package layout_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/image/imagetest"
	"github.com/seed-81b0d42e/flatten/pkg/layout"
)

func removeGarbage(t *testing.T, dir string) *layout.Garbage {
	t.Helper()
	g, err := layout.RemoveGarbage(ctx, dir, layout.StoreOptions{}, false)
	if err != nil {
		t.Fatalf("%v (hint %s)", err, image.Hint(err))
	}
	return g
}

// about makes a manifest about another one, as signatures are.
func about(s imagetest.Store, subject v1.Descriptor, text string) v1.Descriptor {
	return s.Manifest("linux/amd64", [][]byte{[]byte(text)}, func(m *v1.Manifest, _ *v1.Image) {
		m.ArtifactType = "application/x-signature"
		m.Subject = &subject
	})
}

// garbageCases say what stays and what goes. A case fills a store of blobs and
// returns the entries of index.json; what it adds after calling trash is garbage.
var garbageCases = []struct {
	name string
	make func(s imagetest.Store, trash func()) []v1.Descriptor
}{
	{"nothing", func(s imagetest.Store, trash func()) []v1.Descriptor {
		return []v1.Descriptor{imagetest.Tagged(s.Image(here, base), "1")}
	}},
	{"empty-index", func(s imagetest.Store, trash func()) []v1.Descriptor {
		trash()
		s.Image(here, base)
		return nil
	}},
	{"image", func(s imagetest.Store, trash func()) []v1.Descriptor {
		d := s.Image(here, base)
		trash()
		s.Image(here, top, imagetest.Layer("x=1"))
		return []v1.Descriptor{imagetest.Tagged(d, "1")}
	}},
	{"shared-layer", func(s imagetest.Store, trash func()) []v1.Descriptor {
		d := s.Image(here, base, top)
		trash()
		s.Image(here, base)
		return []v1.Descriptor{imagetest.Tagged(d, "1")}
	}},
	{"untagged", func(s imagetest.Store, trash func()) []v1.Descriptor {
		return []v1.Descriptor{s.Image(here, base)}
	}},
	{"nested-indexes", func(s imagetest.Store, trash func()) []v1.Descriptor {
		d := s.Index(s.Index(s.Image(here, base)), imagetest.Attestation(s.Image("linux/mips", top)))
		trash()
		s.Index(s.Image("linux/mips", imagetest.Layer("x=1")))
		return []v1.Descriptor{d}
	}},
	{"docker-types", func(s imagetest.Store, trash func()) []v1.Descriptor {
		d := s.Manifest(here, [][]byte{base}, func(m *v1.Manifest, _ *v1.Image) {
			m.MediaType = "application/vnd.docker.distribution.manifest.v2+json"
			m.Config.MediaType = "application/vnd.docker.container.image.v1+json"
			m.Layers[0].MediaType = "application/vnd.docker.image.rootfs.diff.tar.gzip"
		})
		d.MediaType = "application/vnd.docker.distribution.manifest.v2+json"
		return []v1.Descriptor{s.JSON("application/vnd.docker.distribution.manifest.list.v2+json", imagetest.NewIndex(d))}
	}},
	{"no-media-types", func(s imagetest.Store, trash func()) []v1.Descriptor {
		d := s.Index(s.Image(here, base))
		d.MediaType = ""
		return []v1.Descriptor{d}
	}},
	{"referrers", func(s imagetest.Store, trash func()) []v1.Descriptor {
		d := s.Image(here, base)
		about(s, about(s, d, "signature"), "signature of a signature")
		trash()
		about(s, s.Image("linux/mips", top), "of garbage")
		return []v1.Descriptor{d}
	}},
	{"referrer-of-a-layer", func(s imagetest.Store, trash func()) []v1.Descriptor {
		d := s.Image(here, base)
		about(s, v1.Descriptor{MediaType: v1.MediaTypeImageLayerGzip, Digest: digest.FromBytes(base), Size: int64(len(base))}, "x")
		return []v1.Descriptor{d}
	}},
	{"subject-of-what-stays", func(s imagetest.Store, trash func()) []v1.Descriptor {
		return []v1.Descriptor{about(s, s.Image(here, base), "signature")}
	}},
	{"unknown-types", func(s imagetest.Store, trash func()) []v1.Descriptor {
		leaf := s.Add("application/x-blob", []byte("\x00\x01"))
		deep := s.JSON("application/x-thing", map[string]any{"parts": []any{map[string]any{"at": leaf}}, "n": 1})
		trash()
		s.JSON("application/x-thing", map[string]any{"parts": []any{map[string]any{"at": leaf}}, "n": 2})
		return []v1.Descriptor{deep}
	}},
	{"artifact-manifest", func(s imagetest.Store, trash func()) []v1.Descriptor {
		blob := s.Add("application/x-blob", []byte("blob"))
		return []v1.Descriptor{s.JSON("application/vnd.oci.artifact.manifest.v1+json", map[string]any{"blobs": []any{blob}})}
	}},
	{"a-layer-that-is-a-manifest", func(s imagetest.Store, trash func()) []v1.Descriptor {
		inner := s.Image(here, base)
		asLayer := inner
		asLayer.MediaType, asLayer.Platform = v1.MediaTypeImageLayer, nil
		outer := s.JSON(v1.MediaTypeImageManifest, v1.Manifest{MediaType: v1.MediaTypeImageManifest,
			Config: s.JSON(v1.MediaTypeImageConfig, imagetest.Config(here)), Layers: []v1.Descriptor{asLayer}})
		return []v1.Descriptor{inner, outer}
	}},
	{"some-platforms-missing", func(s imagetest.Store, trash func()) []v1.Descriptor {
		d := s.Image(here, base)
		gone := imagetest.Store{}.Image("linux/mips", top)
		idx := s.Index(d, gone)
		trash()
		s.Add("x", top)
		return []v1.Descriptor{idx}
	}},
	{"garbage-that-is-damaged", func(s imagetest.Store, trash func()) []v1.Descriptor {
		d := s.Image(here, base)
		trash()
		s[digest.FromString("x")] = []byte(`{"manifests":[`)
		s[digest.FromString("y")] = []byte(`{"subject":{"digest":"` + string(d.Digest) + `"}}`) // has another digest
		s[digest.FromString("z")] = nil
		return []v1.Descriptor{d}
	}},
	{"sha512", func(s imagetest.Store, trash func()) []v1.Descriptor {
		d := digest.SHA512.FromBytes(base)
		s[d] = base
		m := s.Manifest(here, [][]byte{base}, func(m *v1.Manifest, _ *v1.Image) { m.Layers[0].Digest = d })
		delete(s, digest.FromBytes(base))
		trash()
		s[digest.SHA512.FromString("x")] = []byte("x")
		return []v1.Descriptor{m}
	}},
}

func TestRemoveGarbage(t *testing.T) {
	for _, tc := range garbageCases {
		t.Run(tc.name, func(t *testing.T) {
			s := imagetest.Store{}
			var keep imagetest.Store
			entries := tc.make(s, func() { keep = maps.Clone(s) })
			if keep == nil {
				keep = s
			}
			dir := writeDir(t, s.Layout(entries...))
			if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
				t.Fatal(err)
			}
			dry, err := layout.RemoveGarbage(ctx, dir, layout.StoreOptions{}, true)
			if err != nil {
				t.Fatalf("%v (hint %s)", err, image.Hint(err))
			}
			checkTree(t, dir, s)
			g := removeGarbage(t, dir)
			checkTree(t, dir, keep)
			var size int64
			for _, d := range g.Blobs {
				size += int64(len(s[d.Digest]))
			}
			if len(g.Blobs) != len(s)-len(keep) || g.Kept != len(keep) || g.Size() != size || fmt.Sprint(*g) != fmt.Sprint(*dry) {
				t.Errorf("%d removed with %d of %d bytes, %d kept; dry run %v", len(g.Blobs), g.Size(), size, g.Kept, dry)
			}
		})
	}
}

// What cannot be followed stops it: nothing is removed.
func TestRemoveGarbageStops(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		spoil      func(s imagetest.Store, d v1.Descriptor)
	}{
		{"manifest-missing", "which is not there", func(s imagetest.Store, d v1.Descriptor) { delete(s, d.Digest) }},
		{"manifest-damaged", "is damaged", func(s imagetest.Store, d v1.Descriptor) { s[d.Digest] = append([]byte(" "), s[d.Digest]...) }},
		{"manifest-cut", "is damaged", func(s imagetest.Store, d v1.Descriptor) { s[d.Digest] = s[d.Digest][:10] }},
		{"manifest-empty", "is damaged", func(s imagetest.Store, d v1.Descriptor) { s[d.Digest] = nil }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := imagetest.Store{}
			d := s.Image(here, base)
			tc.spoil(s, d)
			s.Add("x", top)
			dir := writeDir(t, s.Layout(d))
			_, err := layout.RemoveGarbage(ctx, dir, layout.StoreOptions{}, false)
			checkError(t, err, image.ErrCorrupt, "nothing is removed: ", "pull it again")
			checkError(t, err, image.ErrCorrupt, tc.text, "")
			checkTree(t, dir, s)
		})
	}
}

// Files that are not called as blobs are somebody else's.
func TestRemoveGarbageLeavesOthers(t *testing.T) {
	s := imagetest.Store{}
	files := s.Layout(s.Image(here, base))
	want := len(files)
	for _, name := range []string{"README", "oci-put-blob123", "blobs/sha256/x", "blobs/sha256/" + strings.Repeat("A", 64), "blobs/md5/" + strings.Repeat("a", 32), "blobs/sha256/" + strings.Repeat("a", 64) + "/x"} {
		files[name] = []byte("mine")
		want++
	}
	dir := writeDir(t, files)
	g := removeGarbage(t, dir)
	if got := tree(t, dir); len(got) != want || len(g.Blobs) != 0 {
		t.Errorf("%d files of %d are left; removed %v", len(got), want, g.Blobs)
	}
}

// Unfinished downloads go, and what writers that died left.
func TestRemoveGarbageUnfinished(t *testing.T) {
	s := imagetest.Store{}
	d := s.Image(here, base)
	files := s.Layout(d)
	part := digest.FromString("x")
	files[".flatten-sha256-"+part.Encoded()+".part"] = []byte("12345")
	files[".flatten-0123.tmp"] = []byte("12345")
	dir := writeDir(t, files)
	if err := os.Remove(filepath.Join(dir, ".flatten-0123.tmp")); err != nil {
		t.Fatal(err)
	}
	g := removeGarbage(t, dir)
	if len(g.Unfinished) != 1 || g.Unfinished[0].Digest != part || g.Size() != 5 {
		t.Errorf("%+v", g)
	}
	checkTree(t, dir, s)
}

// Garbage is not collected while somebody writes: what is not referred to yet is
// no garbage.
func TestRemoveGarbageWaits(t *testing.T) {
	o := &origin{Store: imagetest.Store{}}
	app := o.Image(here, base)
	dir := t.TempDir()
	s := createStore(t, dir)
	stored, proceed := make(chan struct{}), make(chan struct{})
	root := o.root(app, "1", "")
	fetch := root.Copy
	root.Copy = func(ctx context.Context, d v1.Descriptor, offset int64, w io.Writer) error {
		if d.Digest == digest.FromBytes(base) {
			<-stored
			<-proceed
		}
		return fetch(ctx, d, offset, w)
	}
	added := make(chan error)
	go func() {
		_, err := s.Add(ctx, root, layout.AddOptions{Jobs: 2})
		added <- err
		s.Close()
	}()
	var waits []string
	first := true
	g, err := layout.RemoveGarbage(ctx, dir, layout.StoreOptions{Waiting: func(what string) {
		waits = append(waits, what)
		if first {
			first = false
			close(stored)
			close(proceed)
			if err := <-added; err != nil {
				t.Error(err)
			}
		}
	}}, false)
	if err != nil || len(g.Blobs) > 0 || len(waits) != 1 || !strings.Contains(waits[0], "another process that writes to oci:"+dir) {
		t.Errorf("%v, %v, waited for %s", g, err, waits)
	}
	checkTree(t, dir, o.Store)

	// The other way round: what has been begun while it waits is waited for, too,
	// and the end of the context ends that.
	open := createStore(t, dir)
	limited, cancel := context.WithCancel(ctx)
	_, err = layout.RemoveGarbage(limited, dir, layout.StoreOptions{Waiting: func(string) { cancel() }}, true)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	open.Close()
}

func TestTagUntag(t *testing.T) {
	o := &origin{Store: imagetest.Store{}}
	one, two := o.Image(here, base), o.Image(here, top)
	idx := o.Index(one)
	dir := writeDir(t, o.Layout(imagetest.Tagged(one, "a"), imagetest.Tagged(two, "docker.io/library/b:1"), two))
	s, err := layout.OpenStore(ctx, dir, layout.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	check := func(want ...string) {
		t.Helper()
		got := index(t, dir)
		for i := range got {
			for name, d := range map[string]v1.Descriptor{"one": one, "two": two, "idx": idx} {
				got[i] = strings.Replace(got[i], string(d.Digest), name, 1)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("index.json has %q, want %q", got, want)
		}
	}
	tag := func(opt layout.Options, tags ...string) map[string]digest.Digest {
		t.Helper()
		_, replaced, err := s.Tag(ctx, opt, tags...)
		if err != nil {
			t.Fatal(err)
		}
		return replaced
	}
	untag := func(opt layout.Options, n int) {
		t.Helper()
		gone, err := s.Untag(ctx, opt)
		if err != nil || len(gone) != n {
			t.Fatalf("%v, %v", gone, err)
		}
	}
	tag(layout.Options{Tag: "a"}, "x", "registry.example/y:1")
	check("a| one", "docker.io/library/b:1| two", "| two", "x| one", "registry.example/y:1|registry.example/y:1 one")
	if replaced := tag(layout.Options{Digest: two.Digest}, "x"); len(replaced) != 1 || replaced["x"] != one.Digest {
		t.Errorf("replaced %v", replaced)
	}
	check("a| one", "docker.io/library/b:1| two", "| two", "x| two", "registry.example/y:1|registry.example/y:1 one")
	tag(layout.Options{Digest: idx.Digest}, "i") // is not in index.json yet
	untag(layout.Options{Tag: "docker.io/library/b:1"}, 1)
	untag(layout.Options{Digest: two.Digest}, 2)
	check("a| one", "registry.example/y:1|registry.example/y:1 one", "i| idx")
	untag(layout.Options{Tag: "a"}, 1)
	untag(layout.Options{Tag: "registry.example/y:1"}, 1)
	untag(layout.Options{Tag: "i"}, 1)
	check()

	_, err = s.Untag(ctx, layout.Options{Tag: "a"})
	checkError(t, err, image.ErrNotFound, `no tag "a"`, "")
	_, _, err = s.Tag(ctx, layout.Options{Tag: "a"}, "b")
	checkError(t, err, image.ErrNotFound, `no tag "a"`, "")
	_, _, err = s.Tag(ctx, layout.Options{Digest: digest.FromBytes(base)}, "b")
	checkError(t, err, image.ErrCorrupt, "manifest", "")
	if _, _, err = s.Tag(ctx, layout.Options{Digest: one.Digest}, "b c"); err == nil {
		t.Error("an odd tag")
	}
	check()
}

// One image for several platforms in as many entries has one tag, which all lose
// together.
func TestUntagPlatforms(t *testing.T) {
	s := imagetest.Store{}
	dir := writeDir(t, s.Layout(imagetest.Tagged(s.Image(here, base), "1"), imagetest.Tagged(s.Image("linux/mips", top), "1")))
	store := createStore(t, dir)
	_, _, err := store.Tag(ctx, layout.Options{Tag: "1"}, "2")
	checkError(t, err, image.ErrNotFound, "as many entries", "flatten images")
	if gone, err := store.Untag(ctx, layout.Options{Tag: "1"}); err != nil || len(gone) != 2 {
		t.Errorf("%v, %v", gone, err)
	}
}
