// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"os"

	"github.com/seed-81b0d42e/flatten/pkg/archive"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/layout"
	"github.com/seed-81b0d42e/flatten/pkg/reference"
)

// AtHand reports whether there is something that can be looked at quickly where a
// reference points: a folder or an archive that is not compressed. It need not be
// an image.
func AtHand(ref reference.Reference) bool {
	return ref.Path != "" && (isDir(ref.Path) || archive.InPlace(ref.Path))
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// Tags lists the names that images have where a reference with none points: in a
// layout or in an archive file. Nothing is asked of a registry or of standard
// input.
func Tags(ctx context.Context, ref reference.Reference) ([]string, error) {
	switch {
	case ref.Kind == reference.Registry, ref.Kind == reference.Stdin:
		return nil, nil
	case ref.Kind == reference.OCI, ref.Kind == reference.Path && isDir(ref.Path):
		return layout.TagsDir(ref.Path)
	}
	return archive.Tags(ctx, ref.Path, ref.Kind)
}

// Platforms lists the platforms that there are for a reference, as
// [image.FormatPlatform] writes them.
func Platforms(ctx context.Context, ref reference.Reference, o Options) ([]string, error) {
	kind := ref.Kind
	if kind == reference.Path {
		kind, _ = archive.Detect(ref.Path) // what cannot be detected cannot be opened
	}
	if kind == reference.DockerArchive { // has no index, and a manifest only for a price
		img, err := Open(ctx, ref, o)
		if err != nil {
			return nil, err
		}
		return []string{image.ShowPlatform(img.Platform)}, img.Close()
	}
	root, err := OpenRoot(ctx, ref, o)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.Platforms(ctx)
}
