// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package archive_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/pkg/archive"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/image/imagetest"
)

var (
	base = imagetest.Tar("etc/", "etc/motd=hello")
	top  = imagetest.Tar("etc/motd=world")
	here = image.FormatPlatform(image.DefaultPlatform())
	ctx  = context.Background()
)

// member is one member of an archive made by hand.
type member struct {
	name string
	body []byte
	link string // of a symbolic link, or with hard of a hard one
	hard bool
}

func file(name string, body []byte) member { return member{name: name, body: body} }
func symlink(name, target string) member   { return member{name: name, link: target} }
func hardlink(name, target string) member  { return member{name: name, link: target, hard: true} }
func members(files map[string][]byte) []member {
	var all []member
	for name, body := range files {
		all = append(all, file(name, body))
	}
	sort.Slice(all, func(i, j int) bool { return all[i].name < all[j].name })
	return all
}

// tarOf writes an archive.
func tarOf(all ...member) []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, m := range all {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: m.name, Size: int64(len(m.body)), Mode: 0o644}
		switch {
		case m.hard:
			h.Typeflag, h.Linkname = tar.TypeLink, m.link
		case m.link != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, m.link
		case strings.HasSuffix(m.name, "/"):
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			panic(err)
		}
		if _, err := w.Write(m.body); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

type saved struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func manifest(all ...saved) member {
	b, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return file("manifest.json", b)
}

// config is a configuration for plain layers, as a member called by its digest.
func config(platform string, layers ...[]byte) member {
	b, err := json.Marshal(imagetest.Config(platform, layers...))
	if err != nil {
		panic(err)
	}
	return file(digest.FromBytes(b).Encoded()+".json", b)
}

