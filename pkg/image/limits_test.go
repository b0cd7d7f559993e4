// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/image/imagetest"
)

func TestRatio(t *testing.T) {
	for _, c := range []struct {
		name                        string
		ratio, blob, bytes, entries int64
		over                        bool
	}{
		{"small enough whatever the ratio", 0, 10, 1 << 30, 0, false},
		{"one byte more", 0, 10, 1<<30 + 1, 0, true},
		{"a layer of zeros", 0, 10 << 20, 2000 << 20, 0, false},
		{"200 times and more", 0, 10 << 20, 2000<<20 + 1, 0, true},
		{"as the caller says", 1032, 10 << 20, 10000 << 20, 0, false},
		{"empty files", 0, 1 << 20, 512 << 16, 126976, false},
		{"more empty files", 0, 1 << 20, 512 << 16, 126977, true},
		{"40 GB of files", 0, 15e9, 40e9, 2e6, false},
		{"a blob beyond any size", 0, math.MaxInt64, math.MaxInt64 - 1<<40, 1, false},
		{"entries beyond any number", 0, math.MaxInt64, 0, math.MaxInt64, false},
		{"sizes beyond any size", 0, 1, math.MaxInt64, math.MaxInt64, true},
		{"a ratio beyond any", math.MaxInt64, 1 << 40, math.MaxInt64, 0, false},
	} {
		limits := image.Limits{Ratio: c.ratio}.WithDefaults()
		err := limits.CheckRatio(c.blob, c.bytes, c.entries)
		if (err != nil) != c.over {
			t.Errorf("%s: %v", c.name, err)
		}
		checkLimit(t, err, "Ratio", limits.Ratio)
	}
}

// checkLimit wants no error or that of a limit.
func checkLimit(t *testing.T, err error, name string, most int64) {
	t.Helper()
	var limit *image.LimitError
	switch {
	case err == nil:
	case !errors.Is(err, image.ErrCorrupt), !errors.As(err, &limit):
		t.Errorf("%v is no corrupt LimitError", err)
	case limit.Limit != name || limit.Max != most:
		t.Errorf("limit %s of %d, want %s of %d", limit.Limit, limit.Max, name, most)
	}
}

// Limits that are chosen hold both ways: less is refused, more is taken.
func TestResolveLimits(t *testing.T) {
	s := imagetest.Store{}
	d := s.Image("linux/amd64", base)
	deep := s.Index(s.Index(s.Index(d)))
	large := s.Manifest("linux/amd64", nil, func(m *v1.Manifest, _ *v1.Image) {
		m.Annotations = map[string]string{"x": strings.Repeat("x", image.MaxManifestSize)}
	})
	config := s.Manifest("linux/amd64", nil, func(_ *v1.Manifest, c *v1.Image) {
		c.Author = strings.Repeat("x", image.MaxConfigSize)
	})
	for _, c := range []struct {
		name   string
		root   v1.Descriptor
		limits image.Limits
		over   string
	}{
		{"depth", deep, image.Limits{IndexDepth: 2}, "IndexDepth"},
		{"depth-ok", deep, image.Limits{IndexDepth: 3}, ""},
		{"manifest", d, image.Limits{ManifestBytes: d.Size - 1}, "ManifestBytes"},
		{"manifest-ok", d, image.Limits{ManifestBytes: d.Size}, ""},
		{"manifest-large", large, image.Limits{ManifestBytes: 8 << 20}, ""},
		{"config", d, image.Limits{ConfigBytes: 10}, "ConfigBytes"},
		{"config-large", config, image.Limits{ConfigBytes: 16 << 20}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			platform, _ := image.ParsePlatform("linux/amd64")
			_, _, err := image.Resolve(context.Background(), c.root, nil,
				image.Options{Platform: &platform, Limits: c.limits},
				func(_ context.Context, d v1.Descriptor) ([]byte, error) { return s[d.Digest], nil })
			var limit *image.LimitError
			switch {
			case c.over == "" && err != nil:
				t.Error(err)
			case c.over != "" && (!errors.As(err, &limit) || limit.Limit != c.over):
				t.Errorf("error %v, want that of %s", err, c.over)
			}
		})
	}
}
