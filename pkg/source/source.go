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

	// Limits bound what reading the image can cost.
	Limits image.Limits

	// Stdin is standard input.
	Stdin io.Reader

	// Registry is how registries are spoken to. Platform, TmpDir and Limits are
	// taken from above.
	Registry registry.Options
}

// Open opens an image. It must be closed.
func Open(ctx context.Context, ref reference.Reference, o Options) (*image.Image, error) {
	switch ref.Kind {
	case reference.Registry:
		return registry.Open(ctx, ref.Image(), registryOptions(o))
	case reference.OCI:
		return layout.OpenDir(ctx, ref.Path, layoutOptions(ref, o))
	}
	a := archiveOptions(ref, o)
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

// OpenRoot opens the document that a reference names, a manifest or an index,
// whatever its platform. It must be closed.
func OpenRoot(ctx context.Context, ref reference.Reference, o Options) (*image.Root, error) {
	switch ref.Kind {
	case reference.Registry:
		root, err := registry.OpenRoot(ctx, ref.Image(), registryOptions(o))
		if err == nil && ref.Tag != "" {
			root.Tag, root.Name = ref.Tag, ref.Name+":"+ref.Tag
		}
		return root, err
	case reference.OCI:
		return layout.OpenRootDir(ctx, ref.Path, layoutOptions(ref, o))
	case reference.Stdin:
		return archive.OpenRootStream(ctx, o.Stdin, archiveOptions(ref, o))
	}
	return archive.OpenRoot(ctx, ref.Path, ref.Kind, archiveOptions(ref, o))
}

func registryOptions(o Options) registry.Options {
	r := o.Registry
	r.Platform, r.TmpDir, r.Limits = o.Platform, o.TmpDir, o.Limits
	return r
}

func layoutOptions(ref reference.Reference, o Options) layout.Options {
	return layout.Options{Source: "oci:" + ref.Path, Tag: ref.Tag, Digest: ref.Digest, Platform: o.Platform, Limits: o.Limits}
}

func archiveOptions(ref reference.Reference, o Options) archive.Options {
	return archive.Options{Tag: ref.Tag, Digest: ref.Digest, Platform: o.Platform, TempDir: o.TmpDir, Limits: o.Limits}
}
