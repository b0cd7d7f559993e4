// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// Store copies r as an archive is stored.
func Store(w *os.File, r io.Reader) error {
	return store(&spooled{File: w}, r, &source{ctx: context.Background(), r: r}, image.Limits{}.WithDefaults())
}

// Index reads the headers of a tar file.
func Index(r io.ReaderAt, size int64) error {
	_, err := index(context.Background(), r, size, image.Limits{})
	return err
}

// What is parsed names a configuration for each image, and parses the same once
// more.
func FuzzParseSaved(f *testing.F) {
	for _, s := range []string{
		`[{"Config":"1f.json","RepoTags":["app:1"],"Layers":["a/layer.tar"]}]`,
		`[{"Config":"blobs/sha256/1f","RepoTags":null,"Layers":["blobs/sha256/ab"],"LayerSources":{"sha256:ab":{"size":1}}}]`,
		`[{"Config":"a","Layers":["x"]},{"Config":"a","RepoTags":["t"],"Layers":["x"]},{"Config":"b"}]`,
		`[null]`, `null`, `[]`, `{}`, `[{"config":"lower","Config":"a"}]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := parseSaved(b)
		if err != nil {
			if !errors.Is(err, image.ErrCorrupt) {
				t.Error(err)
			}
			return
		}
		if slices.ContainsFunc(all, func(s saved) bool { return s.Config == "" }) {
			t.Errorf("no configuration: %v", all)
		}
		again, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		if more, err := parseSaved(again); err != nil || len(more) != len(all) {
			t.Errorf("%s: %v", again, err)
		}
	})
}

// What is found is a member, whatever name is looked for.
func FuzzFind(f *testing.F) {
	t := &tarFS{members: map[string]member{
		"a": {offset: 1}, "d/b": {offset: 2}, "l": {link: "d/b"}, "d/up": {link: "../a"}, "e": {link: "d"}, "out": {link: "../x"}, "c": {link: "c/c"},
	}}
	for name := range t.members {
		f.Add(name)
	}
	for _, name := range []string{"../a", "d/../../a", "/a", "e/b", "./e//./b", "e/../l", ""} {
		f.Add(name)
	}
	f.Fuzz(func(tt *testing.T, name string) {
		if m, err := t.find(name); err == nil && m.offset != 1 && m.offset != 2 {
			tt.Errorf("%q: %+v", name, m)
		}
	})
}
