// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package source opens an image wherever its reference says that it is: in a
// registry, in an OCI layout, in an archive or on standard input. It only
// chooses among pkg/registry, pkg/layout and pkg/archive.
package source

import (
	"context"
	"io"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/pkg/archive"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/layout"
	"github.com/seed-81b0d42e/flatten/pkg/reference"
	"github.com/seed-81b0d42e/flatten/pkg/registry"
)

// Options say what the sources need beside a reference.
type Options struct {
	// Platform is the platform that was asked for; nil means the default, see
	// [image.DefaultPlatform].
	Platform *v1.Platform

	// TmpDir is where is spooled what cannot be read in place; empty means
	// [os.TempDir].
	TmpDir string

	// Stdin is standard input.
	Stdin io.Reader

	// Registry is how registries are spoken to. Platform and TmpDir are taken
	// from above.
	Registry registry.Options
}

// Open opens an image. It must be closed.
func Open(ctx context.Context, ref reference.Reference, o Options) (*image.Image, error) {
	switch ref.Kind {
	case reference.Registry:
		r := o.Registry
		r.Platform, r.TmpDir = o.Platform, o.TmpDir
		return registry.Open(ctx, ref.Image(), r)
	case reference.OCI:
		return layout.OpenDir(ctx, ref.Path, layout.Options{
			Source: "oci:" + ref.Path, Tag: ref.Tag, Digest: ref.Digest, Platform: o.Platform,
		})
	}
	a := archive.Options{Tag: ref.Tag, Digest: ref.Digest, Platform: o.Platform, TempDir: o.TmpDir}
	switch ref.Kind {
	case reference.OCIArchive:
		return archive.OpenOCI(ctx, ref.Path, a)
	case reference.DockerArchive:
		return archive.OpenDocker(ctx, ref.Path, a)
	case reference.Stdin:
		return archive.OpenStream(ctx, o.Stdin, a)
	}
	return archive.Open(ctx, ref.Path, a)
}
