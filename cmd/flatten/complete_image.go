// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/reference"
	"github.com/seed-81b0d42e/flatten/pkg/source"
)

// schemes begin references.
var schemes = []suggestion{
	{"oci:", "an OCI image layout"},
	{"oci-archive:", "an OCI image layout in a tar"},
	{"docker-archive:", "what docker save writes"},
	{"docker://", "a registry"},
}

// references are what the beginning of a reference can become: a scheme, what is
// in a folder, the tags that are in a layout or an archive. A path is the shell's.
func references(ctx context.Context, word string) []suggestion {
	scheme, rest, ok := strings.Cut(word, ":")
	if !ok {
		if reference.IsPath(word) || strings.HasPrefix(word, "~") {
			return suggestFiles
		}
		return schemes
	}
	kinds := map[string]reference.Kind{
		"oci": reference.OCI, "oci-archive": reference.OCIArchive, "docker-archive": reference.DockerArchive,
	}
	kind, ok := kinds[scheme]
	if !ok {
		return nil
	}
	return located(ctx, scheme+":", kind, rest)
}

// located are what the beginning of a path and a tag can become, behind a prefix.
func located(ctx context.Context, prefix string, kind reference.Kind, word string) []suggestion {
	path, _, tagged := strings.Cut(word, ":")
	if tagged {
		return tags(ctx, prefix, reference.Reference{Kind: kind, Path: path})
	}
	all := stored(prefix, kind, path)
	if len(all) == 1 && (!strings.HasSuffix(all[0].word, "/") || all[0].word == prefix+word) {
		only := strings.TrimPrefix(all[0].word, prefix)
		all = append(all, tags(ctx, prefix, reference.Reference{Kind: kind, Path: only})...)
	}
	return all
}

// stored are the folders, and the layouts or files, that begin like a path.
func stored(prefix string, kind reference.Kind, path string) []suggestion {
	if kind == reference.OCI && strings.HasSuffix(path, "/") && isLayout(path) {
		return []suggestion{{prefix + path, ""}}
	}
	dir, base := filepath.Split(path)
	list, err := os.ReadDir(cmp.Or(dir, "."))
	if err != nil {
		return nil
	}
	var all []suggestion
	for _, entry := range list {
		name := entry.Name()
		if !strings.HasPrefix(name, base) || strings.HasPrefix(name, ".") && base == "" || strings.Contains(name, ":") {
			continue
		}
		info, err := os.Stat(filepath.Join(dir, name))
		switch {
		case err != nil:
		case info.IsDir() && !(kind == reference.OCI && isLayout(filepath.Join(dir, name))):
			all = append(all, suggestion{prefix + dir + name + "/", ""})
		case info.IsDir(), kind != reference.OCI && info.Mode().IsRegular():
			all = append(all, suggestion{prefix + dir + name, ""})
		}
	}
	return all
}

func isLayout(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, v1.ImageLayoutFile))
	return err == nil && info.Mode().IsRegular()
}

// tags are the references with a tag of the images in a layout or an archive.
func tags(ctx context.Context, prefix string, ref reference.Reference) []suggestion {
	if !source.AtHand(ref) {
		return nil
	}
	list, err := source.Tags(ctx, ref)
	if err != nil {
		return nil
	}
	var all []suggestion
	for _, tag := range list {
		named := ref
		named.Tag = tag
		if r, err := reference.Parse(named.String()); err == nil && r.Tag == tag {
			all = append(all, suggestion{prefix + ref.Path + ":" + tag, ""})
		}
	}
	return all
}

// usual are platforms that many images are for.
var usual = []string{
	"linux/386", "linux/amd64", "linux/arm/v6", "linux/arm/v7", "linux/arm64", "linux/ppc64le", "linux/riscv64", "linux/s390x",
}

// platforms are those of the first image on the line that is at hand, else the
// usual ones.
func platforms(ctx context.Context, arguments []string) []suggestion {
	for _, text := range arguments {
		ref, err := reference.Parse(text)
		if err != nil || !source.AtHand(ref) {
			continue
		}
		list, err := source.Platforms(ctx, ref, source.Options{})
		odd := func(p string) bool { _, err := image.ParsePlatform(p); return err != nil }
		if list = slices.DeleteFunc(list, odd); err == nil && len(list) > 0 {
			return plain(list)
		}
	}
	return plain(usual)
}
