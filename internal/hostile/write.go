// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/internal/tartest"
)

// refused is an input of layers that is refused with exit code 3. The form is the
// caller's choice afterwards.
func refused(name, err string, layers ...tartest.Blob) Input {
	return Input{Name: name, Exit: 3, Err: err, write: writer(layers)}.as(anyForm(name))
}

// accepted is an input of layers that the rules accept.
func accepted(name, why string, tree []string, layers ...tartest.Blob) Input {
	return Input{Name: name, Why: why, Tree: tree, write: writer(layers)}.as(anyForm(name))
}

// anyForm spreads inputs over the forms.
func anyForm(name string) Form {
	sum := 0
	for _, c := range name {
		sum += int(c)
	}
	return Form(sum % 4)
}

// as writes the layers in the input's form, which is known only afterwards.
func writer(layers []tartest.Blob) func(string) {
	return func(dir string) { writeAll(dir, layers) }
}

// writeAll writes layers as a layout and, as the file "tar", as an archive that is
// both an oci-archive and a docker-archive.
func writeAll(dir string, layers []tartest.Blob) {
	writeImage(dir, layers)
	config, names := dockerFiles(dir, layers)
	put(dir, "manifest.json", encode([]any{map[string]any{"Config": config, "Layers": names}}))
	pack(dir)
}

// dockerFiles are the names that a docker-archive has for what lies in a layout.
func dockerFiles(dir string, layers []tartest.Blob) (config string, names []string) {
	img := tartest.Image(layers...)
	names = []string{}
	for _, l := range img.Layers {
		names = append(names, blobName(l.Digest))
	}
	return blobName(img.ConfigDigest), names
}

// writeImage writes the image of layers as a layout.
func writeImage(dir string, layers []tartest.Blob) {
	img := tartest.Image(layers...)
	for _, b := range layers {
		putBlob(dir, b.MediaType, b.Stored)
	}
	putBlob(dir, "", img.RawConfig)
	writeIndex(dir, putBlob(dir, v1.MediaTypeImageManifest, img.Manifest))
}

// writeIndex writes what makes a folder a layout, with these entries.
func writeIndex(dir string, entries ...v1.Descriptor) {
	put(dir, "oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	put(dir, "index.json", encode(v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: entries}))
}

// writeDocuments writes a layout of a manifest and a configuration as they are. Of
// the manifest, %s is the configuration's digest and %d its size.
func writeDocuments(dir, manifest, config string, layers ...tartest.Blob) {
	for _, b := range layers {
		putBlob(dir, b.MediaType, b.Stored)
	}
	c := putBlob(dir, "", []byte(config))
	if manifest == "" {
		manifest = `{"schemaVersion":2,"config":{"mediaType":"` + v1.MediaTypeImageConfig + `","digest":"%s","size":%d},"layers":[]}`
	}
	text := manifest
	if n := len(c.Digest); n > 0 && contains(manifest) {
		text = fmt.Sprintf(manifest, c.Digest, c.Size)
	}
	writeIndex(dir, putBlob(dir, v1.MediaTypeImageManifest, []byte(text)))
}

// contains tells a manifest that names its configuration by verbs.
func contains(manifest string) bool {
	for i := 0; i+1 < len(manifest); i++ {
		if manifest[i] == '%' && manifest[i+1] == 's' {
			return true
		}
	}
	return false
}

// putBlob stores a blob and returns its descriptor.
func putBlob(dir, mediaType string, data []byte) v1.Descriptor {
	d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	put(dir, blobName(d.Digest), data)
	return d
}

func blobName(d digest.Digest) string { return "blobs/sha256/" + d.Encoded() }

// pack makes the file "tar" of all that lies in a folder.
func pack(dir string) {
	f, err := os.CreateTemp(filepath.Dir(dir), "pack")
	must(err)
	w := tar.NewWriter(f)
	must(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		must(err)
		data, err := os.ReadFile(path)
		must(err)
		must(w.WriteHeader(&tar.Header{Name: filepath.ToSlash(name), Size: int64(len(data)), Mode: 0o644, Typeflag: tar.TypeReg}))
		_, err = w.Write(data)
		return err
	}))
	must(w.Close())
	must(f.Close())
	must(os.Rename(f.Name(), filepath.Join(dir, tarFile)))
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	must(err)
	return b
}
