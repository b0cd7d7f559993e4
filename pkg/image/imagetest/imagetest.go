// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package imagetest makes small images by hand for tests: blobs in a map, and
// manifests and indexes that list them.
//
//	s := imagetest.Store{}
//	app := s.Image("linux/amd64", imagetest.Layer("etc/", "etc/motd=hello"))
//	idx := s.Index(app, s.Image("linux/arm64", imagetest.Layer("etc/")))
package imagetest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"strings"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Store holds blobs by their digest.
type Store map[digest.Digest][]byte

// Add stores a blob and returns its descriptor.
func (s Store) Add(mediaType string, blob []byte) v1.Descriptor {
	d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(blob), Size: int64(len(blob))}
	s[d.Digest] = blob
	return d
}

// JSON stores a value as JSON.
func (s Store) JSON(mediaType string, v any) v1.Descriptor {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return s.Add(mediaType, b)
}

// Config is the configuration of an image of these gzip layers, for a platform
// such as "linux/arm/v7".
func Config(platform string, layers ...[]byte) v1.Image {
	p := Platform(platform)
	c := v1.Image{Platform: *p, RootFS: v1.RootFS{Type: "layers", DiffIDs: []digest.Digest{}}}
	for _, l := range layers {
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, digest.FromBytes(Gunzip(l)))
	}
	return c
}

// Manifest stores the manifest of an image of these gzip layers; change may
// alter the manifest and the configuration before they are stored.
func (s Store) Manifest(platform string, layers [][]byte, change func(*v1.Manifest, *v1.Image)) v1.Descriptor {
	c := Config(platform, layers...)
	m := v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: v1.MediaTypeImageManifest,
		Layers:    []v1.Descriptor{},
	}
	for _, l := range layers {
		m.Layers = append(m.Layers, s.Add(v1.MediaTypeImageLayerGzip, l))
	}
	if change != nil {
		change(&m, &c)
	}
	if m.Config.Digest == "" {
		mediaType := m.Config.MediaType
		if mediaType == "" {
			mediaType = v1.MediaTypeImageConfig
		}
		m.Config = s.JSON(mediaType, c)
	}
	return s.JSON(v1.MediaTypeImageManifest, m)
}

// Image stores an image; its descriptor states the platform.
func (s Store) Image(platform string, layers ...[]byte) v1.Descriptor {
	d := s.Manifest(platform, layers, nil)
	d.Platform = Platform(platform)
	return d
}

// Index stores an index of these entries.
func (s Store) Index(entries ...v1.Descriptor) v1.Descriptor {
	return s.JSON(v1.MediaTypeImageIndex, NewIndex(entries...))
}

// NewIndex is an index of these entries.
func NewIndex(entries ...v1.Descriptor) v1.Index {
	return v1.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: v1.MediaTypeImageIndex,
		Manifests: append([]v1.Descriptor{}, entries...),
	}
}

// Layout is the files of an OCI layout that holds the store's blobs, by path;
// its index.json lists these entries.
func (s Store) Layout(entries ...v1.Descriptor) map[string][]byte {
	files := map[string][]byte{"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`)}
	for d, blob := range s {
		files["blobs/"+d.Algorithm().String()+"/"+d.Encoded()] = blob
	}
	index, err := json.Marshal(NewIndex(entries...))
	if err != nil {
		panic(err)
	}
	files["index.json"] = index
	return files
}

// Platform splits "os/arch/variant" as it stands.
func Platform(s string) *v1.Platform {
	parts := append(strings.Split(s, "/"), "", "")
	return &v1.Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]}
}

// Attestation marks a descriptor as BuildKit marks its attestations.
func Attestation(d v1.Descriptor) v1.Descriptor {
	d.Platform = &v1.Platform{OS: "unknown", Architecture: "unknown"}
	d.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest"}
	return d
}

// Tagged names a descriptor as an OCI layout does.
func Tagged(d v1.Descriptor, tag string) v1.Descriptor {
	d.Annotations = map[string]string{v1.AnnotationRefName: tag}
	return d
}

// Layer is a gzip layer of directories ("etc/") and files ("etc/motd=hello").
func Layer(entries ...string) []byte { return Gzip(Tar(entries...)) }

// Tar is a tar stream of directories ("etc/"), files ("etc/motd=hello"),
// symbolic links ("a->b") and hard links ("a=>b").
func Tar(entries ...string) []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		h := &tar.Header{Mode: 0o755, Format: tar.FormatPAX}
		var body string
		if name, target, ok := strings.Cut(e, "->"); ok {
			h.Typeflag, h.Name, h.Linkname = tar.TypeSymlink, name, target
		} else if name, target, ok := strings.Cut(e, "=>"); ok {
			h.Typeflag, h.Name, h.Linkname = tar.TypeLink, name, target
		} else if name, content, ok := strings.Cut(e, "="); ok {
			h.Typeflag, h.Name, h.Size, body = tar.TypeReg, name, int64(len(content)), content
		} else {
			h.Typeflag, h.Name = tar.TypeDir, e
		}
		if err := w.WriteHeader(h); err != nil {
			panic(err)
		}
		if _, err := w.Write([]byte(body)); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

// Gzip compresses.
func Gzip(b []byte) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write(b); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

// Gunzip decompresses; what is not gzip stays as it is.
func Gunzip(b []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return b
	}
	var buf bytes.Buffer
	if _, err := buf.ReadFrom(r); err != nil {
		return b
	}
	return buf.Bytes()
}
