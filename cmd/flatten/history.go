// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// historyCommand is "flatten history".
func historyCommand(p process, u *ui) *cli.Command {
	return newCommand(&cli.Command{
		Name:      "history",
		Usage:     "show the steps that made an image, and what each added",
		ArgsUsage: "IMAGE",
		Description: `  $ flatten history alpine:3.20

Prints a row for each step, the newest first: the layer that it made, or <empty>,
when and how, and a comment. Sizes are those of the layers as they are stored, so
mostly compressed, since no layer is downloaded for them.

--json prints one object. It also has the uncompressed size of a layer that is
stored uncompressed, or that flatten has read before and remembers.

--format is as in Docker: table, table TEMPLATE, json, or a Go TEMPLATE for each
row. A row has ID, CreatedSince, CreatedAt, CreatedBy, Size and Comment, as
Docker's has, and Layer and Empty.`,
		Flags: slices.Concat([]cli.Flag{
			&cli.StringFlag{Name: "format", Category: groupOutput,
				Usage: "print rows by a Go `TEMPLATE`, or table, or json"},
			&cli.BoolFlag{DisableDefaultText: true, Name: "no-trunc", Category: groupOutput,
				Usage: "print digests and commands in full"},
			&cli.BoolFlag{Name: "human", Aliases: []string{"H"}, Value: true, Category: groupOutput,
				Usage: "print sizes and times for people; --human=false prints bytes and dates"},
			&cli.BoolFlag{DisableDefaultText: true, Name: "json", Category: groupOutput,
				Usage: "print one JSON object instead of a table"},
		}, openFlags(), cacheFlags()),
		Action: func(c *cli.Context) error { return historyAction(c, p, u) },
	}, u)
}

func historyAction(c *cli.Context, p process, u *ui) error {
	if c.Bool("json") && c.IsSet("format") {
		return usagef("--json does not go with --format; --format json prints a JSON object for each row")
	}
	form, err := newRows(c.String("format"), historyTable(c.Bool("human")), historyHeader)
	if err != nil {
		return err
	}
	var opts flatten.Options
	if err := setCache(c, &opts); err != nil {
		return err
	}
	text, err := argument(c)
	if err != nil {
		return err
	}
	img, err := openImage(c, p, u, text)
	if err != nil {
		return err
	}
	defer img.Close()
	steps, warnings := img.History()
	warnings = append(slices.Clone(img.Warnings), warnings...)
	slices.Reverse(steps)
	u.warnings(warnings)
	var out string
	if c.Bool("json") {
		out, err = marshalJSON(newHistoryJSON(c.Context, img, steps, warnings, opts.Cache), "  ")
	} else {
		r := historian{img: img, now: time.Now(), human: c.Bool("human"), trunc: !c.Bool("no-trunc"), table: form.table}
		var b strings.Builder
		err = form.write(&b, r.rows(steps))
		out = b.String()
	}
	if err != nil {
		return err
	}
	return printResult(p.stdout, out)
}

// historyTable is the template of the usual table.
func historyTable(human bool) string {
	if human {
		return `{{.Layer}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}`
	}
	return `{{.Layer}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}`
}

var historyHeader = map[string]string{
	"ID": "IMAGE", "Layer": "LAYER", "CreatedSince": "CREATED", "CreatedAt": "CREATED AT",
	"CreatedBy": "CREATED BY", "Size": "SIZE", "Empty": "EMPTY", "Comment": "COMMENT",
}

// historyRow is what a template sees of a step: Docker's names, Empty and Layer.
type historyRow struct {
	Comment      string
	CreatedAt    string
	CreatedBy    string
	CreatedSince string
	Empty        bool
	ID           string
	Layer        string
	Size         string
}

// historian renders steps.
type historian struct {
	img                 *image.Image
	now                 time.Time
	human, trunc, table bool
}

func (h historian) rows(steps []image.Step) []any {
	rows := make([]any, len(steps))
	for i, s := range steps {
		row := historyRow{
			Comment: s.Comment, CreatedBy: strings.ReplaceAll(s.CreatedBy, "\t", " "),
			Empty: s.EmptyLayer, ID: "<missing>", Layer: "<missing>", Size: "N/A",
		}
		row.CreatedAt, row.CreatedSince = h.times(s)
		if i == 0 {
			row.ID = h.digest(string(h.img.ConfigDigest))
		}
		if s.EmptyLayer {
			row.Layer, row.Size = "<empty>", h.size(0)
		}
		if s.Layer >= 0 {
			l := &h.img.Layers[s.Layer]
			row.Layer = h.digest(string(cmp.Or(l.Digest, l.DiffID)))
			row.Size = h.size(l.Size)
		}
		if h.table {
			row.Comment, row.CreatedBy = cell(row.Comment), cell(row.CreatedBy)
		}
		if h.trunc {
			row.CreatedBy = shorten(row.CreatedBy, 45)
		}
		rows[i] = row
	}
	return rows
}

