// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"

	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// localImage is an image in an OCI layout directory.
type localImage struct {
	dir, tag   string
	descriptor v1.Descriptor // of the manifest
	manifest   v1.Manifest
	config     v1.Image
}

// openImage reads the manifest and config of "oci:DIR:TAG". An index leads to
// the image for linux and this machine's architecture.
func openImage(text string) (*localImage, error) {
	dir, tag, ok := cutLast(strings.TrimPrefix(text, "oci:"), ":")
	if !ok || !strings.HasPrefix(text, "oci:") {
		return nil, fmt.Errorf("%q is not oci:DIR:TAG", text)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	img := &localImage{dir: dir, tag: tag}
	var index v1.Index
	if err := readJSON(filepath.Join(dir, "index.json"), &index); err != nil {
		return nil, err
	}
	if img.descriptor, err = img.choose(index); err != nil {
		return nil, err
	}
	if err := readJSON(img.path(img.descriptor), &img.manifest); err != nil {
		return nil, err
	}
	return img, readJSON(img.path(img.manifest.Config), &img.config)
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func readJSON(name string, into any) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// choose is the manifest that the tag means.
func (img *localImage) choose(index v1.Index) (v1.Descriptor, error) {
	for _, d := range index.Manifests {
		if d.Annotations[v1.AnnotationRefName] != img.tag {
			continue
		}
		if d.MediaType != v1.MediaTypeImageIndex && !strings.Contains(d.MediaType, "manifest.list") {
			return d, nil
		}
		var nested v1.Index
		if err := readJSON(img.path(d), &nested); err != nil {
			return d, err
		}
		for _, n := range nested.Manifests {
			if p := n.Platform; p != nil && p.OS == "linux" && p.Architecture == runtime.GOARCH {
				return n, nil
			}
		}
		return d, fmt.Errorf("%s:%s: no image for linux/%s", img.dir, img.tag, runtime.GOARCH)
	}
	return v1.Descriptor{}, fmt.Errorf("%s: no image is tagged %q", img.dir, img.tag)
}

// path is the file of a blob.
func (img *localImage) path(d v1.Descriptor) string {
	return blobPath(img.dir, d.Digest)
}

func blobPath(dir string, d digest.Digest) string {
	return filepath.Join(dir, "blobs", d.Algorithm().String(), d.Encoded())
}

// String is how skopeo and flatten name the image.
func (img *localImage) String() string { return "oci:" + img.dir + ":" + img.tag }

// size is what the layers add up to as they are stored.
func (img *localImage) size() int64 {
	var n int64
	for _, l := range img.manifest.Layers {
		n += l.Size
	}
	return n
}

// openLayer returns the tar stream of a layer.
func (img *localImage) openLayer(l v1.Descriptor) (io.ReadCloser, error) {
	f, err := os.Open(img.path(l))
	if err != nil {
		return nil, err
	}
	r, err := inflated(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("layer %s: %w", l.Digest, err)
	}
	return &closing{Reader: r, closers: []io.Closer{r, f}}, nil
}

// inflated undoes the compression that the first bytes show.
func inflated(r io.Reader) (io.ReadCloser, error) {
	buffered := bufio.NewReaderSize(r, 1<<20)
	magic, err := buffered.Peek(4)
	if err != nil {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		return gzip.NewReader(buffered)
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		dec, err := zstd.NewReader(buffered)
		if err != nil {
			return nil, err
		}
		return dec.IOReadCloser(), nil
	}
	return io.NopCloser(buffered), nil
}

// closing is a reader with several things to close.
type closing struct {
	io.Reader
	closers []io.Closer
}

func (c *closing) Close() error {
	var first error
	for _, closer := range c.closers {
		if err := closer.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// printLayers writes a line for each layer: what it is and what it takes.
func (img *localImage) printLayers(w io.Writer) error {
	fmt.Fprintf(w, "%s  %s\n", img, img.descriptor.Digest)
	var total int64
	for i, l := range img.manifest.Layers {
		n, err := img.uncompressed(l)
		if err != nil {
			return err
		}
		total += n
		fmt.Fprintf(w, "  %d  %-19s %8.1f MB  %8.1f MB uncompressed  %s\n",
			i+1, l.Digest[:19], megabytes(l.Size), megabytes(n), l.MediaType)
	}
	_, err := fmt.Fprintf(w, "     %-19s %8.1f MB  %8.1f MB uncompressed\n", "sum", megabytes(img.size()), megabytes(total))
	return err
}

func (img *localImage) uncompressed(l v1.Descriptor) (int64, error) {
	r, err := img.openLayer(l)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	return io.Copy(io.Discard, r)
}

func megabytes(n int64) float64 { return float64(n) / 1e6 }
