// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package regtest

import (
	"runtime"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten/internal/tartest"
)

// layer is a blob and the digest of the tar in it.
type layer struct {
	v1.Layer
	diffID v1.Hash
}

func (l layer) DiffID() (v1.Hash, error) { return l.diffID, nil }

// Image is an image of layers that are gzipped tars, for this machine.
func Image(tb testing.TB, layers ...tartest.Blob) v1.Image {
	tb.Helper()
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		OS: "linux", Architecture: runtime.GOARCH, RootFS: v1.RootFS{Type: "layers"},
	})
	for _, l := range layers {
		if err != nil {
			break
		}
		diffID := digest.FromBytes(l.Tar)
		img, err = mutate.Append(img, mutate.Addendum{Layer: layer{
			Layer:  static.NewLayer(l.Stored, types.DockerLayer),
			diffID: v1.Hash{Algorithm: diffID.Algorithm().String(), Hex: diffID.Encoded()},
		}})
	}
	if err != nil {
		tb.Fatal(err)
	}
	return img
}
