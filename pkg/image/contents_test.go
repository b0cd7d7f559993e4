// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/image/imagetest"
)

func contents(s imagetest.Store, root v1.Descriptor) (*image.Contents, error) {
	return image.ReadContents(context.Background(), root, nil, image.Limits{}, func(_ context.Context, d v1.Descriptor) ([]byte, error) {
		b, ok := s[d.Digest]
		if !ok {
			return nil, image.Corruptf("blob %s is missing: %w", d.Digest, fs.ErrNotExist)
		}
		return b, nil
	})
}

// Whatever the store has, and nothing twice: platforms, attestations, artifacts,
// indexes in indexes, documents of unknown kinds.
func TestReadContents(t *testing.T) {
	s := imagetest.Store{}
	app := s.Image(here, base, top)
	sbom := s.Manifest("linux/amd64", [][]byte{[]byte("{}")}, func(m *v1.Manifest, _ *v1.Image) {
		m.ArtifactType = "application/spdx+json"
		m.Layers[0].MediaType = "application/spdx+json"
		m.Config = s.Add("application/vnd.oci.empty.v1+json", []byte("{} "))
		m.Subject = &v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: digest.FromString("elsewhere"), Size: 3}
	})
	unknown := s.Add("application/x-unheard-of", []byte("?"))
	nested := s.Index(s.Image(elsewhere, base), app)
	root := s.Index(app, app, imagetest.Attestation(s.Image("linux/amd64", top)), sbom, unknown, nested)
	c, err := contents(s, root)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[digest.Digest]bool{}
	var size int64
	for _, d := range c.Blobs {
		seen[d.Digest] = true
		size += d.Size
	}
	for _, d := range c.Documents {
		if seen[d.Digest] || string(d.Raw) != string(s[d.Digest]) {
			t.Errorf("%s is wrong or there twice", d.Digest)
		}
		seen[d.Digest] = true
		size += d.Size
	}
	for d := range s {
		if !seen[d] {
			t.Errorf("%s is left out", d)
		}
	}
	if len(seen) != len(s) || len(seen) != len(c.Blobs)+len(c.Documents) || c.Size() != size {
		t.Errorf("%d blobs, %d documents and %d bytes of %d", len(c.Blobs), len(c.Documents), c.Size(), len(s))
	}
	if last := c.Root(); last.Digest != root.Digest || last.MediaType != v1.MediaTypeImageIndex {
		t.Errorf("the root is %v", last.Descriptor)
	}
	at := func(d v1.Descriptor) int {
		return slices.IndexFunc(c.Documents, func(doc image.Document) bool { return doc.Digest == d.Digest })
	}
	if at(nested) < at(app) || at(root) < at(nested) {
		t.Error("an index comes before what it lists")
	}
}

func TestReadContentsErrors(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		kind       error
		root       func(s imagetest.Store) v1.Descriptor
	}{
		{"missing", "is missing", fs.ErrNotExist, func(s imagetest.Store) v1.Descriptor {
			app := s.Image(here, base)
			idx := s.Index(app, s.Image(elsewhere, base))
			delete(s, app.Digest)
			return idx
		}},
		{"151-wrong-bytes", "the bytes have digest", image.ErrCorrupt, func(s imagetest.Store) v1.Descriptor {
			app := s.Image(here, base)
			s[app.Digest] = append([]byte{' '}, s[app.Digest][1:]...)
			return app
		}},
		{"157-deep", "indexes nested more than 8 deep", image.ErrCorrupt, func(s imagetest.Store) v1.Descriptor {
			d := s.Image(here, base)
			for range image.MaxDepth + 2 {
				d = s.Index(d)
			}
			return d
		}},
		{"157-many", "more than 1000 documents", image.ErrCorrupt, func(s imagetest.Store) v1.Descriptor {
			var all []v1.Descriptor
			for i := range image.MaxDocuments {
				all = append(all, s.Index(s.Add("x/y", fmt.Append(nil, i))))
			}
			return s.Index(all...)
		}},
		{"161-schema1", "schema 1", image.ErrCorrupt, func(s imagetest.Store) v1.Descriptor {
			return s.Index(s.Add("application/vnd.docker.distribution.manifest.v1+json", []byte(`{"schemaVersion":1,"fsLayers":[]}`)))
		}},
		{"165-size", "negative size", image.ErrCorrupt, func(s imagetest.Store) v1.Descriptor {
			d := s.Add("x/y", nil)
			d.Size = -1
			return s.Index(d)
		}},
		{"digest", "malformed digest", image.ErrCorrupt, func(s imagetest.Store) v1.Descriptor {
			return s.Index(v1.Descriptor{MediaType: "x/y", Digest: "sha256:../../x"})
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := imagetest.Store{}
			_, err := contents(s, tc.root(s))
			if !errors.Is(err, tc.kind) || !strings.Contains(fmt.Sprint(err), tc.text) {
				t.Errorf("%v, want %q", err, tc.text)
			}
		})
	}
}

// A document's own media type counts, then its descriptor's, then its kind's.
func TestContentsMediaType(t *testing.T) {
	const docker = "application/vnd.docker.distribution.manifest.v2+json"
	for _, tc := range []struct{ own, stated, want string }{
		{v1.MediaTypeImageManifest, "", v1.MediaTypeImageManifest},
		{docker, "application/octet-stream", docker},
		{"", docker + "; charset=utf-8", docker},
		{"", "application/json", v1.MediaTypeImageManifest},
	} {
		s := imagetest.Store{}
		s.Manifest(here, [][]byte{base}, func(m *v1.Manifest, _ *v1.Image) { m.MediaType = tc.own })
		var d v1.Descriptor
		for dgst, b := range s {
			if strings.Contains(string(b), `"layers":[{`) {
				d = v1.Descriptor{MediaType: tc.stated, Digest: dgst, Size: int64(len(b))}
			}
		}
		c, err := contents(s, d)
		if err != nil || c.Root().MediaType != tc.want {
			t.Errorf("%+v: %v %v", tc, c, err)
		}
	}
}
