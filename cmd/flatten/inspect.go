// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/urfave/cli/v2"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/reference"
)

// inspectCommand is "flatten inspect".
func inspectCommand(p process, u *ui) *cli.Command {
	return newCommand(&cli.Command{
		Name:      "inspect",
		Usage:     "show what an image says of itself, as docker image inspect",
		ArgsUsage: "IMAGE...",
		Description: `  $ flatten inspect --format '{{json .RootFS.Layers}}' alpine:3.20

Prints a JSON array with an object for each image. Fields have Docker's names;
those that only a daemon has are not there, and Reference and Layers are added.
Size and those of Layers are bytes as stored, so mostly compressed. Manifest and
configuration are read, layers are not.

--format renders each image with a Go template and Docker's functions: json,
join, split, title, lower, upper, pad, truncate. "json" is the array on one line.

When an image cannot be read the others are printed all the same.`,
		Flags: slices.Concat([]cli.Flag{
			&cli.StringFlag{Name: "format", Aliases: []string{"f"}, Category: groupOutput,
				Usage: "print each image by a Go `TEMPLATE`, or json"},
		}, openFlags()),
		Action: func(c *cli.Context) error { return inspectAction(c, p, u) },
	}, u)
}

func inspectAction(c *cli.Context, p process, u *ui) error {
	if c.NArg() == 0 {
		return image.WithHint(usagef("which image?"), "flatten inspect oci:DIR:TAG, flatten inspect --help")
	}
	render, err := inspectRenderer(c.String("format"))
	if err != nil {
		return err
	}
	var found []*inspection
	var failed []error
	for _, text := range c.Args().Slice() {
		one, err := inspect(c, p, u, text)
		if err != nil {
			failed = append(failed, err)
		} else {
			found = append(found, one)
		}
		if c.Context.Err() != nil {
			return c.Context.Err()
		}
	}
	if len(found) > 0 {
		out, err := render(found)
		if err == nil {
			err = printResult(p.stdout, out)
		}
		if err != nil {
			return err
		}
	}
	if len(failed) == 0 {
		return nil
	}
	last := len(failed) - 1
	for _, err := range failed[:last] {
		u.fail(err)
	}
	return failed[last]
}

func inspect(c *cli.Context, p process, u *ui, text string) (*inspection, error) {
	img, err := openImage(c, p, u, text)
	if err != nil {
		return nil, err
	}
	defer img.Close()
	u.warnings(img.Warnings)
	return newInspection(img)
}

// inspection is what "docker image inspect" prints: its names in JSON and, for
// templates, in Go.
type inspection struct {
	ID            string `json:"Id"`
	RepoTags      []string
	RepoDigests   []string
	Comment       string `json:",omitempty"`
	Created       string `json:",omitempty"`
	DockerVersion string `json:",omitempty"`
	Author        string `json:",omitempty"`
	Config        inspectedConfig
	Architecture  string
	Variant       string `json:",omitempty"`
	Os            string
	OsVersion     string `json:",omitempty"`
	Size          int64
	RootFS        inspectedRootFS
	Descriptor    *v1.Descriptor `json:",omitempty"` // of the manifest

	// Docker has none of these.
	Reference string
	Layers    []inspectedLayer
}

type inspectedRootFS struct {
	Type   string
	Layers []string // diffIDs
}

// inspectedLayer is a layer as it is stored.
type inspectedLayer struct {
	MediaType string `json:",omitempty"`
	Digest    string `json:",omitempty"`
	DiffID    string
	Size      int64
}

// inspectedConfig is how the image wants to be run, with what Docker adds to it.
type inspectedConfig struct {
	v1.ImageConfig
	Healthcheck *healthcheck `json:",omitempty"`
	OnBuild     []string     `json:",omitempty"`
	Shell       []string     `json:",omitempty"`
}

// healthcheck is Docker's HEALTHCHECK; durations are nanoseconds.
type healthcheck struct {
	Test          []string      `json:",omitempty"`
	Interval      time.Duration `json:",omitempty"`
	Timeout       time.Duration `json:",omitempty"`
	StartPeriod   time.Duration `json:",omitempty"`
	StartInterval time.Duration `json:",omitempty"`
	Retries       int           `json:",omitempty"`
}

