// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package layout_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/image/imagetest"
	"github.com/seed-81b0d42e/flatten/pkg/layout"
)

var (
	base = imagetest.Layer("etc/", "etc/motd=hello")
	top  = imagetest.Layer("etc/motd=world")
	here = image.FormatPlatform(image.DefaultPlatform())
	ctx  = context.Background()
)

func mapFS(files map[string][]byte) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, b := range files {
		fsys[name] = &fstest.MapFile{Data: b, Mode: 0o644}
	}
	return fsys
}

// writeDir writes files below a new directory.
func writeDir(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, b := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// checkLayers reads the layers and compares them.
func checkLayers(t *testing.T, img *image.Image, want ...[]byte) {
	t.Helper()
	if len(img.Layers) != len(want) {
		t.Fatalf("%d layers, want %d", len(img.Layers), len(want))
	}
	for i, l := range img.Layers {
		b, err := l.Open(ctx)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
		if err != nil || string(got) != string(want[i]) || b.Size() != l.Size {
			t.Errorf("layer %d: %d bytes, %v", i, len(got), err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

func checkError(t *testing.T, err, kind error, text, hint string) {
	t.Helper()
	if !errors.Is(err, kind) || !strings.Contains(fmt.Sprint(err), text) || !strings.Contains(image.Hint(err), hint) || strings.ContainsAny(fmt.Sprint(err), "\n\x1b") {
		t.Errorf("error %v (hint %q); want %q (hint %q)", err, image.Hint(err), text, hint)
	}
}

func TestOpenDir(t *testing.T) {
	s := imagetest.Store{}
	d := imagetest.Tagged(s.Image(here, base, top, base), "1.0")
	files := s.Layout(d)
	files["README"], files["blobs/sha256/odd"], files["blobs/md5/x/y"] = []byte("hi"), nil, nil
	dir := writeDir(t, files)
	img, err := layout.OpenDir(ctx, dir, layout.Options{Tag: "1.0"})
	if err != nil {
		t.Fatal(err)
	}
	if img.Reference != "oci:"+dir+":1.0" || img.Digest != d.Digest || !slices.Equal(img.Tags, []string{"1.0"}) {
		t.Errorf("%s %s %s", img.Reference, img.Digest, img.Tags)
	}
	checkLayers(t, img, base, top, base)
	if err := img.Close(); err != nil {
		t.Error(err)
	}
	if _, err := img.Layers[0].Open(ctx); err == nil {
		t.Error("a layer opens after the image was closed")
	}
}

func TestOpenLayerCancelled(t *testing.T) {
	s := imagetest.Store{}
	img, err := layout.Open(ctx, mapFS(s.Layout(s.Image(here, base))), layout.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := img.Layers[0].Open(cancelled); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := layout.Open(cancelled, mapFS(s.Layout(s.Image(here, base))), layout.Options{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Rule 163: which image is meant.
func TestChoose(t *testing.T) {
	s := imagetest.Store{}
	one, two := s.Image(here, base), s.Image(here, top)
	mips, arm := s.Image("linux/mips", base), s.Image("linux/arm/v5", top)
	bare := func(d v1.Descriptor) v1.Descriptor { d.Platform = nil; return d }
	tag := imagetest.Tagged
	named := func(d v1.Descriptor, name, ref string) v1.Descriptor {
		d.Annotations = map[string]string{"io.containerd.image.name": name, v1.AnnotationRefName: ref}
		return d
	}
	multi := s.Index(mips, one)
	nested := s.Index(s.Index(two), mips)
	attestation := imagetest.Attestation(s.JSON(v1.MediaTypeImageManifest, v1.Manifest{Config: v1.DescriptorEmptyJSON}))
	signature := one
	signature.ArtifactType = "application/vnd.example.signature"
	helm := s.Manifest(here, nil, func(m *v1.Manifest, _ *v1.Image) { m.Config.MediaType = "application/vnd.cncf.helm.config.v1+json" })
	for _, tc := range []struct {
		name     string
		entries  []v1.Descriptor
		opt      layout.Options
		platform string
		want     digest.Digest
		err      error
		text     string
		hint     string
	}{
		{name: "only", entries: []v1.Descriptor{bare(one)}, want: one.Digest},
		{name: "only-tagged", entries: []v1.Descriptor{tag(one, "1")}, want: one.Digest},
		{name: "by-tag", entries: []v1.Descriptor{tag(one, "1"), tag(two, "2")}, opt: layout.Options{Tag: "2"}, want: two.Digest},
		{name: "by-digest", entries: []v1.Descriptor{tag(one, "1"), two}, opt: layout.Options{Digest: two.Digest}, want: two.Digest},
		{name: "by-digest-not-listed", entries: []v1.Descriptor{multi}, opt: layout.Options{Digest: one.Digest}, want: one.Digest},
		{name: "by-digest-of-index", entries: []v1.Descriptor{multi, two}, opt: layout.Options{Digest: multi.Digest}, want: one.Digest},
		{name: "by-digest-absent", entries: []v1.Descriptor{one}, opt: layout.Options{Digest: digest.FromString("x")}, err: image.ErrNotFound, text: string(one.Digest), hint: "oci:.@" + string(one.Digest)},
		{name: "by-digest-a-layer", entries: []v1.Descriptor{one}, opt: layout.Options{Digest: digest.FromBytes(base)}, err: image.ErrCorrupt, text: "not a manifest"},
		{name: "by-digest-malformed", entries: []v1.Descriptor{one}, opt: layout.Options{Digest: "sha256:../../x"}, err: image.ErrCorrupt, text: "malformed"},
		{name: "by-tag-absent", entries: []v1.Descriptor{tag(one, "1"), two}, opt: layout.Options{Tag: "3"}, err: image.ErrNotFound, text: `no tag "3": there is "1" ` + here + ", " + string(two.Digest), hint: "oci:.:1"},
		{name: "by-tag-absent-empty", opt: layout.Options{Tag: "3"}, err: image.ErrNotFound, text: "there are no images"},
		{name: "empty", err: image.ErrNotFound, text: "no images"},
		{name: "two-untagged", entries: []v1.Descriptor{bare(one), bare(two)}, err: image.ErrNotFound, text: "2 images", hint: "oci:.@" + string(one.Digest)},
		{name: "two-tagged", entries: []v1.Descriptor{tag(one, "1"), tag(mips, "2")}, err: image.ErrNotFound, text: `, "2" linux/mips`, hint: "oci:.:1"},
		{name: "two-same-platform", entries: []v1.Descriptor{one, two}, err: image.ErrNotFound, text: "2 images"},
		{name: "same-tag-same-platform", entries: []v1.Descriptor{tag(one, "1"), tag(two, "1")}, opt: layout.Options{Tag: "1"}, err: image.ErrNotFound, text: `tag "1" names 2 images`, hint: "oci:.@" + string(one.Digest)},
		{name: "same-image-twice", entries: []v1.Descriptor{tag(one, "1"), tag(one, "latest")}, want: one.Digest},
		{name: "platforms-untagged", entries: []v1.Descriptor{mips, one, arm}, want: one.Digest},
		{name: "platforms-asked", entries: []v1.Descriptor{mips, one, arm}, platform: "linux/arm/v7", want: arm.Digest},
		{name: "platforms-same-tag", entries: []v1.Descriptor{tag(mips, "1"), tag(one, "1"), tag(arm, "2")}, opt: layout.Options{Tag: "1"}, want: one.Digest},
		{name: "platforms-none", entries: []v1.Descriptor{mips, arm}, platform: "linux/s390x", err: image.ErrNotFound, text: "there is linux/arm/v5, linux/mips"},
		{name: "index", entries: []v1.Descriptor{multi}, want: one.Digest},
		{name: "index-nested", entries: []v1.Descriptor{nested}, want: two.Digest},
		{name: "index-tagged", entries: []v1.Descriptor{tag(multi, "1"), tag(two, "2")}, opt: layout.Options{Tag: "1"}, want: one.Digest},
		{name: "attestation-beside", entries: []v1.Descriptor{attestation, bare(one)}, want: one.Digest},
		{name: "signature-beside", entries: []v1.Descriptor{bare(two), signature}, want: two.Digest},
		{name: "attestation-only", entries: []v1.Descriptor{attestation}, err: image.ErrNotFound, text: "no images"},
		{name: "attestation-by-digest", entries: []v1.Descriptor{attestation}, opt: layout.Options{Digest: attestation.Digest}, err: image.ErrCorrupt, text: "attestation"},
		{name: "helm-by-tag", entries: []v1.Descriptor{tag(helm, "chart")}, opt: layout.Options{Tag: "chart"}, err: image.ErrCorrupt, text: "helm"},
		{name: "containerd-name", entries: []v1.Descriptor{named(one, "docker.io/library/busybox:1", "1"), named(two, "docker.io/library/alpine:1", "1")}, opt: layout.Options{Tag: "alpine:1"}, want: two.Digest},
		{name: "containerd-name-whole", entries: []v1.Descriptor{named(one, "docker.io/library/busybox:latest", "latest"), two}, opt: layout.Options{Tag: "docker.io/library/busybox:latest"}, want: one.Digest},
		{name: "containerd-name-short", entries: []v1.Descriptor{named(one, "docker.io/library/busybox:latest", "latest"), two}, opt: layout.Options{Tag: "busybox"}, want: one.Digest},
		{name: "containerd-same-ref", entries: []v1.Descriptor{named(one, "docker.io/library/busybox:1", "1"), named(two, "docker.io/library/alpine:1", "1")}, opt: layout.Options{Tag: "1"}, err: image.ErrNotFound, text: "2 images", hint: "oci:.:docker.io/library/busybox:1"},
		{name: "hostile-names", entries: []v1.Descriptor{tag(one, "\x1b[2J\n"+strings.Repeat("x", 10000)), {Digest: "sha256:\n\x1b", Platform: &v1.Platform{OS: "\n\x1b", Architecture: "\n"}}}, err: image.ErrNotFound, text: `"\x1b[2J\nxxx`, hint: "oci:.@" + string(one.Digest)},
		{name: "hostile-digest", entries: []v1.Descriptor{tag(v1.Descriptor{Digest: "sha256:\n\x1b"}, "1")}, opt: layout.Options{Tag: "1"}, err: image.ErrCorrupt, text: "malformed digest"},
		{name: "hostile-schema1", entries: []v1.Descriptor{{Digest: "\n", MediaType: "application/vnd.docker.distribution.manifest.v1+json"}}, err: image.ErrCorrupt, text: "malformed digest"},
		{name: "tag-no-reference-could-have", entries: []v1.Descriptor{tag(one, "a b"), two}, err: image.ErrNotFound, hint: "oci:.@" + string(one.Digest)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.platform != "" {
				p, err := image.ParsePlatform(tc.platform)
				if err != nil {
					t.Fatal(err)
				}
				tc.opt.Platform = &p
			}
			img, err := layout.Open(ctx, mapFS(s.Layout(tc.entries...)), tc.opt)
			if tc.err != nil {
				checkError(t, err, tc.err, tc.text, tc.hint)
				return
			}
			if err != nil {
				t.Fatalf("%v (hint %s)", err, image.Hint(err))
			}
			if img.Digest != tc.want || len(img.Warnings) > 0 {
				t.Errorf("got %s with %v, want %s", img.Digest, img.Warnings, tc.want)
			}
		})
	}
}

func TestManyCandidates(t *testing.T) {
	s := imagetest.Store{}
	var all []v1.Descriptor
	for i := range 500 {
		all = append(all, imagetest.Tagged(s.Image(here, imagetest.Layer(fmt.Sprint(i, "="))), fmt.Sprint("v", i)))
	}
	_, err := layout.Open(ctx, mapFS(s.Layout(all...)), layout.Options{Source: "oci:big"})
	checkError(t, err, image.ErrNotFound, "oci:big has 500 images", "oci:big:v0")
	if !strings.HasSuffix(fmt.Sprint(err), "and 480 more") {
		t.Errorf("%v", err)
	}
}

func TestTags(t *testing.T) {
	s := imagetest.Store{}
	one := s.Image(here, base)
	idx := s.Index(one)
	for want, entries := range map[string][]v1.Descriptor{
		"[1 latest]": {imagetest.Tagged(one, "1"), imagetest.Tagged(one, "latest"), one},
		"[multi 1]":  {imagetest.Tagged(idx, "multi"), imagetest.Tagged(one, "1")},
	} {
		img, err := layout.Open(ctx, mapFS(s.Layout(entries...)), layout.Options{Tag: entries[0].Annotations[v1.AnnotationRefName]})
		if err != nil || fmt.Sprint(img.Tags) != want {
			t.Errorf("%v %v, want %s", img, err, want)
		}
	}
}

// What is wrong with a layout's files.
func TestBroken(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(files map[string][]byte)
		text   string
	}{
		{"no-oci-layout", func(f map[string][]byte) { delete(f, "oci-layout") }, "not an OCI image layout: it has no oci-layout"},
		{"oci-layout-not-json", func(f map[string][]byte) { f["oci-layout"] = []byte("x") }, "oci-layout"},
		{"oci-layout-version", func(f map[string][]byte) { f["oci-layout"] = []byte(`{"imageLayoutVersion":"2.0.0"}`) }, `version "2.0.0" is not supported`},
		{"oci-layout-no-version", func(f map[string][]byte) { f["oci-layout"] = []byte(`{}`) }, `version ""`},
		{"oci-layout-huge", func(f map[string][]byte) { f["oci-layout"] = make([]byte, 1<<20) }, "over the limit of 65536"},
		{"no-index", func(f map[string][]byte) { delete(f, "index.json") }, "has no index.json"},
		{"index-not-json", func(f map[string][]byte) { f["index.json"] = []byte("x") }, "index.json"},
		{"index-is-a-manifest", func(f map[string][]byte) { f["index.json"] = []byte(`{"config":{},"layers":[]}`) }, "index.json"},
		{"index-huge", func(f map[string][]byte) { f["index.json"] = make([]byte, image.MaxManifestSize+1) }, "4194305 bytes: a manifest of more than 4194304 bytes"},
		{"index-is-a-directory", func(f map[string][]byte) { delete(f, "index.json"); f["index.json/x"] = nil }, "is a directory"},
		{"163-no-layer", func(f map[string][]byte) { delete(f, "blobs/sha256/"+digest.FromBytes(base).Encoded()) }, "layer 1: blob " + digest.FromBytes(base).String() + " is missing"},
		{"151-layer-longer", func(f map[string][]byte) {
			f["blobs/sha256/"+digest.FromBytes(base).Encoded()] = append(base[:len(base):len(base)], 0)
		}, "instead of"},
		{"163-blob-is-a-directory", func(f map[string][]byte) {
			name := "blobs/sha256/" + digest.FromBytes(base).Encoded()
			delete(f, name)
			f[name+"/x"] = nil
		}, "is a directory where a file belongs"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := imagetest.Store{}
			files := s.Layout(s.Image(here, base))
			tc.change(files)
			_, err := layout.Open(ctx, mapFS(files), layout.Options{})
			checkError(t, err, image.ErrCorrupt, tc.text, "")
			_, err = layout.OpenDir(ctx, writeDir(t, files), layout.Options{})
			checkError(t, err, image.ErrCorrupt, tc.text, "")
		})
	}
	t.Run("163-no-manifest", func(t *testing.T) {
		s := imagetest.Store{}
		d := s.Image(here, base)
		delete(s, d.Digest)
		_, err := layout.Open(ctx, mapFS(s.Layout(d)), layout.Options{})
		checkError(t, err, image.ErrCorrupt, "blob "+string(d.Digest)+" is missing", "--platform")
	})
	t.Run("148-foreign", func(t *testing.T) {
		s := imagetest.Store{}
		d := s.Manifest(here, [][]byte{base}, func(m *v1.Manifest, _ *v1.Image) { m.Layers[0].URLs = []string{"https://example.com/l"} })
		delete(s, digest.FromBytes(base))
		_, err := layout.Open(ctx, mapFS(s.Layout(d)), layout.Options{})
		checkError(t, err, image.ErrCorrupt, "https://example.com/l", "registry")
	})
	t.Run("no-directory", func(t *testing.T) {
		_, err := layout.OpenDir(ctx, filepath.Join(t.TempDir(), "x"), layout.Options{})
		checkError(t, err, image.ErrNotFound, "no such directory", "")
	})
	t.Run("index-null", func(t *testing.T) {
		files := imagetest.Store{}.Layout()
		files["index.json"] = []byte(`{"schemaVersion":2,"manifests":null}`)
		_, err := layout.Open(ctx, mapFS(files), layout.Options{})
		checkError(t, err, image.ErrNotFound, "no images", "")
	})
}

func ExampleOpen() {
	s := imagetest.Store{}
	app := s.Image("linux/amd64", imagetest.Layer("etc/", "etc/motd=hello"), imagetest.Layer("etc/motd=world"))
	fsys := mapFS(s.Layout(imagetest.Tagged(app, "1.0")))

	img, err := layout.Open(context.Background(), fsys, layout.Options{
		Tag:      "1.0",
		Platform: &v1.Platform{OS: "linux", Architecture: "amd64"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(img.Tags, image.FormatPlatform(img.Platform), len(img.Layers), "layers")
	// Output: [1.0] linux/amd64 2 layers
}

// Any index.json ends in an image or in an error of a kind, and nothing outside
// the layout is read.
func FuzzIndex(f *testing.F) {
	s := imagetest.Store{}
	one, two := imagetest.Tagged(s.Image(here, base), "1"), s.Image("linux/mips", top)
	f.Add(s.Layout(one, two)["index.json"], "")
	f.Add(s.Layout(s.Index(one, two))["index.json"], "1")
	f.Add(s.Layout(imagetest.Attestation(one), one)["index.json"], "x")
	f.Add([]byte(`{"manifests":[{"digest":"sha256:../../../../etc/passwd","size":1}]}`), "")
	fsys := mapFS(s.Layout())
	f.Fuzz(func(t *testing.T, index []byte, tag string) {
		fsys["index.json"] = &fstest.MapFile{Data: index}
		img, err := layout.Open(ctx, fsys, layout.Options{Tag: tag})
		if err != nil {
			if !errors.Is(err, image.ErrCorrupt) && !errors.Is(err, image.ErrNotFound) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v", err)
			}
			return
		}
		if img.Digest != one.Digest && img.Digest != two.Digest {
			t.Errorf("found %s", img.Digest)
		}
	})
}
