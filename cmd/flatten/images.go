// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/urfave/cli/v2"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/layout"
)

// imagesCommand is "flatten images".
func imagesCommand(p process, u *ui) *cli.Command {
	return newCommand(&cli.Command{
		Name:      "images",
		Usage:     "list the images in an OCI layout",
		ArgsUsage: "DIR",
		Description: `  $ flatten images store
  TAG    DIGEST         PLATFORM      CREATED        SIZE
  3.20   33735bd63cf8   linux/amd64   3 months ago   3.63MB

Prints a row for each image. That of an index is followed by rows without a tag,
one for each platform in it. DIGEST is that of the manifest or index. SIZE is what
is stored, so mostly compressed; what an index has more than once counts once.

--format is as in Docker: table, table TEMPLATE, json, or a Go TEMPLATE for each
row. A row has Tag, Name, Reference, Digest, Platform, CreatedSince, CreatedAt,
Size and Kind: image, index, artifact, or platform for a row of an index.
--json prints one array, with the platforms of an index in it.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Category: groupOutput,
				Usage: "print rows by a Go `TEMPLATE`, or table, or json"},
			&cli.BoolFlag{DisableDefaultText: true, Name: "no-trunc", Category: groupOutput,
				Usage: "print digests in full"},
			&cli.BoolFlag{DisableDefaultText: true, Name: "json", Category: groupOutput,
				Usage: "print one JSON array instead of a table"},
			quietFlag(),
		},
		Action: func(c *cli.Context) error { return imagesAction(c, p, u) },
	}, u)
}

const imagesTable = `{{.Tag}}\t{{.Digest}}\t{{.Platform}}\t{{.CreatedSince}}\t{{.Size}}`

var imagesHeader = map[string]string{
	"Tag": "TAG", "Name": "NAME", "Reference": "REFERENCE", "Digest": "DIGEST", "Platform": "PLATFORM",
	"CreatedSince": "CREATED", "CreatedAt": "CREATED AT", "Size": "SIZE", "Kind": "KIND",
}

func imagesAction(c *cli.Context, p process, u *ui) error {
	if c.Bool("json") && c.IsSet("format") {
		return usagef("--json does not go with --format; --format json prints a JSON object for each row")
	}
	form, err := newRows(c.String("format"), imagesTable, imagesHeader)
	if err != nil {
		return err
	}
	dir, err := storeDir(c, "images")
	if err != nil {
		return err
	}
	list, err := layout.List(c.Context, dir, storeOptions(u, dir))
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.Problem != nil {
			u.say("warning: %s: %v", visible(entryReference(dir, e)), e.Problem)
		}
	}
	var out string
	if c.Bool("json") {
		out, err = marshalJSON(newImagesJSON(dir, list), "  ")
	} else {
		var b strings.Builder
		r := imageRows{dir: dir, now: time.Now(), trunc: !c.Bool("no-trunc"), table: form.table}
		err = form.write(&b, r.rows(list))
		out = b.String()
	}
	if err != nil {
		return err
	}
	return printResult(p.stdout, out)
}

// entryReference is how an entry is named on a command line.
func entryReference(dir string, e layout.Entry) string {
	if e.Tag != "" {
		return "oci:" + dir + ":" + e.Tag
	}
	return "oci:" + dir + "@" + string(e.Descriptor.Digest)
}

// imageRow is what a template sees of an image.
type imageRow struct {
	Tag          string
	Name         string
	Reference    string
	Digest       string
	Platform     string
	CreatedSince string
	CreatedAt    string
	Size         string
	Kind         string
}

// imageRows renders entries.
type imageRows struct {
	dir          string
	now          time.Time
	trunc, table bool
}

func (r imageRows) rows(list []layout.Entry) []any {
	rows := []any{}
	for _, e := range list {
		row := r.entry(e)
		rows = append(rows, row)
		if row.Kind != "index" {
			continue
		}
		for _, m := range e.Members {
			member := imageRow{
				Reference: "oci:" + r.dir + "@" + string(m.Digest), Digest: r.digest(m.Digest),
				Platform: r.cell(platformOr(m.Platform, m.ArtifactType)), Size: dockerSize(m.Size), Kind: "platform",
			}
			member.CreatedAt, member.CreatedSince = r.times(m.Created)
			if m.Missing {
				member.Size = "not here"
			}
			rows = append(rows, member)
		}
	}
	return rows
}

// entry renders an entry of index.json.
func (r imageRows) entry(e layout.Entry) imageRow {
	row := imageRow{
		Tag: r.cell(e.Tag), Name: r.cell(e.Full), Reference: r.cell(entryReference(r.dir, e)),
		Digest: r.digest(e.Descriptor.Digest), Size: dockerSize(e.Size), Kind: kindOf(e),
	}
	if row.Tag == "" {
		row.Tag = "<none>"
	}
	switch {
	case row.Kind == "index":
		row.Platform = "index"
	case len(e.Members) == 1:
		row.Platform = r.cell(platformOr(e.Members[0].Platform, e.Members[0].ArtifactType))
	}
	if row.Platform == "" {
		row.Platform = "N/A"
	}
	row.CreatedAt, row.CreatedSince = r.times(newest(e))
	return row
}

// kindOf says what an entry is.
func kindOf(e layout.Entry) string {
	switch {
	case image.IsIndex(e.Descriptor.MediaType):
		return "index"
	case len(e.Members) == 1 && e.Members[0].ArtifactType != "":
		return "artifact"
	}
	return "image"
}

// newest is when the last made image of an entry was made.
func newest(e layout.Entry) *time.Time {
	var t *time.Time
	for _, m := range e.Members {
		if m.Created != nil && (t == nil || m.Created.After(*t)) {
			t = m.Created
		}
	}
	return t
}

func platformOr(p v1.Platform, other string) string {
	if p.Architecture == "" {
		return other
	}
	return image.ShowPlatform(p)
}

// cell makes a text fit for a table, if it goes into one.
func (r imageRows) cell(s string) string {
	if r.table {
		return cell(s)
	}
	return s
}

func (r imageRows) digest(d digest.Digest) string {
	if !r.trunc {
		return r.cell(string(d))
	}
	return r.cell(strings.TrimPrefix(shortDigest(d), "sha256:"))
}

// times are when an image was made, as a date and for people.
func (r imageRows) times(created *time.Time) (at, since string) {
	if created == nil {
		return "N/A", "N/A"
	}
	at = created.Local().Format(time.RFC3339)
	if created.Year() < 2000 {
		return at, "N/A"
	}
	return at, age(r.now.Sub(*created)) + " ago"
}

// entryJSON is what --json prints of an entry. Fields are added, never renamed.
type entryJSON struct {
	Reference string       `json:"reference"`
	Tag       string       `json:"tag,omitempty"`
	Name      string       `json:"name,omitempty"`
	Digest    string       `json:"digest"`
	MediaType string       `json:"mediaType"`
	Kind      string       `json:"kind"`
	Size      int64        `json:"size"`
	Images    []memberJSON `json:"images"`
	Problem   string       `json:"problem,omitempty"`
}

type memberJSON struct {
	Digest       string     `json:"digest"`
	ConfigDigest string     `json:"configDigest,omitempty"`
	Platform     string     `json:"platform,omitempty"`
	ArtifactType string     `json:"artifactType,omitempty"`
	Created      *time.Time `json:"created,omitempty"`
	Size         int64      `json:"size"`
	Missing      bool       `json:"missing,omitempty"`
}

func newImagesJSON(dir string, list []layout.Entry) []entryJSON {
	all := []entryJSON{}
	for _, e := range list {
		one := entryJSON{
			Reference: entryReference(dir, e), Tag: e.Tag, Name: e.Full, Digest: string(e.Descriptor.Digest),
			MediaType: e.Descriptor.MediaType, Kind: kindOf(e), Size: e.Size, Images: []memberJSON{},
		}
		if e.Problem != nil {
			one.Problem = e.Problem.Error()
		}
		for _, m := range e.Members {
			one.Images = append(one.Images, memberJSON{
				Digest: string(m.Digest), ConfigDigest: string(m.ConfigDigest), Platform: platformOr(m.Platform, ""),
				ArtifactType: m.ArtifactType, Created: m.Created, Size: m.Size, Missing: m.Missing,
			})
		}
		all = append(all, one)
	}
	return all
}
