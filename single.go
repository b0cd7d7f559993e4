// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package flatten

import (
	"fmt"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
	"github.com/seed-81b0d42e/flatten/pkg/whiteout"
)

// Single is the filesystem of one layer that has been scanned: of a flattened file,
// to be compared with that of an image. Of opts, Limits count. Its Close closes the
// blob.
func Single(layer *toc.Layer, blob image.Blob, opts Options) (*Merged, error) {
	img := &image.Image{Layers: []image.Layer{{Digest: layer.Digest, DiffID: layer.DiffID, Size: layer.BlobSize}}}
	view, err := whiteout.Merge([]*toc.Layer{layer}, whiteout.Options{Limits: opts.Limits})
	if err != nil {
		return nil, fmt.Errorf("merging: %w", err)
	}
	return &Merged{
		Image: img, View: view, Warnings: append(layer.Warnings, view.Warnings...),
		blobs: blobs{identity(&img.Layers[0]): blob},
	}, nil
}
