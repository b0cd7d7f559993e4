// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"sort"
	"strconv"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/plan"
	"github.com/seed-81b0d42e/flatten/pkg/tally"
)

const planDescription = `  $ flatten plan --summary oci:fixtures/hello

Shows what flattening would do, without doing it: the extents of the output in
order, then what becomes of the layers' bytes, and the paths that make the image
larger than what can be seen of it.

An extent is a run of the output's tar that comes from one place: bytes of a
layer's tar, a header written anew, or zeros. COPIED is how many of its bytes are
copied as compressed blocks; the rest is compressed again. PATH is the entry that it
begins in.

A layer's bytes are copied, encoded (in the output, but compressed again) or
dropped; those of headers written anew and of zeros are new. Dropped ones are wasted
when they belong to a path that a later layer hides: it was stored, and is fetched,
for nothing. HIDES is what a layer hides of those below. STORED counts bytes of the
blob, for waste about. Paths with less than a hundredth of what is wasted are listed
as the folder that they are in.`

func planCommand(p process, u *ui) *cli.Command {
	return newCommand(&cli.Command{
		Name:        "plan",
		Usage:       "show what flattening would do, and what is wasted",
		ArgsUsage:   "IMAGE",
		Description: planDescription,
		Flags: slices.Concat([]cli.Flag{
			&cli.BoolFlag{DisableDefaultText: true, Name: "summary", Aliases: []string{"s"}, Category: groupOutput,
				Usage: "leave the extents out"},
			&cli.IntFlag{Name: "top", Value: 10, Category: groupOutput,
				Usage: "list the `N` most wasteful paths or folders; 0 lists each path, as --json does without this flag"},
			&cli.BoolFlag{DisableDefaultText: true, Name: "canonical", Category: groupOutput,
				Usage: "plan what flatten --canonical would do"},
			&cli.BoolFlag{DisableDefaultText: true, Name: "root-entry", Category: groupOutput,
				Usage: "plan what flatten --root-entry would do"},
			&cli.BoolFlag{DisableDefaultText: true, Name: "json", Category: groupOutput,
				Usage: "print one JSON object"},
		}, mergeFlags()),
		Action: func(c *cli.Context) error { return planAction(c, p, u) },
	}, u)
}

func planAction(c *cli.Context, p process, u *ui) error {
	if c.Int("top") < 0 {
		return usagef("--top %d: it is a number of paths, or 0 for all", c.Int("top"))
	}
	opts, err := mergeOptions(c)
	if err != nil {
		return err
	}
	opts.Canonical, opts.RootEntry = c.Bool("canonical"), c.Bool("root-entry")
	if err := setEpoch(p, &opts); err != nil {
		return err
	}
	text, err := argument(c)
	if err != nil {
		return image.WithHint(err, "flatten plan alpine:3.20, flatten plan oci:DIR:TAG")
	}
	return withMerged(c, p, u, text, func(m *flatten.Merged) error {
		r, err := newPlanReport(c, m, opts)
		if err != nil {
			return err
		}
		out := &sticky{w: p.stdout}
		buffered := bufio.NewWriterSize(out, 64<<10)
		if c.Bool("json") {
			err = r.json(buffered)
		} else {
			r.quote = quotePipe
			if isTerminal(p.stdout) {
				r.quote = quoteTTY
			}
			r.text(buffered)
		}
		if err != nil {
			return err
		}
		buffered.Flush()
		return stdoutError(out.err)
	})
}

// planReport is what the plan command says of an image.
type planReport struct {
	merged  *flatten.Merged
	plan    *plan.Plan
	tally   *tally.Tally
	waste   []tally.Waste // what is listed
	left    int           // how many paths are not
	extents bool
	quote   func(name, also string) string
}

func newPlanReport(c *cli.Context, m *flatten.Merged, opts flatten.Options) (*planReport, error) {
	p := m.Plan(opts)
	pieces, err := m.Pieces(p, opts)
	if err != nil {
		return nil, err
	}
	hidden, err := m.Hidden(opts)
	if err != nil {
		return nil, err
	}
	r := &planReport{merged: m, plan: p, tally: tally.Of(p, pieces, hidden), extents: !c.Bool("summary")}
	r.chooseWaste(c)
	return r, nil
}

// foldBelow is the share of all waste, 1 in so many bytes, below which a path is
// listed with its folder.
const foldBelow = 100

// chooseWaste decides which paths of waste are listed.
func (r *planReport) chooseWaste(c *cli.Context) {
	r.waste = r.tally.Waste
	top := c.Int("top")
	if top == 0 || c.Bool("json") && !c.IsSet("top") {
		return
	}
	if !c.Bool("json") {
		r.waste = tally.Fold(r.waste, r.tally.Wasted/foldBelow)
	}
	r.left = max(0, len(r.waste)-top)
	r.waste = r.waste[:len(r.waste)-r.left]
}

