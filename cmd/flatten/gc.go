// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/urfave/cli/v2"

	"github.com/seed-81b0d42e/flatten/pkg/layout"
)

// gcCommand is "flatten gc".
func gcCommand(p process, u *ui) *cli.Command {
	return newCommand(&cli.Command{
		Name:      "gc",
		Usage:     "remove from an OCI layout what no image needs",
		ArgsUsage: "DIR",
		Description: `  $ flatten gc --dry-run store

Removes the blobs that nothing in the layout refers to, and downloads that were not
completed. What index.json lists stays, with or without a tag, and all that it
refers to, directly or not, in documents of unknown types as well; and what says
that it is about something that stays, such as signatures. The digests of what is
removed are printed, and how many bytes that freed is said.

It waits for other runs of flatten that write to the layout. Of other programs it
does not know: they should not write meanwhile. When a manifest is missing or
damaged nothing is removed.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{DisableDefaultText: true, Name: "dry-run", Aliases: []string{"n"}, Category: groupRun,
				Usage: "remove nothing, say what would be removed"},
			&cli.BoolFlag{DisableDefaultText: true, Name: "json", Category: groupOutput,
				Usage: "print one JSON object instead of digests"},
			quietFlag(),
		},
		Action: func(c *cli.Context) error { return gcAction(c, p, u) },
	}, u)
}

func gcAction(c *cli.Context, p process, u *ui) error {
	dir, err := storeDir(c, "gc")
	if err != nil {
		return err
	}
	dryRun := c.Bool("dry-run")
	g, err := layout.RemoveGarbage(c.Context, dir, storeOptions(u, dir), dryRun)
	if err != nil {
		if g != nil {
			u.say("%s freed before that", formatBytes(g.Size()))
		}
		return err
	}
	freed := "freed"
	if dryRun {
		freed = "would free"
	}
	u.say("%s %s: %d blobs, %d unfinished downloads; %d blobs stay",
		freed, formatBytes(g.Size()), len(g.Blobs), len(g.Unfinished), g.Kept)
	if c.Bool("json") {
		text, err := marshalJSON(newGarbageJSON(dir, g, dryRun), "  ")
		if err != nil {
			return err
		}
		return printResult(p.stdout, text)
	}
	var out strings.Builder
	for _, d := range g.Blobs {
		fmt.Fprintln(&out, d.Digest)
	}
	return printResult(p.stdout, out.String())
}

// garbageJSON is what --json prints. Fields are added, never renamed.
type garbageJSON struct {
	Store      string     `json:"store"`
	DryRun     bool       `json:"dryRun"`
	Freed      int64      `json:"freed"`
	Blobs      []sizeJSON `json:"blobs"`
	Unfinished []sizeJSON `json:"unfinished"`
	Kept       int        `json:"kept"`
}

type sizeJSON struct {
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
}

func newGarbageJSON(dir string, g *layout.Garbage, dryRun bool) garbageJSON {
	sizes := func(list []v1.Descriptor) []sizeJSON {
		all := []sizeJSON{}
		for _, d := range list {
			all = append(all, sizeJSON{string(d.Digest), d.Size})
		}
		return all
	}
	return garbageJSON{
		Store: "oci:" + dir, DryRun: dryRun, Freed: g.Size(), Kept: g.Kept,
		Blobs: sizes(g.Blobs), Unfinished: sizes(g.Unfinished),
	}
}
