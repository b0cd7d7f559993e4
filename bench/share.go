// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/pkg/inflate"
	"github.com/seed-81b0d42e/flatten/pkg/layout"
	"github.com/seed-81b0d42e/flatten/pkg/plan"
)

// share is what of the compressed layers survives the merge.
type share struct {
	surviving        float64 // bytes of the blobs that stand for surviving bytes
	size             int64   // of the output
	copied, reencode int64   // bytes of the tar
}

// surviving flattens the image once more and compares the size of the output with
// the surviving bytes' share of the compressed layers: of each block as many of
// its bits as of its bytes are copied.
func (img *localImage) surviving(ctx context.Context) (*share, error) {
	opened, err := layout.OpenDir(ctx, img.dir, layout.Options{Tag: img.tag})
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	m, err := flatten.Load(ctx, opened, flatten.Options{})
	if err != nil {
		return nil, err
	}
	defer m.Close()
	r, err := m.Write(ctx, flatten.Options{Output: io.Discard})
	if err != nil {
		return nil, err
	}
	s := &share{size: r.Size, copied: r.Copied, reencode: r.Encoded}
	for _, e := range m.Plan(flatten.Options{}).Extents {
		if e.Kind == plan.Copy {
			s.surviving += bits(m.View.Layers[e.Layer].Blocks, e) / 8
		}
	}
	return s, nil
}

// bits is how many bits of the blob an extent's bytes take.
func bits(blocks []inflate.Block, e plan.Extent) (n float64) {
	for i := range blocks {
		b := &blocks[i]
		from, to := max(e.Offset, b.Offset), min(e.Offset+e.Length, b.Offset+b.Length)
		if from < to {
			n += float64(b.End-b.Start) * float64(to-from) / float64(b.Length)
		}
	}
	return n
}

// String is the share on one line; without block maps, as of zstd layers, there
// is none.
func (s *share) String() string {
	encoded := fmt.Sprintf("%.2f %% of %.1f MB encoded", 100*float64(s.reencode)/float64(s.copied+s.reencode),
		megabytes(s.copied+s.reencode))
	if s.surviving == 0 {
		return encoded
	}
	return fmt.Sprintf("%s; output %.3fx of the surviving bytes' share of the compressed layers, %.1f MB",
		encoded, float64(s.size)/s.surviving, s.surviving/1e6)
}
