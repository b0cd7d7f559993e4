// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package archive_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/pkg/archive"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/image/imagetest"
	"github.com/seed-81b0d42e/flatten/pkg/layout"
	"github.com/seed-81b0d42e/flatten/pkg/reference"
)

func mapFS(files map[string][]byte) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, b := range files {
		fsys[name] = &fstest.MapFile{Data: b, Mode: 0o644}
	}
	return fsys
}

// madeLayout is the layout that a root's documents and blobs add up to.
func madeLayout(t *testing.T, root *image.Root) map[string][]byte {
	t.Helper()
	c, err := image.ReadContents(ctx, root.Descriptor, root.Document, image.Limits{}, root.Fetch)
	if err != nil {
		t.Fatal(err)
	}
	s := imagetest.Store{}
	for _, d := range c.Documents {
		s[d.Digest] = d.Raw
	}
	for _, d := range c.Blobs {
		var whole, rest bytes.Buffer
		if err := root.Copy(ctx, d, 0, &whole); err != nil {
			t.Fatal(err)
		}
		if err := root.Copy(ctx, d, d.Size/2, &rest); err != nil || !bytes.HasSuffix(whole.Bytes(), rest.Bytes()) {
			t.Errorf("%s from the middle: %v", d.Digest, err)
		}
		if err := image.Verify(d, whole.Bytes()); err != nil {
			t.Error(err)
		}
		s[d.Digest] = whole.Bytes()
	}
	d := c.Root().Descriptor
	d.Annotations = map[string]string{v1.AnnotationRefName: "made"}
	return s.Layout(d)
}

// The manifest that is made for an image says of each layer how it is stored, and
// is the same whatever the members are called.
func TestDockerRoot(t *testing.T) {
	c := config(here, base, top, base)
	gz, zst := imagetest.Gzip(base), zstdOf(top)
	tags := []string{"other:2", "registry.example/app:1"}
	for _, tc := range []struct {
		name   string
		b      []byte
		layers []string // media type's end and the size
	}{
		{"plain", tarOf(file("a", base), file("b", top), c, manifest(saved{c.name, tags, []string{"a", "b", "a"}})),
			[]string{fmt.Sprint("tar ", len(base)), fmt.Sprint("tar ", len(top)), fmt.Sprint("tar ", len(base))}},
		{"compressed", tarOf(file("a", gz), file("b", zst), file("c", base), c, manifest(saved{c.name, tags, []string{"a", "b", "c"}})),
			[]string{fmt.Sprint("tar+gzip ", len(gz)), fmt.Sprint("tar+zstd ", len(zst)), fmt.Sprint("tar ", len(base))}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root, err := archive.OpenRoot(ctx, write(t, tc.b), reference.Path, archive.Options{Tag: "registry.example/app:1"})
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			if root.Tag != "1" || root.Name != "registry.example/app:1" {
				t.Errorf("called %q, %q", root.Tag, root.Name)
			}
			files := madeLayout(t, root)
			img, err := layout.Open(ctx, mapFS(files), layout.Options{Tag: "made"})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, l := range img.Layers {
				got = append(got, fmt.Sprint(strings.TrimPrefix(l.MediaType, "application/vnd.oci.image.layer.v1."), " ", l.Size))
			}
			if fmt.Sprint(got) != fmt.Sprint(tc.layers) || img.ConfigDigest != digest.FromBytes(c.body) {
				t.Errorf("layers %v, want %v; configuration %s", got, tc.layers, img.ConfigDigest)
			}
		})
	}
	t.Run("deterministic", func(t *testing.T) {
		var documents []string
		for _, b := range [][]byte{
			tarOf(file("a", base), file("b", top), c, manifest(saved{c.name, nil, []string{"a", "b", "a"}})),
			tarOf(manifest(saved{"c.json", tags, []string{"x/layer.tar", "y/layer.tar", "z/layer.tar"}}),
				file("c.json", c.body), file("z/layer.tar", base), file("y/layer.tar", top), symlink("x/layer.tar", "../z/layer.tar")),
		} {
			root, err := archive.OpenRoot(ctx, write(t, b), reference.DockerArchive, archive.Options{})
			if err != nil {
				t.Fatal(err)
			}
			documents = append(documents, string(root.Document))
			root.Close()
		}
		if documents[0] != documents[1] {
			t.Errorf("made %s and %s", documents[0], documents[1])
		}
	})
}

func TestDockerRootErrors(t *testing.T) {
	c := config(here, base)
	for name, tc := range map[string]struct {
		layer []byte
		text  string
	}{
		"151-diffid":    {imagetest.Gzip(top), "layer 1: the tar has diffID " + string(digest.FromBytes(top))},
		"gzip-cut":      {imagetest.Gzip(base)[:50], "layer 1: decompressing"},
		"zstd-cut":      {zstdOf(base)[:20], "layer 1: decompressing"},
		"gzip-no-more":  {[]byte("\x1f\x8b"), "layer 1: decompressing"},
		"gzip-not-gzip": {[]byte("\x1f\x8b" + strings.Repeat("x", 600)), "layer 1: decompressing"},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, tarOf(file("a", tc.layer), c, manifest(saved{c.name, nil, []string{"a"}})))
			_, err := archive.OpenRoot(ctx, path, reference.DockerArchive, archive.Options{})
			checkError(t, err, image.ErrCorrupt, tc.text, "")
		})
	}
	path := write(t, tarOf(file("a", base), c, manifest(saved{c.name, nil, []string{"a"}})))
	_, err := archive.OpenRoot(ctx, path, reference.OCIArchive, archive.Options{})
	checkError(t, err, image.ErrCorrupt, "a docker-archive, not an oci-archive", "docker-archive:")
}

// Roots are found wherever images are.
func TestOpenRoot(t *testing.T) {
	s := imagetest.Store{}
	app := imagetest.Tagged(s.Index(s.Image("linux/mips", imagetest.Gzip(base))), "1")
	files := s.Layout(app)
	b := tarOf(members(files)...)
	path := write(t, b)
	for name, open := range map[string]func() (*image.Root, error){
		"oci-archive": func() (*image.Root, error) {
			return archive.OpenRoot(ctx, path, reference.OCIArchive, archive.Options{})
		},
		"path":   func() (*image.Root, error) { return archive.OpenRoot(ctx, path, reference.Path, archive.Options{}) },
		"stream": func() (*image.Root, error) { return archive.OpenRootStream(ctx, bytes.NewReader(b), archive.Options{}) },
		"directory": func() (*image.Root, error) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, mapFS(files)); err != nil {
				t.Fatal(err)
			}
			return archive.OpenRoot(ctx, dir, reference.Path, archive.Options{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			root, err := open()
			if err != nil {
				t.Fatal(err)
			}
			if root.Descriptor.Digest != app.Digest || root.Tag != "1" {
				t.Errorf("found %v, %q", root.Descriptor, root.Tag)
			}
			if got := madeLayout(t, root); len(got) != len(files) {
				t.Errorf("%d files, want %d", len(got), len(files))
			}
			if err := root.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
