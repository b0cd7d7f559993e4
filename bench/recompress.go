// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// recompressCommand is "bench recompress".
func recompressCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench recompress", flag.ContinueOnError)
	flags.SetOutput(stderr)
	with := flags.String("with", "gzip -6 -n", "the compressor, from standard input to standard output")
	as := flags.String("as", "gzip", "what it makes: gzip or zstd")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 2 {
		return errors.New("recompress: it takes oci:DIR:TAG and the new tag")
	}
	from, err := openImage(flags.Arg(0))
	if err != nil {
		return err
	}
	img, err := recompress(ctx, from, flags.Arg(1), *with, *as)
	if err != nil {
		return err
	}
	return img.printLayers(stdout)
}

// recompress adds an image to the layout of another: the same layers from
// another compressor.
func recompress(ctx context.Context, from *localImage, tag, with, kind string) (*localImage, error) {
	mediaType := map[string]string{"gzip": v1.MediaTypeImageLayerGzip, "zstd": v1.MediaTypeImageLayerZstd}[kind]
	if mediaType == "" {
		return nil, fmt.Errorf("recompress: %q is neither gzip nor zstd", kind)
	}
	manifest := from.manifest
	manifest.MediaType = v1.MediaTypeImageManifest
	manifest.Layers = nil
	for i, l := range from.manifest.Layers {
		d, err := from.recompressLayer(ctx, l, with)
		if err != nil {
			return nil, fmt.Errorf("layer %d with %s: %w", i+1, with, err)
		}
		d.MediaType = mediaType
		manifest.Layers = append(manifest.Layers, d)
	}
	data, err := json.Marshal(manifest)
	if err != nil {
		return nil, err
	}
	d := v1.Descriptor{
		MediaType: v1.MediaTypeImageManifest, Digest: digest.FromBytes(data), Size: int64(len(data)),
		Annotations: map[string]string{v1.AnnotationRefName: tag},
	}
	if err := os.WriteFile(blobPath(from.dir, d.Digest), data, 0o644); err != nil {
		return nil, err
	}
	if err := addToIndex(from.dir, d); err != nil {
		return nil, err
	}
	return openImage("oci:" + from.dir + ":" + tag)
}

// recompressLayer pipes a layer's tar through a compressor into a new blob.
func (img *localImage) recompressLayer(ctx context.Context, l v1.Descriptor, with string) (d v1.Descriptor, err error) {
	tar, err := img.openLayer(l)
	if err != nil {
		return d, err
	}
	defer tar.Close()
	f, err := os.CreateTemp(filepath.Join(img.dir, "blobs", "sha256"), ".new-")
	if err != nil {
		return d, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	hash := digest.SHA256.Digester()
	fields := strings.Fields(with)
	cmd := exec.CommandContext(ctx, fields[0], fields[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tar, io.MultiWriter(f, hash.Hash()), os.Stderr
	if err := cmd.Run(); err != nil {
		return d, err
	}
	info, err := f.Stat()
	if err != nil {
		return d, err
	}
	if err := errors.Join(f.Chmod(0o644), f.Close()); err != nil {
		return d, err
	}
	d = v1.Descriptor{Digest: hash.Digest(), Size: info.Size()}
	return d, os.Rename(f.Name(), img.path(d))
}

// addToIndex names a manifest in index.json, in place of what had its tag.
func addToIndex(dir string, d v1.Descriptor) error {
	name := filepath.Join(dir, "index.json")
	var index v1.Index
	if err := readJSON(name, &index); err != nil {
		return err
	}
	kept := []v1.Descriptor{}
	for _, m := range index.Manifests {
		if m.Annotations[v1.AnnotationRefName] != d.Annotations[v1.AnnotationRefName] {
			kept = append(kept, m)
		}
	}
	index.Manifests = append(kept, d)
	data, err := json.Marshal(index)
	if err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o644)
}
