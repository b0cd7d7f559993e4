// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"io"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Image is one image for one platform: what a manifest and its configuration
// say, and how its layers are opened.
type Image struct {
	// Reference is the image as the user named it, transport included, such as
	// "docker://registry.example/app:1" or "oci:dir:1".
	Reference string

	// Digest is the digest of the manifest. It is empty for a docker-archive
	// without one; ConfigDigest then identifies the image.
	Digest digest.Digest

	// MediaType is that of the manifest, empty when there is none.
	MediaType string

	// Manifest is the manifest's bytes as stored, nil when there is none.
	Manifest []byte

	// ConfigDigest is the digest of the configuration, Docker's image ID.
	ConfigDigest digest.Digest

	// RawConfig is the configuration's bytes as stored.
	RawConfig []byte

	// Config is RawConfig, parsed.
	Config v1.Image

	// Platform is the image's platform, normalised (see [NormalizePlatform]).
	Platform v1.Platform

	// Tags are the names under which the source knows this image, if any.
	Tags []string

	// Layers are the layers, lowest first. Two may have the same digest; each
	// occurrence is applied.
	Layers []Layer

	// Warnings are what was odd and tolerated while the image was opened.
	Warnings []Warning

	// Closer releases what the source keeps open: files, spooled downloads.
	// Nil when there is nothing to release.
	Closer io.Closer
}

// Close releases what the image's source keeps open. Blobs that are still open
// must not be read afterwards.
func (img *Image) Close() error {
	if img.Closer == nil {
		return nil
	}
	return img.Closer.Close()
}

// Layer is one layer of an image: what the manifest says of its blob, and how
// to open it.
type Layer struct {
	// Digest is the digest of the blob as stored. It is empty when the source
	// does not know it, as in a docker-archive; then DiffID is what is verified.
	Digest digest.Digest

	// DiffID is the digest of the decompressed tar stream, from the
	// configuration.
	DiffID digest.Digest

	// Size is the size of the blob in bytes as the manifest states it, -1 when
	// the source does not know it before the blob is opened.
	Size int64

	// MediaType is the blob's media type as the manifest states it, empty when
	// there is none. It may lie; magic bytes decide.
	MediaType string

	// Open opens the blob. It may return before the blob's bytes have arrived:
	// reads wait for them. Cancelling ctx ends such waits.
	Open func(ctx context.Context) (Blob, error)
}

// Blob is the stored bytes of a layer, readable at any offset and from several
// goroutines at once. Its bytes are not verified by the source.
type Blob interface {
	io.ReaderAt
	io.Closer

	// Size is the number of bytes that the blob has, or is announced to have.
	Size() int64
}
