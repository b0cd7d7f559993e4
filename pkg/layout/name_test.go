// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package layout_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/pkg/image/imagetest"
	"github.com/seed-81b0d42e/flatten/pkg/layout"
)

// What an image is called when nobody says it: see the package comment.
func TestAddNames(t *testing.T) {
	o := &origin{Store: imagetest.Store{}}
	var images []v1.Descriptor
	for i := range 4 {
		images = append(images, o.Image(here, imagetest.Layer(fmt.Sprint("n=", i))))
	}
	type step struct {
		image     int
		tag, name string // at the source
		opt       layout.AddOptions
		reference string // behind the folder; or the begin of an error
		replaced  int    // -1: nothing
	}
	whole := func(name string) string { return "docker.io/library/" + name }
	for _, tc := range []struct {
		name  string
		steps []step
		want  []string // tag|name image
	}{
		{"tag", []step{{0, "1", whole("a:1"), layout.AddOptions{}, ":1", -1}}, []string{"1|" + whole("a:1") + " 0"}},
		{"newer", []step{{0, "1", whole("a:1"), layout.AddOptions{}, ":1", -1}, {1, "1", whole("a:1"), layout.AddOptions{}, ":1", 0}},
			[]string{"1|" + whole("a:1") + " 1"}},
		{"another-image", []step{{0, "1", whole("a:1"), layout.AddOptions{}, ":1", -1}, {1, "1", whole("b:1"), layout.AddOptions{}, ":" + whole("b:1"), -1}},
			[]string{"1|" + whole("a:1") + " 0", whole("b:1") + "|" + whole("b:1") + " 1"}},
		{"another-image-newer", []step{{0, "1", whole("a:1"), layout.AddOptions{}, ":1", -1}, {1, "1", whole("b:1"), layout.AddOptions{}, ":" + whole("b:1"), -1},
			{2, "1", whole("a:1"), layout.AddOptions{}, ":1", 0}, {3, "1", whole("b:1"), layout.AddOptions{}, ":" + whole("b:1"), 1}},
			[]string{"1|" + whole("a:1") + " 2", whole("b:1") + "|" + whole("b:1") + " 3"}},
		{"same-image-other-name", []step{{0, "1", whole("a:1"), layout.AddOptions{}, ":1", -1}, {0, "1", whole("b:1"), layout.AddOptions{}, ":" + whole("b:1"), -1}},
			[]string{"1|" + whole("a:1") + " 0", whole("b:1") + "|" + whole("b:1") + " 0"}},
		{"same-image-learns-name", []step{{0, "", "", layout.AddOptions{Tag: "1"}, ":1", -1}, {0, "1", whole("a:1"), layout.AddOptions{}, ":1", -1}, {0, "1", "", layout.AddOptions{}, ":1", -1}},
			[]string{"1|" + whole("a:1") + " 0"}},
		{"whole-name", []step{{0, "1", whole("a:1"), layout.AddOptions{WholeName: true}, ":" + whole("a:1"), -1}, {1, "1", whole("a:1"), layout.AddOptions{}, ":" + whole("a:1"), 0}},
			[]string{whole("a:1") + "|" + whole("a:1") + " 1"}},
		{"given", []step{{0, "1", whole("a:1"), layout.AddOptions{Tag: "x"}, ":x", -1}}, []string{"x| 0"}},
		{"given-of-another", []step{{0, "1", whole("a:1"), layout.AddOptions{}, ":1", -1}, {1, "2", whole("b:2"), layout.AddOptions{Tag: "1"}, ":1", 0}},
			[]string{"1| 1"}},
		{"given-whole", []step{{0, "1", whole("a:1"), layout.AddOptions{}, ":1", -1}, {1, "2", whole("b:2"), layout.AddOptions{Tag: whole("a:1")}, ":" + whole("a:1"), -1}},
			[]string{"1| 0", whole("a:1") + "|" + whole("a:1") + " 1"}},
		{"short-name-only", []step{{0, "1", "", layout.AddOptions{}, ":1", -1}, {1, "1", "", layout.AddOptions{}, ":1", 0}}, []string{"1| 1"}},
		{"short-name-of-another", []step{{0, "1", whole("a:1"), layout.AddOptions{}, ":1", -1}, {1, "1", "", layout.AddOptions{}, "tag \"1\" is that of another image", -1}},
			[]string{"1|" + whole("a:1") + " 0"}},
		{"unknown-provenance", []step{{0, "", "", layout.AddOptions{Tag: "1"}, ":1", -1}, {1, "1", whole("a:1"), layout.AddOptions{}, ":" + whole("a:1"), -1}},
			[]string{"1| 0", whole("a:1") + "|" + whole("a:1") + " 1"}},
		{"none", []step{{0, "", "", layout.AddOptions{}, "@0", -1}, {1, "", "", layout.AddOptions{}, "@1", -1}, {0, "", "", layout.AddOptions{}, "@0", -1}},
			[]string{"| 0", "| 1"}},
		{"none-but-tagged", []step{{0, "1", whole("a:1"), layout.AddOptions{}, ":1", -1}, {0, "", "", layout.AddOptions{}, "@0", -1}},
			[]string{"1|" + whole("a:1") + " 0"}},
		{"hostile", []step{{0, "1\n\x1b", "", layout.AddOptions{}, `test: the image's name "1\n\x1b" cannot be a tag`, -1}}, []string{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			s := createStore(t, dir)
			for i, st := range tc.steps {
				a, err := s.Add(ctx, o.root(images[st.image], st.tag, st.name), st.opt)
				if err != nil {
					if !strings.Contains(err.Error(), st.reference) {
						t.Errorf("step %d: %v", i, err)
					}
					continue
				}
				want := st.reference
				if strings.HasPrefix(want, "@") {
					want = "@" + string(images[st.image].Digest)
				}
				var replaced digest.Digest
				if st.replaced >= 0 {
					replaced = images[st.replaced].Digest
				}
				if a.Reference != "oci:"+dir+want || a.Replaced != replaced {
					t.Errorf("step %d: %s in place of %q, want %s in place of %q", i, a.Reference, a.Replaced, want, replaced)
				}
			}
			got := index(t, dir)
			for i := range got {
				for n, d := range images {
					got[i] = strings.Replace(got[i], string(d.Digest), fmt.Sprint(n), 1)
				}
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("index.json has %q, want %q", got, tc.want)
			}
		})
	}
}
