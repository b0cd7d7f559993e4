// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package layout_test

import (
	"slices"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/image/imagetest"
	"github.com/seed-81b0d42e/flatten/pkg/layout"
)

// What is listed is what an image can be opened by.
func TestListTags(t *testing.T) {
	s := imagetest.Store{}
	one, two := s.Image(here, base), s.Image(here, top)
	full := imagetest.Tagged(two, "2")
	full.Annotations["io.containerd.image.name"] = "docker.io/library/app:2"
	dir := writeDir(t, s.Layout(
		imagetest.Tagged(one, "1"), full, imagetest.Tagged(one, "1"), s.Image(here),
		imagetest.Tagged(imagetest.Attestation(s.Image("unknown/unknown")), "sbom"),
	))
	tags, err := layout.TagsDir(dir)
	if want := []string{"1", "2", "docker.io/library/app:2"}; err != nil || !slices.Equal(tags, want) {
		t.Fatalf("%q, %v; want %q", tags, err, want)
	}
	for _, tag := range tags {
		img, err := layout.OpenDir(ctx, dir, layout.Options{Tag: tag})
		if err != nil {
			t.Errorf("%s: %v", tag, err)
			continue
		}
		img.Close()
	}
	same, err := layout.Tags(mapFS(s.Layout()))
	if err != nil || len(same) != 0 {
		t.Errorf("an empty layout: %q, %v", same, err)
	}
	_, err = layout.TagsDir(t.TempDir())
	checkError(t, err, image.ErrCorrupt, v1.ImageLayoutFile, "")
	_, err = layout.TagsDir("nowhere")
	checkError(t, err, image.ErrNotFound, "nowhere", "")
}