func newInspection(img *image.Image) (*inspection, error) {
	var docker struct {
		Comment string          `json:"comment"`
		Version string          `json:"docker_version"`
		Config  inspectedConfig `json:"config"`
	}
	if err := json.Unmarshal(img.RawConfig, &docker); err != nil {
		return nil, image.Corruptf("%s: configuration %s: %w", img.Reference, img.ConfigDigest, err)
	}
	config := img.Config
	if n := len(config.History); n > 0 && docker.Comment == "" {
		docker.Comment = config.History[n-1].Comment
	}
	out := &inspection{
		ID: string(img.ConfigDigest), RepoTags: []string{}, RepoDigests: []string{},
		Comment: docker.Comment, DockerVersion: docker.Version, Author: config.Author, Config: docker.Config,
		Architecture: config.Architecture, Variant: config.Variant, Os: config.OS, OsVersion: config.OSVersion,
		RootFS:    inspectedRootFS{Type: config.RootFS.Type, Layers: []string{}},
		Reference: img.Reference, Layers: []inspectedLayer{},
	}
	if config.Created != nil {
		out.Created = config.Created.Format(time.RFC3339Nano)
	}
	if img.Digest != "" {
		out.Descriptor = &v1.Descriptor{MediaType: img.MediaType, Digest: img.Digest, Size: int64(len(img.Manifest))}
	}
	for _, l := range img.Layers {
		out.RootFS.Layers = append(out.RootFS.Layers, string(l.DiffID))
		out.Layers = append(out.Layers, inspectedLayer{
			MediaType: l.MediaType, Digest: string(l.Digest), DiffID: string(l.DiffID), Size: l.Size,
		})
		out.Size += max(l.Size, 0)
	}
	out.names(img)
	return out, nil
}

// names are the image's tags and digests, as short as Docker has them.
func (i *inspection) names(img *image.Image) {
	ref, err := reference.Parse(img.Reference)
	if err == nil && ref.Kind == reference.Registry {
		if ref.Tag != "" {
			i.RepoTags = append(i.RepoTags, familiar(ref.Name)+":"+ref.Tag)
		}
		i.RepoDigests = append(i.RepoDigests, familiar(ref.Name)+"@"+string(img.Digest))
		return
	}
	for _, tag := range img.Tags {
		i.RepoTags = append(i.RepoTags, familiar(tag))
	}
}

// familiar leaves out of a name what Docker completes it with.
func familiar(name string) string {
	short, ok := strings.CutPrefix(name, "docker.io/")
	if !ok {
		return name
	}
	if official, ok := strings.CutPrefix(short, "library/"); ok {
		return official
	}
	return short
}

// inspectRenderer chooses what --format means.
func inspectRenderer(format string) (func([]*inspection) (string, error), error) {
	switch format {
	case "":
		return func(all []*inspection) (string, error) { return marshalJSON(all, "    ") }, nil
	case "json":
		return func(all []*inspection) (string, error) { return marshalJSON(all, "") }, nil
	}
	tmpl, err := parseTemplate(format)
	if err != nil {
		return nil, err
	}
	return func(all []*inspection) (string, error) {
		var b strings.Builder
		for _, one := range all {
			text, err := renderInspection(tmpl, one)
			if err != nil {
				return "", err
			}
			fmt.Fprintln(&b, text)
		}
		return b.String(), nil
	}, nil
}

// renderInspection renders an image by the names of Go's fields, or else by those
// of JSON, as Docker does: {{.Id}} and {{.ID}} are both in use.
func renderInspection(tmpl *template.Template, one *inspection) (string, error) {
	var b strings.Builder
	if tmpl.Execute(&b, one) == nil {
		return b.String(), nil
	}
	raw, err := json.Marshal(one)
	if err != nil {
		return "", err
	}
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return "", err
	}
	b.Reset()
	err = execute(tmpl.Option("missingkey=error"), &b, value)
	return b.String(), err
}
