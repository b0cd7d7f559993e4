// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

func (s sample) String() string {
	return fmt.Sprintf("%7.2f s wall %7.2f s cpu %7.1f MB peak %7.1f MB out",
		s.Wall, s.CPU, megabytes(s.RSS), megabytes(s.Size))
}

// median is the sample that has the median of each measure.
func median(samples []sample) sample {
	return sample{
		Wall: middle(samples, func(s sample) float64 { return s.Wall }),
		CPU:  middle(samples, func(s sample) float64 { return s.CPU }),
		RSS:  int64(middle(samples, func(s sample) float64 { return float64(s.RSS) })),
		Size: int64(middle(samples, func(s sample) float64 { return float64(s.Size) })),
	}
}

func middle(samples []sample, measure func(sample) float64) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = measure(s)
	}
	slices.SortFunc(values, cmp.Compare[float64])
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// report prints the table and all that it takes to repeat it.
func (b *bench) report(ctx context.Context, w io.Writer, rows []*row, o options) error {
	var out bytes.Buffer
	writeTable(&out, table(rows), o.markdown)
	b.writeFacts(ctx, &out, rows, o)
	for _, r := range rows {
		if r.missing != "" {
			fmt.Fprintf(&out, "missing: %s: %s\n", r.name, r.missing)
		}
		if r.note != "" && r.missing == "" {
			fmt.Fprintf(&out, "note: %s: %s\n", r.name, r.note)
		}
		for _, line := range r.details {
			fmt.Fprintf(&out, "differs: %s: %s\n", r.name, line)
		}
	}
	fmt.Fprintln(&out)
	for _, r := range rows {
		if r.missing == "" {
			fmt.Fprintf(&out, "# %s\n%s\n", r.name, r.command)
		}
	}
	fmt.Fprintln(&out, "# where")
	for _, v := range b.vars {
		fmt.Fprintf(&out, "%s=%s\n", v[0], v[1])
	}
	_, err := out.WriteTo(w)
	return err
}

func (b *bench) writeFacts(ctx context.Context, w io.Writer, rows []*row, o options) {
	fmt.Fprintf(w, "\nimage: %d layers, %.1f MB compressed, %s, manifest %s\n", len(b.image.manifest.Layers),
		megabytes(b.image.size()), b.image.manifest.Layers[0].MediaType, b.image.descriptor.Digest)
	if s, err := b.image.surviving(ctx); err != nil {
		fmt.Fprintf(w, "flatten: %v\n", err)
	} else {
		fmt.Fprintf(w, "flatten: %v\n", s)
	}
	fmt.Fprintf(w, "machine: %s\n", machine())
	fmt.Fprintf(w, "versions: %s\n", strings.Join(b.versions(ctx, rows), "; "))
	how := fmt.Sprintf("medians of %d runs, or as many as there were, in turn after one to warm up; "+
		"all with a warm page cache", o.runs)
	if o.runs == 0 {
		how = "one run each, nothing warmed up"
	}
	fmt.Fprintf(w, "%s; peak is the largest process; ratios are how much less than the first row\n", how)
}

// table has a line of cells for each row that ran, the first being the heads.
func table(rows []*row) [][]string {
	cells := [][]string{{"", "wall", "min-max", "CPU", "peak", "output", "entries", "filesystem", "wall ratio", "CPU ratio"}}
	var first *sample
	for _, r := range rows {
		if r.missing != "" || len(r.samples) == 0 {
			continue
		}
		m := median(r.samples)
		if first == nil {
			first = &m
		}
		low, high := spread(r.samples)
		cells = append(cells, []string{
			r.name, fmt.Sprintf("%.2f s", m.Wall), fmt.Sprintf("%.2f-%.2f", low, high), fmt.Sprintf("%.2f s", m.CPU),
			fmt.Sprintf("%.0f MB", megabytes(m.RSS)), fmt.Sprintf("%.1f MB", megabytes(m.Size)),
			fmt.Sprint(r.entries), r.differs,
			fmt.Sprintf("%.1fx", first.Wall/m.Wall), fmt.Sprintf("%.1fx", first.CPU/m.CPU),
		})
	}
	return cells
}

func spread(samples []sample) (low, high float64) {
	low, high = samples[0].Wall, samples[0].Wall
	for _, s := range samples {
		low, high = min(low, s.Wall), max(high, s.Wall)
	}
	return low, high
}

// writeTable aligns the first column left and the others right.
func writeTable(w io.Writer, cells [][]string, markdown bool) {
	widths := make([]int, len(cells[0]))
	for _, line := range cells {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(strings.ReplaceAll(cell, "|", `\|`)))
		}
	}
	for n, line := range cells {
		if n == 1 && markdown {
			fmt.Fprintf(w, "| --- |%s\n", strings.Repeat(" ---: |", len(line)-1))
		}
		for i, cell := range line {
			if markdown {
				fmt.Fprint(w, "| ")
				cell = strings.ReplaceAll(cell, "|", `\|`)
			}
			width := widths[i]
			if i == 0 {
				width = -width
			}
			fmt.Fprintf(w, "%*s ", width, cell)
			if !markdown {
				fmt.Fprint(w, " ")
			}
		}
		if markdown {
			fmt.Fprint(w, "|")
		}
		fmt.Fprintln(w)
	}
}
