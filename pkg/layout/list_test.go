// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package layout_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/image/imagetest"
	"github.com/seed-81b0d42e/flatten/pkg/layout"
)

func list(t *testing.T, files map[string][]byte) []layout.Entry {
	t.Helper()
	all, err := layout.List(ctx, writeDir(t, files), layout.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// sizeOf is the size of everything in a store.
func sizeOf(s imagetest.Store) int64 {
	var n int64
	for _, b := range s {
		n += int64(len(b))
	}
	return n
}

func TestList(t *testing.T) {
	for _, tc := range []struct {
		name string
		make func(s imagetest.Store) v1.Descriptor
		want string // platform or artifact of each member
	}{
		{"image", func(s imagetest.Store) v1.Descriptor { return s.Image("linux/arm64/v8", base, top, base) }, "linux/arm64"},
		{"platform-in-configuration", func(s imagetest.Store) v1.Descriptor { return s.Manifest("linux/mips", [][]byte{base}, nil) }, "linux/mips"},
		{"index", func(s imagetest.Store) v1.Descriptor {
			app := s.Image("linux/amd64", base)
			return s.Index(app, s.Image("linux/mips", base, top), imagetest.Attestation(s.Image("linux/amd64", imagetest.Layer("sbom="))), app)
		}, "linux/amd64 linux/mips"},
		{"nested", func(s imagetest.Store) v1.Descriptor { return s.Index(s.Index(s.Image("linux/mips", base))) }, "linux/mips"},
		{"artifact", func(s imagetest.Store) v1.Descriptor {
			return s.Manifest("linux/amd64", [][]byte{[]byte("x")}, func(m *v1.Manifest, _ *v1.Image) { m.ArtifactType = "application/x-chart" })
		}, "application/x-chart"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := imagetest.Store{}
			d := imagetest.Tagged(tc.make(s), "1")
			all := list(t, s.Layout(d))
			if len(all) != 1 || all[0].Problem != nil || all[0].Tag != "1" || all[0].Size != sizeOf(s) || all[0].Descriptor.Digest != d.Digest {
				t.Fatalf("%+v; there are %d bytes", all, sizeOf(s))
			}
			var got []string
			for _, m := range all[0].Members {
				text := m.ArtifactType
				if text == "" {
					text = image.FormatPlatform(m.Platform)
				}
				got = append(got, text)
			}
			if strings.Join(got, " ") != tc.want {
				t.Errorf("members %q, want %q", got, tc.want)
			}
		})
	}
}

// What is wrong with one entry is said of it alone.
func TestListProblems(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		spoil      func(s imagetest.Store, d v1.Descriptor)
	}{
		{"manifest-missing", "is missing", func(s imagetest.Store, d v1.Descriptor) { delete(s, d.Digest) }},
		{"manifest-damaged", "the bytes have digest", func(s imagetest.Store, d v1.Descriptor) {
			s[d.Digest] = append([]byte{' '}, s[d.Digest][1:]...)
		}},
		{"layer-missing", "layer 1: blob " + string(digest.FromBytes(top)) + " is missing", func(s imagetest.Store, d v1.Descriptor) { delete(s, digest.FromBytes(top)) }},
		{"layer-short", "layer 1: blob", func(s imagetest.Store, d v1.Descriptor) { s[digest.FromBytes(top)] = top[1:] }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := imagetest.Store{}
			good, bad := imagetest.Tagged(s.Image(here, base), "good"), imagetest.Tagged(s.Image(here, top), "bad")
			tc.spoil(s, bad)
			all := list(t, s.Layout(bad, good))
			if len(all) != 2 || all[1].Problem != nil || !strings.Contains(fmt.Sprint(all[0].Problem), tc.text) {
				t.Errorf("%+v, want %q", all, tc.text)
			}
		})
	}
}

// Of an index some platforms may be elsewhere.
func TestListMissing(t *testing.T) {
	s := imagetest.Store{}
	one, two := s.Image("linux/amd64", base), imagetest.Store{}.Image("linux/mips", top)
	idx := s.Index(one, two)
	all := list(t, s.Layout(idx))
	if len(all) != 1 || all[0].Problem != nil || len(all[0].Members) != 2 || all[0].Members[0].Missing || !all[0].Members[1].Missing || all[0].Size != sizeOf(s) {
		t.Errorf("%+v", all)
	}
}
