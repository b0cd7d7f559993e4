// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package archive_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/seed-81b0d42e/flatten/pkg/archive"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/image/imagetest"
	"github.com/seed-81b0d42e/flatten/pkg/reference"
)

// The tags of either archive are listed, and an image opens by each.
func TestTags(t *testing.T) {
	c := config(here, base)
	docker := write(t, tarOf(
		manifest(saved{c.name, []string{"app:1", "app:2"}, []string{"l"}}, saved{c.name, []string{"b:1"}, []string{"l", "l"}}),
		c, file("l", base),
	))
	s := imagetest.Store{}
	oci := write(t, tarOf(members(s.Layout(imagetest.Tagged(s.Image(here, base), "1"), imagetest.Tagged(s.Image(here), "2")))...))
	for _, test := range []struct {
		file string
		form reference.Kind
		want []string
	}{
		{docker, reference.DockerArchive, []string{"app:1", "app:2", "b:1"}},
		{docker, reference.Path, []string{"app:1", "app:2", "b:1"}},
		{oci, reference.OCIArchive, []string{"1", "2"}},
		{oci, reference.Path, []string{"1", "2"}},
	} {
		if tags, err := archive.Tags(ctx, test.file, test.form); err != nil || !slices.Equal(tags, test.want) {
			t.Errorf("%v: %q, %v; want %q", test.form, tags, err, test.want)
		}
		if !archive.InPlace(test.file) {
			t.Errorf("%v is not read where it is", test.form)
		}
	}
	if _, err := archive.Tags(ctx, docker, reference.OCIArchive); !errors.Is(err, image.ErrCorrupt) {
		t.Errorf("a docker-archive as an oci-archive: %v", err)
	}
	if _, err := archive.Tags(ctx, oci, reference.DockerArchive); !errors.Is(err, image.ErrCorrupt) {
		t.Errorf("an oci-archive as a docker-archive: %v", err)
	}
}

// Only a plain tar is read where it is.
func TestInPlace(t *testing.T) {
	dir := t.TempDir()
	for name, b := range map[string][]byte{
		"gzip": imagetest.Gzip(base), "zstd": zstdOf(base), "text": []byte("hello"), "empty": nil,
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if archive.InPlace(file) {
			t.Errorf("%s is read where it is", name)
		}
	}
	if archive.InPlace(dir) || archive.InPlace(filepath.Join(dir, "nothing")) {
		t.Error("a directory, or nothing, is read where it is")
	}
}
