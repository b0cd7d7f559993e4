// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-81b0d42e/flatten/pkg/image/imagetest"
	"github.com/seed-81b0d42e/flatten/pkg/reference"
	"github.com/seed-81b0d42e/flatten/pkg/source"
)

// write writes files below a folder.
func write(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	for name, b := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// packed is a tar of a folder.
func packed(t *testing.T, dir string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Tags and platforms are found wherever an image may be, but asked of nobody.
func TestPeek(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	s := imagetest.Store{}
	layer := imagetest.Tar("etc/")
	idx := s.Index(s.Image("linux/arm/v7", layer), s.Image("linux/amd64", layer))
	write(t, "layout", s.Layout(imagetest.Tagged(idx, "1"), imagetest.Tagged(s.Image("linux/arm64", layer), "2")))
	write(t, ".", map[string][]byte{"oci.tar": packed(t, "layout"), "text": []byte("hello")})
	var compressed bytes.Buffer
	z := gzip.NewWriter(&compressed)
	z.Write(packed(t, "layout"))
	z.Close()
	write(t, ".", map[string][]byte{"oci.tar.gz": compressed.Bytes()})
	write(t, "saved", map[string][]byte{
		"manifest.json": []byte(`[{"Config":"c.json","RepoTags":["app:1","app:2"],"Layers":[]}]`),
		"c.json":        []byte(`{"os":"linux","architecture":"arm64","variant":"v8","rootfs":{"type":"layers","diff_ids":[]}}`),
	})
	write(t, ".", map[string][]byte{"docker.tar": packed(t, "saved")})

	for _, test := range []struct {
		text      string
		atHand    bool
		tags      string
		platforms string // of tag 1
	}{
		{"oci:layout", true, "1 2", "linux/amd64 linux/arm/v7"},
		{"./layout", true, "1 2", ""},
		{"oci-archive:oci.tar", true, "1 2", "linux/amd64 linux/arm/v7"},
		{"oci-archive:oci.tar.gz", false, "1 2", "linux/amd64 linux/arm/v7"},
		{"docker-archive:docker.tar", true, "app:1 app:2", "linux/arm64"},
		{"./docker.tar", true, "app:1 app:2", "linux/arm64"},
		{"./text", false, "", ""},
		{"oci:nowhere", false, "", ""},
		{"-", false, "", ""},
		{"docker://127.0.0.1:1/app", false, "", ""},
	} {
		ref, err := reference.Parse(test.text)
		if err != nil {
			t.Fatal(err)
		}
		if got := source.AtHand(ref); got != test.atHand {
			t.Errorf("%s: at hand is %v", test.text, got)
		}
		tags, err := source.Tags(context.Background(), ref)
		if got := strings.Join(tags, " "); got != test.tags {
			t.Errorf("%s: tags %q, %v; want %q", test.text, got, err, test.tags)
		}
		if test.platforms == "" {
			continue
		}
		if ref.Kind != reference.Path {
			ref.Tag = tags[0]
		}
		platforms, err := source.Platforms(context.Background(), ref, source.Options{})
		if got := strings.Join(platforms, " "); got != test.platforms {
			t.Errorf("%s: platforms %q, %v; want %q", test.text, got, err, test.platforms)
		}
	}
}