// text prints the report for people.
func (r *planReport) text(w io.Writer) {
	if r.extents {
		r.extentLines(w)
		fmt.Fprintln(w)
	}
	t := r.tally
	fmt.Fprintf(w, "%d bytes of tar, %d entries: %d copied, %d encoded, %d of these new; about %s as gzip\n\n",
		r.plan.Size, r.plan.Entries, t.Copied, t.Encoded, t.New, formatBytes(t.Output))
	r.layerLines(w)
	fmt.Fprintln(w)
	if len(t.Waste) == 0 {
		fmt.Fprintln(w, "no layer hides anything of another")
		return
	}
	fmt.Fprintf(w, "%s wasted, about %s as stored: later layers hide it\n\n", formatBytes(t.Wasted), formatBytes(t.WastedStored))
	r.wasteLines(w)
}

// extentLines prints the extents in columns as wide as their widest number can be.
func (r *planReport) extentLines(w io.Writer) {
	number := max(len("COPIED"), len(strconv.FormatInt(r.plan.Size, 10)))
	from := 0
	for i, l := range r.merged.View.Layers {
		from = max(from, len(plan.Extent{Kind: plan.Copy, Layer: int32(i), Offset: l.Size, Length: 1}.String()))
	}
	from = max(0, from-len("copy "))
	fmt.Fprintf(w, "%*s  %*s  %*s  %-*s  %s\n", number, "OFFSET", number, "LENGTH", number, "COPIED", from, "FROM", "PATH")
	offset := int64(0)
	for i, e := range r.plan.Extents {
		source := "header"
		switch e.Kind {
		case plan.Copy:
			source = e.String()[len("copy "):]
		case plan.Zero:
			source = "zeros"
		}
		path := r.pathAt(e)
		if path != "" {
			path = "  " + r.quote(path, "")
		}
		if path == "" {
			from = 0
		}
		fmt.Fprintf(w, "%*d  %*d  %*d  %-*s%s\n", number, offset, number, e.Length, number, r.tally.Extents[i], from, source, path)
		offset += e.Length
	}
}

// pathAt is the name of the entry that an extent begins in, or the path that it
// is the header of; empty for zeros.
func (r *planReport) pathAt(e plan.Extent) string {
	switch e.Kind {
	case plan.Zero:
		return ""
	case plan.Header:
		if e.Offset < 0 {
			return "./"
		}
		return r.merged.View.Paths[e.Offset].Name
	}
	entries := r.merged.View.Layers[e.Layer].Entries
	n := sort.Search(len(entries), func(n int) bool { return entries[n].Start > e.Offset }) - 1
	if n < 0 {
		return ""
	}
	return entries[n].Name
}

// layerLines prints a row for each layer, and their sum.
func (r *planReport) layerLines(w io.Writer) {
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(columns, "LAYER\tSTORED\tTAR\tCOPIED\tENCODED\tDROPPED\tWASTED\tHIDES\t")
	var stored, tar, hides int64
	for i, l := range r.merged.View.Layers {
		sum := &r.tally.Layers[i]
		sizeRow(columns, fmt.Sprintf("%d %s", i+1, shortDigest(l.Digest)),
			l.BlobSize, l.Size, sum.Copied, sum.Encoded, sum.Dropped, sum.Wasted, sum.Hides)
		stored, tar, hides = stored+l.BlobSize, tar+l.Size, hides+sum.Hides
	}
	sizeRow(columns, "new", 0, 0, 0, r.tally.New, 0, 0, 0)
	sizeRow(columns, "all", stored, tar, r.tally.Copied, r.tally.Encoded, r.tally.Dropped, r.tally.Wasted, hides)
	columns.Flush()
}

// sizeRow prints a name and sizes.
func sizeRow(w io.Writer, name string, sizes ...int64) {
	fmt.Fprintf(w, "%s\t", name)
	for _, n := range sizes {
		fmt.Fprintf(w, "%s\t", formatBytes(n))
	}
	fmt.Fprintln(w)
}

// wasteLines prints the most wasteful paths.
func (r *planReport) wasteLines(w io.Writer) {
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(columns, "SIZE\tSTORED\tFILES\tWRITTEN BY\tHIDDEN BY\t PATH")
	for _, x := range r.waste {
		name := x.Path
		if x.Dir {
			name += "/"
		}
		how := "removed by"
		if x.Replaced {
			how = "replaced by"
		}
		fmt.Fprintf(columns, "%s\t%s\t%d\tlayer %d\t%s %d\t %s\n",
			formatBytes(x.Size), formatBytes(x.Stored), x.Files, x.Layer+1, how, x.By+1, r.quote(name, ""))
	}
	columns.Flush()
	if r.left > 0 {
		fmt.Fprintf(w, "and %d more; --top 0 lists each path\n", r.left)
	}
}
