// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestMedian(t *testing.T) {
	got := median([]sample{{Wall: 3, CPU: 1}, {Wall: 1, CPU: 9}, {Wall: 2, CPU: 5}, {Wall: 10, CPU: 5}})
	if want := (sample{Wall: 2.5, CPU: 5}); got != want {
		t.Errorf("median = %+v, want %+v", got, want)
	}
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	writeTable(&out, table([]*row{
		{name: "a | b", samples: []sample{{Wall: 10, CPU: 8}}, differs: "judge"},
		{name: "gone", missing: "not installed"},
		{name: "flatten", samples: []sample{{Wall: 1, CPU: 2}}, differs: "same"},
	}), true)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines, want heads, a rule and two rows:\n%s", len(lines), &out)
	}
	for _, want := range []string{`a \| b`, " 1.0x "} {
		if !strings.Contains(lines[2], want) {
			t.Errorf("line %q lacks %q", lines[2], want)
		}
	}
	for _, want := range []string{" 10.0x ", " 4.0x "} {
		if !strings.Contains(lines[3], want) {
			t.Errorf("line %q lacks %q", lines[3], want)
		}
	}
}

// gzipTar is a compressed tar of entries whose content is their name.
func gzipTar(t *testing.T, entries ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	compressor := gzip.NewWriter(&out)
	w := tar.NewWriter(compressor)
	for _, h := range entries {
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(h.Name))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte(h.Name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := compressor.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func contentsOf(t *testing.T, entries ...tar.Header) *contents {
	t.Helper()
	name := filepath.Join(t.TempDir(), "x.tar.gz")
	if err := os.WriteFile(name, gzipTar(t, entries...), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := readContents(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCompareTo(t *testing.T) {
	dir := tar.Header{Typeflag: tar.TypeDir, Name: "d/", Mode: 0o755}
	file := tar.Header{Typeflag: tar.TypeReg, Name: "d/f", Mode: 0o644}
	link := tar.Header{Typeflag: tar.TypeLink, Name: "d/g", Linkname: "d/f"}
	writable := file
	writable.Mode = 0o666
	root := tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o700}
	want := contentsOf(t, dir, file, link)
	for _, c := range []struct {
		entries []tar.Header
		differs string
	}{
		{[]tar.Header{dir, file, link}, "same"},
		{[]tar.Header{root, dir, file, link}, "same"},
		{[]tar.Header{dir, file}, "-1 +0 ~0"},
		{[]tar.Header{dir, writable, link}, "-0 +0 ~2"},
		{[]tar.Header{dir, file, link, {Typeflag: tar.TypeSymlink, Name: "s", Linkname: "d"}}, "-0 +1 ~0"},
	} {
		if got := contentsOf(t, c.entries...).compareTo(want).String(); got != c.differs {
			t.Errorf("%s, want %s", got, c.differs)
		}
	}
}

// testLayout is a layout with an image of one layer that is tagged "a".
func testLayout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
		t.Fatal(err)
	}
	put := func(mediaType string, data []byte) v1.Descriptor {
		d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
		if err := os.WriteFile(blobPath(dir, d.Digest), data, 0o644); err != nil {
			t.Fatal(err)
		}
		return d
	}
	marshal := func(v any) []byte {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	layer := put(v1.MediaTypeImageLayerGzip, gzipTar(t, tar.Header{Typeflag: tar.TypeReg, Name: "f", Mode: 0o644}))
	config := put(v1.MediaTypeImageConfig, marshal(v1.Image{}))
	manifest := put(v1.MediaTypeImageManifest, marshal(v1.Manifest{
		MediaType: v1.MediaTypeImageManifest, Config: config, Layers: []v1.Descriptor{layer},
	}))
	manifest.Annotations = map[string]string{v1.AnnotationRefName: "a"}
	index := marshal(v1.Index{Manifests: []v1.Descriptor{manifest}})
	if err := os.WriteFile(filepath.Join(dir, "index.json"), index, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRecompress(t *testing.T) {
	if _, err := exec.LookPath("gzip"); err != nil {
		t.Skip("gzip is not installed")
	}
	dir := testLayout(t)
	from, err := openImage("oci:" + dir + ":a")
	if err != nil {
		t.Fatal(err)
	}
	to, err := recompress(context.Background(), from, "b", "gzip -1 -n", "gzip")
	if err != nil {
		t.Fatal(err)
	}
	if from.manifest.Layers[0].Digest == to.manifest.Layers[0].Digest {
		t.Error("the layer is the same blob")
	}
	before, err := from.uncompressed(from.manifest.Layers[0])
	if err != nil {
		t.Fatal(err)
	}
	after, err := to.uncompressed(to.manifest.Layers[0])
	if err != nil || before != after {
		t.Errorf("%d bytes became %d, %v", before, after, err)
	}
	if _, err := openImage("oci:" + dir + ":a"); err != nil {
		t.Error("the first image is gone:", err)
	}
}

func TestLayoutRegistry(t *testing.T) {
	dir := testLayout(t)
	img, err := openImage("oci:" + dir + ":a")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(layoutRegistry(dir))
	defer server.Close()
	for path, status := range map[string]int{
		"/v2/":                                 http.StatusOK,
		"/v2/bench/manifests/a":                http.StatusOK,
		"/v2/bench/manifests/b":                http.StatusNotFound,
		"/v2/bench/manifests/../../index.json": http.StatusNotFound,
		"/v2/bench/blobs/sha256:0":             http.StatusBadRequest,
		"/v2/bench/blobs/" + string(img.manifest.Layers[0].Digest):  http.StatusOK,
		"/v2/bench/manifests/" + string(img.descriptor.Digest):      http.StatusOK,
		"/v2/bench/blobs/" + string(digest.FromString("elsewhere")): http.StatusNotFound,
	} {
		resp, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != status {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, status)
		}
	}
}