// times are when a step was made, as a date and for people. A time before this
// century is one that stands for none.
func (h historian) times(s image.Step) (at, since string) {
	if s.Created == nil {
		return "N/A", "N/A"
	}
	at = s.Created.Local().Format(time.RFC3339)
	switch {
	case !h.human:
		return at, at
	case s.Created.Year() < 2000:
		return at, "N/A"
	}
	return at, age(h.now.Sub(*s.Created)) + " ago"
}

func (h historian) size(n int64) string {
	if h.human {
		return dockerSize(n)
	}
	return strconv.FormatInt(n, 10)
}

// digest is a digest as Docker shows it.
func (h historian) digest(d string) string {
	if !h.trunc {
		return d
	}
	_, hex, _ := strings.Cut(d, ":")
	return hex[:min(len(hex), 12)]
}

// shorten cuts a text off so that it has n characters at most.
func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// historyJSON is what --json prints. Fields are added, never renamed.
type historyJSON struct {
	Reference string          `json:"reference"`
	Manifest  string          `json:"manifest,omitempty"`
	ConfigID  string          `json:"configDigest"`
	Platform  string          `json:"platform"`
	History   []stepJSON      `json:"history"`
	Warnings  []image.Warning `json:"warnings"`
}

// stepJSON is a step. Sizes are bytes, and not there when they are not known.
type stepJSON struct {
	Created      *time.Time `json:"created,omitempty"`
	CreatedBy    string     `json:"createdBy"`
	Author       string     `json:"author,omitempty"`
	Comment      string     `json:"comment,omitempty"`
	Empty        bool       `json:"empty"`
	Layer        *int       `json:"layer,omitempty"` // lowest first from 0
	Digest       string     `json:"digest,omitempty"`
	DiffID       string     `json:"diffID,omitempty"`
	MediaType    string     `json:"mediaType,omitempty"`
	Size         *int64     `json:"size,omitempty"`
	Uncompressed *int64     `json:"uncompressed,omitempty"`
}

func newHistoryJSON(ctx context.Context, img *image.Image, steps []image.Step, warnings []image.Warning, cache *toc.Cache) historyJSON {
	out := historyJSON{
		Reference: img.Reference, Manifest: string(img.Digest), ConfigID: string(img.ConfigDigest),
		Platform: image.FormatPlatform(img.Platform), History: []stepJSON{}, Warnings: warnings,
	}
	if out.Warnings == nil {
		out.Warnings = []image.Warning{}
	}
	for _, s := range steps {
		step := stepJSON{
			Created: s.Created, CreatedBy: s.CreatedBy, Author: s.Author, Comment: s.Comment, Empty: s.EmptyLayer,
		}
		if s.Layer >= 0 {
			l := img.Layers[s.Layer]
			step.Layer, step.Digest, step.DiffID, step.MediaType = &s.Layer, string(l.Digest), string(l.DiffID), l.MediaType
			if l.Size >= 0 {
				step.Size = &l.Size
			}
			step.Uncompressed = uncompressed(ctx, l, cache)
		}
		out.History = append(out.History, step)
	}
	return out
}

// uncompressed is the size of a layer's tar stream, if that is known without
// reading it: the blob is that stream, or the cache has its table of contents.
func uncompressed(ctx context.Context, l image.Layer, cache *toc.Cache) *int64 {
	if l.Digest == l.DiffID || l.Digest == "" && isPlain(ctx, l) {
		return &l.Size
	}
	if cache == nil {
		return nil
	}
	table := cache.Load(cmp.Or(l.Digest, l.DiffID))
	if table == nil || table.DiffID != l.DiffID {
		return nil
	}
	return &table.Size
}

// isPlain looks at the first bytes of a layer in a docker-archive, which is here.
func isPlain(ctx context.Context, l image.Layer) bool {
	blob, err := l.Open(ctx)
	if err != nil {
		return false
	}
	defer blob.Close()
	kind, err := toc.Identify(blob)
	return err == nil && kind == toc.Plain
}
