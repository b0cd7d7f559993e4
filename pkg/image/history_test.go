// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// Steps pair up with layers in order, the empty ones passed over, whatever the
// history says.
func TestHistory(t *testing.T) {
	run := v1.History{CreatedBy: "RUN"}
	env := v1.History{CreatedBy: "ENV", EmptyLayer: true}
	for _, test := range []struct {
		name    string
		history []v1.History
		layers  int
		want    []int // the layer of each step
		warning string
	}{
		{"as many", []v1.History{run, env, run, env}, 2, []int{0, -1, 1, -1}, ""},
		{"no layers", []v1.History{env}, 0, []int{-1}, ""},
		{"nothing at all", nil, 0, nil, ""},
		{"too few steps", []v1.History{env, run}, 3, []int{-1, 0, 1, 2}, "layers in the history: 1, in the image: 3"},
		{"too many steps", []v1.History{run, run, env, run}, 1, []int{0, -1, -1, -1}, "layers in the history: 3, in the image: 1"},
		{"all empty", []v1.History{env}, 1, []int{-1, 0}, "layers in the history: 0, in the image: 1"},
		{"no history", nil, 2, []int{0, 1}, "there is no history, only layers"},
	} {
		t.Run(test.name, func(t *testing.T) {
			img := &image.Image{Config: v1.Image{History: test.history}, Layers: make([]image.Layer, test.layers)}
			steps, warnings := img.History()
			if len(steps) != len(test.want) {
				t.Fatalf("%d steps, want %d: %+v", len(steps), len(test.want), steps)
			}
			for i, s := range steps {
				if s.Layer != test.want[i] {
					t.Errorf("step %d has layer %d, want %d", i, s.Layer, test.want[i])
				}
				if i < len(test.history) && s.CreatedBy != test.history[i].CreatedBy {
					t.Errorf("step %d is %q, want %q", i, s.CreatedBy, test.history[i].CreatedBy)
				}
			}
			switch {
			case test.warning == "" && len(warnings) > 0:
				t.Errorf("warns: %v", warnings)
			case test.warning != "" && (len(warnings) != 1 || !strings.HasPrefix(warnings[0].String(), test.warning)):
				t.Errorf("warnings %v, want %q", warnings, test.warning)
			}
		})
	}
}
