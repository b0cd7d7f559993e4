// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"context"
	"io/fs"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/image/imagetest"
)

func platforms(s imagetest.Store, root v1.Descriptor) ([]string, error) {
	r := &image.Root{Descriptor: root, Fetch: func(_ context.Context, d v1.Descriptor) ([]byte, error) {
		b, ok := s[d.Digest]
		if !ok {
			return nil, image.Corruptf("blob %s is missing: %w", d.Digest, fs.ErrNotExist)
		}
		return b, nil
	}}
	return r.Platforms(context.Background())
}

// An index has the platforms that its entries state, and those of entries that
// state none; attestations have none.
func TestPlatforms(t *testing.T) {
	s := imagetest.Store{}
	amd64, arm64 := s.Image("linux/amd64", base), s.Image("linux/arm64/v8", base, top)
	silent := s.Image("linux/s390x", base)
	silent.Platform = nil
	odd := s.Image("linux/\x1b", base)
	for _, test := range []struct {
		name string
		root v1.Descriptor
		want string
	}{
		{"manifest", arm64, "linux/arm64"},
		{"index", s.Index(arm64, amd64, arm64), "linux/amd64 linux/arm64"},
		{"stated nowhere", s.Index(amd64, silent), "linux/amd64 linux/s390x"},
		{"nested", s.Index(s.Index(arm64), silent), "linux/arm64 linux/s390x"},
		{"attestation", s.Index(amd64, imagetest.Attestation(s.Image("unknown/unknown", base))), "linux/amd64"},
		{"empty", s.Index(), ""},
		{"odd", s.Index(odd), `"linux/\x1b"`},
	} {
		got, err := platforms(s, test.root)
		if err != nil || strings.Join(got, " ") != test.want {
			t.Errorf("%s: %q, %v; want %q", test.name, got, err, test.want)
		}
	}
	for name, root := range map[string]v1.Descriptor{
		"missing":   {MediaType: v1.MediaTypeImageManifest, Digest: imagetest.Store{}.Image(here, base).Digest, Size: 1},
		"no digest": {Digest: "sha256:x"},
	} {
		if got, err := platforms(imagetest.Store{}, root); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}