func write(t *testing.T, b []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "x.tar")
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func zstdOf(b []byte) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return w.EncodeAll(b, nil)
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
			t.Errorf("layer %d: %d bytes, %v; want %d", i, len(got), err, len(want[i]))
		}
		if l.Digest != "" && l.Digest != digest.FromBytes(got) {
			t.Errorf("layer %d: digest %s", i, l.Digest)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

func closeImage(t *testing.T, img *image.Image) {
	t.Helper()
	if err := img.Close(); err != nil {
		t.Error(err)
	}
}

func checkError(t *testing.T, err, kind error, text, hint string) {
	t.Helper()
	if !errors.Is(err, kind) || !strings.Contains(fmt.Sprint(err), text) || !strings.Contains(image.Hint(err), hint) || strings.ContainsAny(fmt.Sprint(err), "\n\x1b") {
		t.Errorf("error %v (hint %q); want %q (hint %q)", err, image.Hint(err), text, hint)
	}
}

// Rule 162: what the layers may be called, and rule 150: layers that are links to
// one another.
func TestDockerForms(t *testing.T) {
	c := config(here, base, top, base)
	sha := func(b []byte) string { return digest.FromBytes(b).Encoded() }
	blobConfig := file("blobs/sha256/"+sha(c.body), c.body)
	for _, tc := range []struct {
		name    string
		config  member
		layers  []string
		members []member
	}{
		{"id-layer-tar", c, []string{"1/layer.tar", "2/layer.tar", "3/layer.tar"}, []member{
			file("1/", nil), file("1/VERSION", []byte("1.0")), file("1/layer.tar", base), file("2/layer.tar", top), symlink("3/layer.tar", "../1/layer.tar"),
		}},
		{"sha-tar", c, []string{sha(base) + ".tar", sha(top) + ".tar", sha(base) + ".tar"}, []member{
			file(sha(top)+".tar", top), file(sha(base)+".tar", base), symlink("1/layer.tar", "../"+sha(base)+".tar"),
		}},
		{"blobs-sha256", blobConfig, []string{"blobs/sha256/" + sha(base), "blobs/sha256/" + sha(top), "blobs/sha256/" + sha(base)}, []member{
			file("blobs/", nil), file("blobs/sha256/", nil), file("blobs/sha256/"+sha(base), base), file("blobs/sha256/"+sha(top), top),
		}},
		{"dot-slash", c, []string{"./a", "b//c", "d/../a"}, []member{file("./a", base), file("./b/c", top)}},
		{"hard-links", c, []string{"a", "b", "c"}, []member{file("a", base), file("b", top), hardlink("c", "./a")}},
		{"hard-link-to-symlink", c, []string{"a", "b", "d/c"}, []member{file("d/a", base), file("b", top), symlink("a", "d/a"), symlink("l", "a"), hardlink("d/c", "l")}},
		{"chain-of-links", c, []string{"a", "b", "x/y/z"}, []member{file("a", base), file("b", top), symlink("x", "q/w"), symlink("q/w/y", "../../e"), symlink("e/z", "../r"), symlink("r", "./a")}},
		{"last-of-a-name", c, []string{"a", "b", "a"}, []member{file("a", top), file("b", top), file("a", base)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			all := append(tc.members, tc.config, manifest(saved{tc.config.name, []string{"app:1"}, tc.layers}))
			name := write(t, tarOf(all...))
			img, err := archive.OpenDocker(ctx, name, archive.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer closeImage(t, img)
			checkLayers(t, img, base, top, base)
			if (img.Layers[0].Digest != "") != (tc.name == "blobs-sha256") {
				t.Errorf("digest %q", img.Layers[0].Digest)
			}
			if img.Layers[1].DiffID != digest.FromBytes(top) || img.ConfigDigest != digest.FromBytes(c.body) || string(img.RawConfig) != string(c.body) {
				t.Errorf("diffID %s, config %s", img.Layers[1].DiffID, img.ConfigDigest)
			}
			if img.Reference != "docker-archive:"+name || img.Digest != "" || img.Manifest != nil || !slices.Equal(img.Tags, []string{"app:1"}) || len(img.Warnings) > 0 {
				t.Errorf("%s %s, tags %s, warnings %v", img.Reference, img.Digest, img.Tags, img.Warnings)
			}
			if got := image.FormatPlatform(img.Platform); got != here {
				t.Error(got)
			}
		})
	}
}

// Several images in one file.
func TestDockerChoose(t *testing.T) {
	one, two := config(here, base), config("linux/mips", top)
	id := func(m member) string { return digest.FromBytes(m.body).String() }
	all := []member{file("a", base), file("b", top), one, two}
	app := saved{one.name, []string{"app:1", "registry.example/app:2"}, []string{"a"}}
	other := saved{two.name, []string{"docker.io/library/other:latest"}, []string{"b"}}
	untagged := saved{two.name, nil, []string{"b"}}
	badTag := saved{one.name, []string{"a b"}, []string{"a"}}
	const mips = "linux/mips"
	for _, tc := range []struct {
		name     string
		images   []saved
		opt      archive.Options
		platform string
		want     string // ID
		err      error
		text     string
		hint     string
	}{
		{name: "only", images: []saved{app}, want: id(one)},
		{name: "by-tag", images: []saved{app, other}, opt: archive.Options{Tag: "app:1"}, want: id(one)},
		{name: "by-second-tag", images: []saved{app, other}, opt: archive.Options{Tag: "registry.example/app:2"}, want: id(one)},
		{name: "by-short-tag", images: []saved{app, other}, opt: archive.Options{Tag: "other"}, platform: mips, want: id(two)},
		{name: "by-whole-tag", images: []saved{app, other}, opt: archive.Options{Tag: "docker.io/library/app:1"}, want: id(one)},
		{name: "by-id", images: []saved{app, untagged}, opt: archive.Options{Digest: digest.Digest(id(two))}, platform: mips, want: id(two)},
		{name: "by-id-absent", images: []saved{app}, opt: archive.Options{Digest: digest.FromString("x")}, err: image.ErrNotFound, text: "has 1 image and no image has ID", hint: "x.tar:app:1"},
		{name: "by-tag-absent", images: []saved{app, other}, opt: archive.Options{Tag: "app:3"}, err: image.ErrNotFound, text: `no image has tag "app:3": there is ["app:1" "registry.example/app:2"] ` + id(one), hint: "x.tar:app:1"},
		{name: "several", images: []saved{other, app}, err: image.ErrNotFound, text: "has 2 images and none is named", hint: "x.tar:docker.io/library/other:latest"},
		{name: "several-untagged", images: []saved{untagged, app}, err: image.ErrNotFound, text: id(two), hint: "x.tar@" + id(two)},
		{name: "several-odd-tag", images: []saved{badTag, other}, err: image.ErrNotFound, text: "a b", hint: "x.tar@" + id(one)},
		{name: "tag-of-two", images: []saved{app, {two.name, app.RepoTags, []string{"b"}}}, opt: archive.Options{Tag: "app:1"}, err: image.ErrNotFound, text: "names all of them", hint: "x.tar@" + id(one)},
		{name: "listed-twice", images: []saved{app, {one.name, []string{"app:9", "app:1"}, []string{"a"}}}, opt: archive.Options{Tag: "app:9"}, want: id(one)},
		{name: "none", err: image.ErrNotFound, text: "no images"},
		{name: "160-other-arch-asked", images: []saved{other}, platform: here, err: image.ErrNotFound, text: "there is linux/mips"},
		{name: "160-arch-asked", images: []saved{other}, platform: mips, want: id(two)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.platform != "" {
				p, err := image.ParsePlatform(tc.platform)
				if err != nil {
					t.Fatal(err)
				}
				tc.opt.Platform = &p
			}
			name := write(t, tarOf(append(all, manifest(tc.images...))...))
			img, err := archive.OpenDocker(ctx, name, tc.opt)
			if tc.err != nil {
				checkError(t, err, tc.err, tc.text, tc.hint)
				return
			}
			if err != nil {
				t.Fatalf("%v (hint %s)", err, image.Hint(err))
			}
			defer closeImage(t, img)
			if string(img.ConfigDigest) != tc.want || len(img.Warnings) > 0 {
				t.Errorf("got %s, %v", img.ConfigDigest, img.Warnings)
			}
		})
	}
	t.Run("160-other-arch", func(t *testing.T) {
		img, err := archive.OpenDocker(ctx, write(t, tarOf(append(all, manifest(other))...)), archive.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer closeImage(t, img)
		if len(img.Warnings) != 1 || img.Warnings[0].Rule != 160 {
			t.Error(img.Warnings)
		}
	})
}

// What is wrong with a docker-archive.
func TestDockerBroken(t *testing.T) {
	c := config(here, base)
	ok := saved{c.name, []string{"app:1"}, []string{"a"}}
	a := file("a", base)
	const zeros = "0000000000000000000000000000000000000000000000000000000000000000"
	for _, tc := range []struct {
		name string
		all  []member
		kind error
		text string
		hint string
	}{
		{"no-manifest", []member{a, c}, image.ErrCorrupt, "neither oci-layout and index.json nor manifest.json", ""},
		{"manifest-not-json", []member{a, c, file("manifest.json", []byte("x"))}, image.ErrCorrupt, "manifest.json", ""},
		{"manifest-object", []member{a, c, file("manifest.json", []byte("{}"))}, image.ErrCorrupt, "manifest.json", ""},
		{"manifest-null", []member{a, c, file("manifest.json", []byte("null"))}, image.ErrNotFound, "no images", ""},
		{"manifest-of-null", []member{a, c, file("manifest.json", []byte("[null]"))}, image.ErrCorrupt, "names no configuration", ""},
		{"manifest-deep", []member{a, c, file("manifest.json", []byte(strings.Repeat("[", 100000)))}, image.ErrCorrupt, "manifest.json", ""},
		{"manifest-huge", []member{a, c, file("manifest.json", make([]byte, image.MaxManifestSize+1))}, image.ErrCorrupt, "a manifest of more than 4194304 bytes", ""},
		{"config-huge", []member{a, file("c", make([]byte, image.MaxConfigSize+1)), manifest(saved{"c", nil, []string{"a"}})}, image.ErrCorrupt, "a configuration of more than 8388608 bytes", ""},
		{"config-missing", []member{a, manifest(ok)}, image.ErrCorrupt, c.name + `" is not in the archive`, ""},
		{"config-not-json", []member{a, file(c.name, []byte("x")), manifest(ok)}, image.ErrCorrupt, "not an image configuration", ""},
		{"151-config-changed", []member{a, file("blobs/sha256/"+zeros, c.body), manifest(saved{"blobs/sha256/" + zeros, nil, []string{"a"}})}, image.ErrCorrupt, "the bytes have digest", ""},
		{"152-layer-missing", []member{a, c, manifest(saved{c.name, nil, nil})}, image.ErrCorrupt, "0 layers", ""},
		{"152-layer-too-many", []member{a, c, manifest(saved{c.name, nil, []string{"a", "a"}})}, image.ErrCorrupt, "2 layers", ""},
		{"layer-absent", []member{c, manifest(ok)}, image.ErrCorrupt, `layer 1: member "a" is not in the archive`, ""},
		{"layer-a-directory", []member{file("a/", nil), file("a/x", nil), c, manifest(ok)}, image.ErrCorrupt, `"a" is not in the archive`, ""},
		{"layer-outside", []member{a, c, manifest(saved{c.name, nil, []string{"../../etc/passwd"}})}, image.ErrCorrupt, `"../../etc/passwd": leads outside`, ""},
		{"layer-absolute", []member{a, c, manifest(saved{c.name, nil, []string{"/etc/passwd"}})}, image.ErrCorrupt, `"/etc/passwd": leads outside`, ""},
		{"config-outside", []member{a, c, manifest(saved{"../etc/passwd", nil, []string{"a"}})}, image.ErrCorrupt, "leads outside", ""},
		{"link-outside", []member{symlink("a", "../etc/passwd"), c, manifest(ok)}, image.ErrCorrupt, "leads outside", ""},
		{"link-absolute", []member{symlink("a", "/etc/passwd"), c, manifest(ok)}, image.ErrCorrupt, "leads outside", ""},
		{"link-circle", []member{symlink("a", "b"), symlink("b", "a"), c, manifest(ok)}, image.ErrCorrupt, "more than 40 symbolic links", ""},
		{"link-to-itself-below", []member{symlink("a", "a/a/a/a"), c, manifest(ok)}, image.ErrCorrupt, "more than 40 symbolic links", ""},
		{"link-dangling", []member{symlink("a", "b"), c, manifest(ok)}, image.ErrCorrupt, "not in the archive", ""},
		{"hard-link-forward", []member{hardlink("a", "b"), file("b", base), c, manifest(ok)}, image.ErrCorrupt, "not before it", ""},
		{"climbing-member", []member{file("../a", base), c, manifest(ok)}, image.ErrCorrupt, `"a" is not in the archive`, ""},
		{"long-name", []member{a, c, manifest(saved{c.name, nil, []string{strings.Repeat("x", 2000)}})}, image.ErrCorrupt, "more than 1024 bytes", ""},
		{"many-parts", []member{a, c, manifest(saved{c.name, nil, []string{strings.Repeat("./", 200) + "a"}})}, image.ErrCorrupt, "128 parts", ""},
		{"many-images", []member{a, c, file("manifest.json", []byte("[{}"+strings.Repeat(",{}", 20000)+"]"))}, image.ErrCorrupt, "over the limit of 16384", ""},
		{"control-characters", []member{a, c, manifest(saved{c.name, nil, []string{"\n\x1b"}})}, image.ErrCorrupt, `"\n\x1b"`, ""},
		{"docker-1.9", []member{a, file("repositories", []byte("{}"))}, image.ErrCorrupt, "Docker before 1.10", "save it again"},
		{"oci-archive", members(imagetest.Store{}.Layout()), image.ErrCorrupt, "an oci-archive, not a docker-archive", "oci-archive:"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := archive.OpenDocker(ctx, write(t, tarOf(tc.all...)), archive.Options{})
			checkError(t, err, tc.kind, tc.text, tc.hint)
		})
	}
	t.Run("151-config-misnamed", func(t *testing.T) {
		img, err := archive.OpenDocker(ctx, write(t, tarOf(a, file(zeros+".json", c.body), manifest(saved{zeros + ".json", nil, []string{"a"}}))), archive.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer closeImage(t, img)
		if len(img.Warnings) != 1 || img.Warnings[0].Rule != 151 {
			t.Error(img.Warnings)
		}
	})
}

func TestOCI(t *testing.T) {
	s := imagetest.Store{}
	one := imagetest.Tagged(s.Image(here, base, top), "1.0")
	two := imagetest.Tagged(s.Image("linux/mips", top), "2.0")
	name := write(t, tarOf(members(s.Layout(one, two))...))
	img, err := archive.OpenOCI(ctx, name, archive.Options{Tag: "1.0"})
	if err != nil {
		t.Fatal(err)
	}
	checkLayers(t, img, base, top)
	if img.Reference != "oci-archive:"+name+":1.0" || img.Digest != one.Digest || !slices.Equal(img.Tags, []string{"1.0"}) {
		t.Errorf("%s %s, tags %s", img.Reference, img.Digest, img.Tags)
	}
	closeImage(t, img)
	b, err := img.Layers[0].Open(ctx)
	if err == nil {
		_, err = b.ReadAt(make([]byte, 1), 0)
	}
	if !errors.Is(err, os.ErrClosed) {
		t.Errorf("after closing: %v", err)
	}
	_, err = archive.OpenOCI(ctx, name, archive.Options{})
	checkError(t, err, image.ErrNotFound, `, "2.0" linux/mips`, "oci-archive:"+name+":1.0")
	_, err = archive.OpenOCI(ctx, name, archive.Options{Tag: "3"})
	checkError(t, err, image.ErrNotFound, `no tag "3"`, "")
	_, err = archive.OpenOCI(ctx, write(t, tarOf(manifest())), archive.Options{})
	checkError(t, err, image.ErrCorrupt, "a docker-archive, not an oci-archive", "docker-archive:")
	_, err = archive.OpenOCI(ctx, name+"x", archive.Options{})
	checkError(t, err, image.ErrNotFound, "no such file", "")
}

// Blobs of an oci-archive that are links, and ones that lead outside (163).
func TestOCILinks(t *testing.T) {
	s := imagetest.Store{}
	d := s.Image(here, base)
	files := s.Layout(d)
	layer := "blobs/sha256/" + digest.FromBytes(base).Encoded()
	delete(files, layer)
	rest := members(files)
	for link, text := range map[string]string{
		"../../rootfs/layer.tar": "",
		"/rootfs/layer.tar":      "leads outside",
		"../../../etc/passwd":    "leads outside",
		"nowhere":                "missing",
		filepath.Base(layer):     "symbolic links",
	} {
		name := write(t, tarOf(append(rest, file("rootfs/layer.tar", base), symlink(layer, link))...))
		img, err := archive.OpenOCI(ctx, name, archive.Options{})
		if text != "" {
			checkError(t, err, image.ErrCorrupt, text, "")
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		checkLayers(t, img, base)
		closeImage(t, img)
	}
}

// both is an archive as Docker since 25 writes it: a layout and a docker-archive.
func both() (b []byte, manifestDigest digest.Digest) {
	s := imagetest.Store{}
	d := s.Image(here, base)
	d.Annotations = map[string]string{"io.containerd.image.name": "docker.io/library/app:1", v1.AnnotationRefName: "1"}
	var m v1.Manifest
	if err := json.Unmarshal(s[d.Digest], &m); err != nil {
		panic(err)
	}
	entry := saved{"blobs/sha256/" + m.Config.Digest.Encoded(), []string{"app:1"}, []string{"blobs/sha256/" + m.Layers[0].Digest.Encoded()}}
	return tarOf(append(members(s.Layout(d)), manifest(entry))...), d.Digest
}

func TestOpenBoth(t *testing.T) {
	b, want := both()
	name := write(t, b)
	img, err := archive.Open(ctx, name, archive.Options{Tag: "app:1"})
	if err != nil {
		t.Fatal(err)
	}
	if img.Digest != want || img.Reference != "oci-archive:"+name+":app:1" {
		t.Errorf("%s %s", img.Digest, img.Reference)
	}
	checkLayers(t, img, base)
	closeImage(t, img)
	img, err = archive.OpenDocker(ctx, name, archive.Options{Tag: "app:1"})
	if err != nil {
		t.Fatal(err)
	}
	if img.Digest != "" || img.Layers[0].Digest != digest.FromBytes(base) {
		t.Errorf("%s %s, tags %s", img.Reference, img.Digest, img.Tags)
	}
	checkLayers(t, img, base)
	closeImage(t, img)
}
