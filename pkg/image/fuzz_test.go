// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/image/imagetest"
)

// seeds are documents of all kinds: each is tried as each.
func seeds(f *testing.F) {
	s := imagetest.Store{}
	one := s.Image("linux/arm/v7", base, top)
	s.Index(one, imagetest.Attestation(one), s.Index(one))
	s.Manifest("linux", nil, func(m *v1.Manifest, c *v1.Image) {
		m.ArtifactType, m.Config = "application/vnd.example", v1.DescriptorEmptyJSON
	})
	for _, blob := range s {
		f.Add(blob)
	}
	f.Add([]byte(`{"schemaVersion":1,"fsLayers":[]}`))
	f.Add([]byte(`{"layers":null,"manifests":[null,{}],"manifests":[{"platform":null}]}`))
	f.Add([]byte(`{"config":{"digest":"sha512:","size":-1,"data":"AA=="},"layers":[{}]}`))
	f.Add([]byte(`{"rootfs":{"type":"layers","diff_ids":["md5:x"]},"history":[{}],"os":"Linux"}`))
}

// checkKind fails unless an error is one that trying again does not cure.
func checkKind(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, image.ErrCorrupt) && !errors.Is(err, image.ErrNotFound) {
		t.Errorf("error of no kind: %v", err)
	}
}

// reparse marshals what was parsed and parses that.
func reparse[T any](t *testing.T, v T, parse func([]byte) (T, error)) {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Skip(err) // a year beyond 9999 parses but is not marshalled
	}
	again, err := parse(b)
	if err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	b2, err := json.Marshal(again)
	if err != nil || !reflect.DeepEqual(b, b2) {
		t.Errorf("%s is parsed as %s, %v", b, b2, err)
	}
}

// What parses is sound, and stays the same when it is written and parsed again.
func FuzzParseManifest(f *testing.F) {
	seeds(f)
	parse := func(b []byte) (v1.Manifest, error) { return image.ParseManifest("", b) }
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parse(b)
		checkKind(t, err)
		if err != nil {
			return
		}
		for _, d := range append(m.Layers, m.Config) {
			if d.Size < 0 || d.Size > image.MaxLayerSize || d.Digest.Validate() != nil {
				t.Errorf("unsound descriptor %v", d)
			}
		}
		reparse(t, m, parse)
	})
}

func FuzzParseIndex(f *testing.F) {
	seeds(f)
	parse := func(b []byte) (v1.Index, error) { return image.ParseIndex("", b) }
	f.Fuzz(func(t *testing.T, b []byte) {
		idx, err := parse(b)
		checkKind(t, err)
		if err == nil && len(idx.Manifests) > 0 {
			reparse(t, idx, parse)
		}
	})
}

func FuzzParseConfig(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := image.ParseConfig(b)
		checkKind(t, err)
		if err == nil {
			reparse(t, c, image.ParseConfig)
		}
	})
}

// A root document of any bytes ends in an image whose layers pair up, or in an
// error of a kind.
func FuzzResolve(f *testing.F) {
	s := imagetest.Store{}
	one := s.Image(here, base, top)
	seeds(f)
	f.Add(s[one.Digest])
	f.Add(s[s.Index(one).Digest])
	f.Fuzz(func(t *testing.T, b []byte) {
		img, layers, err := resolve(s, s.Add("", b), "")
		checkKind(t, err)
		if err == nil && (len(layers) != len(img.Layers) || len(layers) != len(img.Config.RootFS.DiffIDs)) {
			t.Errorf("%d layers, %d descriptors", len(img.Layers), len(layers))
		}
	})
}
