// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"fmt"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Step is one step of an image's history.
type Step struct {
	// History is what the configuration says of the step; all of it is zero for a
	// layer that the history does not account for.
	v1.History

	// Layer is the index of the layer that the step made, lowest first from 0; -1
	// when it made none, or one that the image does not have.
	Layer int
}

// History are the steps that made an image, the oldest first. The history is a
// record and not checked against anything: each step without empty_layer stands
// for the next layer (OCI image-spec, config.md, "history"). When these are not
// as many as the layers that is a warning; steps that are too many have no
// layer, and layers that are too many are steps of their own.
func (img *Image) History() ([]Step, []Warning) {
	steps := make([]Step, 0, max(len(img.Config.History), len(img.Layers)))
	made := 0
	for _, h := range img.Config.History {
		step := Step{History: h, Layer: -1}
		if !h.EmptyLayer {
			if made < len(img.Layers) {
				step.Layer = made
			}
			made++
		}
		steps = append(steps, step)
	}
	for i := made; i < len(img.Layers); i++ {
		steps = append(steps, Step{Layer: i})
	}
	if made == len(img.Layers) {
		return steps, nil
	}
	text := fmt.Sprintf("layers in the history: %d, in the image: %d", made, len(img.Layers))
	if len(img.Config.History) == 0 {
		text = "there is no history, only layers"
	}
	return steps, []Warning{{Rule: 164, Layer: -1, Text: text}}
}
