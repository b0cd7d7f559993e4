// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package tartest

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// Image is an image of the layers, lowest first, for linux/amd64, with a
// configuration and a manifest that agree with them.
func Image(layers ...Blob) *image.Image { return ImageFor("linux", layers...) }

// ImageFor is an image for the given operating system.
func ImageFor(os string, layers ...Blob) *image.Image {
	platform := v1.Platform{OS: os, Architecture: "amd64"}
	img := &image.Image{
		Reference: "test",
		MediaType: v1.MediaTypeImageManifest,
		Platform:  platform,
		Config:    v1.Image{Platform: platform, RootFS: v1.RootFS{Type: "layers"}},
	}
	manifest := v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: v1.MediaTypeImageManifest,
	}
	for _, b := range layers {
		l := b.layer()
		img.Layers = append(img.Layers, l)
		img.Config.RootFS.DiffIDs = append(img.Config.RootFS.DiffIDs, l.DiffID)
		manifest.Layers = append(manifest.Layers,
			v1.Descriptor{MediaType: l.MediaType, Digest: l.Digest, Size: l.Size})
	}
	img.RawConfig = marshal(img.Config)
	img.ConfigDigest = digest.FromBytes(img.RawConfig)
	manifest.Config = v1.Descriptor{
		MediaType: v1.MediaTypeImageConfig,
		Digest:    img.ConfigDigest,
		Size:      int64(len(img.RawConfig)),
	}
	img.Manifest = marshal(manifest)
	img.Digest = digest.FromBytes(img.Manifest)
	return img
}

func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// layer is the blob as a layer of an image, with true digests and size.
func (b Blob) layer() image.Layer {
	return image.Layer{
		Digest:    digest.FromBytes(b.Stored),
		DiffID:    digest.FromBytes(b.Tar),
		Size:      int64(len(b.Stored)),
		MediaType: b.MediaType,
		Open: func(context.Context) (image.Blob, error) {
			return memory{bytes.NewReader(b.Stored)}, nil
		},
	}
}

// memory is an image.Blob in memory.
type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

var _ image.Blob = memory{}
