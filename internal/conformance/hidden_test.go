// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
	merge "github.com/seed-81b0d42e/flatten/pkg/whiteout"
)

// TestHidden compares what is said to be hidden with what is there after each
// layer: a path that a layer makes go, or makes another file of, was hidden by
// that layer.
func TestHidden(t *testing.T) {
	hidden := 0
	for _, c := range Cases() {
		if c.Err != "" || c.Want == nil {
			continue
		}
		m, err := flatten.Load(t.Context(), c.Image(), flatten.Options{FollowLowerSymlinks: c.FollowLower})
		if err != nil {
			continue // TestRule says so
		}
		opts := merge.Options{FollowLower: c.FollowLower}
		list, err := merge.Hidden(m.View.Layers, opts)
		if err != nil {
			t.Errorf("%s: %v", c.ID, err)
		}
		var got []string
		for _, h := range list {
			got = append(got, fmt.Sprintf("layer %d hides %q of %v, alive %v", h.By.Layer+1, h.Name, h.At, h.Alive))
		}
		want := lost(t, m.View, opts)
		slices.Sort(got)
		slices.Sort(want)
		if !cmp.Equal(got, want) {
			t.Errorf("%s: %s", c.ID, cmp.Diff(want, got))
		}
		hidden += len(list)
		m.Close()
	}
	if hidden < 50 {
		t.Errorf("only %d paths are hidden in all cases", hidden)
	}
}

// lost lists what each layer takes away, by the views before and after it.
func lost(t *testing.T, whole *merge.View, opts merge.Options) []string {
	t.Helper()
	alive := map[merge.Position]bool{}
	for i := range whole.Paths {
		if !whole.Paths[i].Dir {
			alive[whole.Content(&whole.Paths[i])] = true
		}
	}
	var list []string
	var before *merge.View
	for n := range len(whole.Layers) + 1 {
		after := prefix(t, whole.Layers[:n], opts)
		now := map[string]*merge.Path{}
		for i := range after.Paths {
			now[after.Paths[i].Name] = &after.Paths[i]
		}
		for i := 0; before != nil && i < len(before.Paths); i++ {
			p := &before.Paths[i]
			q := now[p.Name]
			if q == nil || q.Dir != p.Dir || !p.Dir && q.At != p.At || p.Dir && q.First.Layer == int32(n-1) {
				lives := !p.Dir && alive[before.Content(p)]
				list = append(list, fmt.Sprintf("layer %d hides %q of %v, alive %v", n, p.Name, p.At, lives))
			}
		}
		before = after
	}
	return list
}

func prefix(t *testing.T, layers []*toc.Layer, opts merge.Options) *merge.View {
	t.Helper()
	v, err := merge.Merge(layers, opts)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
