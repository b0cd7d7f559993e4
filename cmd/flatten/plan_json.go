// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"strings"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/plan"
)

// planJSON is what plan --json prints. Fields are added, never renamed. All
// sizes are bytes: of tar streams, or where the name says so of blobs. Layers are
// indices, lowest first from 0. Extents follow, unless --summary leaves them out.
type planJSON struct {
	Reference    string          `json:"reference"`
	Manifest     string          `json:"manifest,omitempty"`
	ConfigID     string          `json:"configDigest"`
	Platform     string          `json:"platform"`
	Size         int64           `json:"size"`
	Entries      int             `json:"entries"`
	Copied       int64           `json:"copied"`
	Encoded      int64           `json:"encoded"`
	New          int64           `json:"new"`
	Output       int64           `json:"output"` // about how many bytes as gzip
	Dropped      int64           `json:"dropped"`
	Wasted       int64           `json:"wasted"`
	WastedStored int64           `json:"wastedStored"`
	Layers       []planLayerJSON `json:"layers"`
	Waste        []wasteJSON     `json:"waste"`
	WastedPaths  int             `json:"wastedPaths"` // in all, when --top cuts waste off
}

type planLayerJSON struct {
	Digest  string `json:"digest"`
	DiffID  string `json:"diffID"`
	Stored  int64  `json:"stored"`
	Size    int64  `json:"size"`
	Entries int    `json:"entries"`
	Copied  int64  `json:"copied"`
	Encoded int64  `json:"encoded"`
	Dropped int64  `json:"dropped"`
	Wasted  int64  `json:"wasted"`
	Hides   int64  `json:"hides"`
}

// wasteJSON is a path that a layer brought and a later one hides.
type wasteJSON struct {
	Path      string `json:"path"`
	PathBytes []byte `json:"pathBytes,omitempty"` // when it is not UTF-8
	Directory bool   `json:"directory"`
	Files     int    `json:"files"`
	Layer     int32  `json:"layer"`
	HiddenBy  int32  `json:"hiddenBy"`
	Replaced  bool   `json:"replaced"`
	Size      int64  `json:"size"`
	Stored    int64  `json:"stored"`
}

// extentJSON is a run of the output: of kind "copy" from the layer's tar at
// offset, a new "header" for a path, or "zeros".
type extentJSON struct {
	Kind      string `json:"kind"`
	Layer     *int32 `json:"layer,omitempty"`
	Offset    *int64 `json:"offset,omitempty"`
	Length    int64  `json:"length"`
	Copied    int64  `json:"copied"`
	Path      string `json:"path,omitempty"`
	PathBytes []byte `json:"pathBytes,omitempty"`
}

// json prints the report as one object, an extent a line.
func (r *planReport) json(w io.Writer) error {
	head, err := marshalJSON(r.value(), "  ")
	if err != nil {
		return err
	}
	if !r.extents {
		_, err = io.WriteString(w, head)
		return err
	}
	io.WriteString(w, strings.TrimSuffix(head, "\n}\n")+",\n  \"extents\": [")
	for i, e := range r.plan.Extents {
		line, err := marshalJSON(r.extent(i, e), "")
		if err != nil {
			return err
		}
		separator := ",\n    "
		if i == 0 {
			separator = "\n    "
		}
		io.WriteString(w, separator+strings.TrimSuffix(line, "\n"))
	}
	_, err = io.WriteString(w, "\n  ]\n}\n")
	return err
}

func (r *planReport) value() *planJSON {
	img, t := r.merged.Image, r.tally
	out := &planJSON{
		Reference: img.Reference, Manifest: string(img.Digest), ConfigID: string(img.ConfigDigest),
		Platform: image.FormatPlatform(img.Platform),
		Size:     r.plan.Size, Entries: r.plan.Entries,
		Copied: t.Copied, Encoded: t.Encoded, New: t.New, Output: t.Output,
		Dropped: t.Dropped, Wasted: t.Wasted, WastedStored: t.WastedStored,
		Layers: []planLayerJSON{}, Waste: []wasteJSON{}, WastedPaths: len(t.Waste),
	}
	for i, l := range r.merged.View.Layers {
		sum := t.Layers[i]
		out.Layers = append(out.Layers, planLayerJSON{
			Digest: string(l.Digest), DiffID: string(l.DiffID), Stored: l.BlobSize, Size: l.Size, Entries: len(l.Entries),
			Copied: sum.Copied, Encoded: sum.Encoded, Dropped: sum.Dropped, Wasted: sum.Wasted, Hides: sum.Hides,
		})
	}
	for _, x := range r.waste {
		out.Waste = append(out.Waste, wasteJSON{
			Path: x.Path, PathBytes: odd(x.Path), Directory: x.Dir, Files: x.Files,
			Layer: x.Layer, HiddenBy: x.By, Replaced: x.Replaced, Size: x.Size, Stored: x.Stored,
		})
	}
	return out
}

func (r *planReport) extent(i int, e plan.Extent) *extentJSON {
	path := r.pathAt(e)
	j := &extentJSON{Kind: e.Kind.String(), Length: e.Length, Copied: r.tally.Extents[i], Path: path, PathBytes: odd(path)}
	if e.Kind == plan.Copy {
		j.Layer, j.Offset = &e.Layer, &e.Offset
	}
	return j
}
