// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/layout"
	"github.com/seed-81b0d42e/flatten/pkg/reference"
)

// tagCommand is "flatten tag".
func tagCommand(p process, u *ui) *cli.Command {
	return newCommand(&cli.Command{
		Name:      "tag",
		Usage:     "give an image in an OCI layout further tags",
		ArgsUsage: "DIR:TAG NEW...",
		Description: `  $ flatten tag store:3.20 stable
  oci:store:stable

The image keeps the tags that it has. A tag that another image has goes over to
this one. DIR@DIGEST names an image without a tag. Each new name is printed.`,
		Flags:  []cli.Flag{quietFlag()},
		Action: func(c *cli.Context) error { return tagAction(c, p, u) },
	}, u)
}

func tagAction(c *cli.Context, p process, u *ui) error {
	if c.NArg() < 2 {
		return image.WithHint(usagef("which image, and which tag?"), "flatten tag DIR:TAG NEW, flatten tag --help")
	}
	r, err := storeReference(c.Args().First())
	if err != nil {
		return err
	}
	tags := c.Args().Tail()
	for _, tag := range tags {
		if err := checkTag(r, tag); err != nil {
			return err
		}
	}
	store, err := layout.OpenStore(c.Context, r.Path, storeOptions(u, r.Path))
	if err != nil {
		return err
	}
	defer store.Close()
	d, replaced, err := store.Tag(c.Context, layout.Options{Tag: r.Tag, Digest: r.Digest}, tags...)
	if err != nil {
		return err
	}
	var out strings.Builder
	for _, tag := range tags {
		name := "oci:" + r.Path + ":" + tag
		if was := replaced[tag]; was != "" {
			u.say("%s was %s until now", name, was)
		}
		u.say("%s is %s", name, d.Digest)
		out.WriteString(name + "\n")
	}
	return printResult(p.stdout, out.String())
}

// checkTag fails for what cannot be a tag of a layout's, or was not meant to be.
func checkTag(store reference.Reference, tag string) error {
	if r, err := reference.Parse(tag); err == nil && r.Kind == reference.OCI {
		return image.WithHint(usagef("%q is no tag", tag), "the folder is named once: flatten tag %s:%s %s", store.Path, store.Tag, r.Tag)
	}
	if r, err := reference.Parse("oci:x:" + tag); err == nil && r.Tag == tag {
		return nil
	}
	return image.WithHint(usagef("%q cannot be a tag", tag), "a tag is made of letters, digits and -.:/@+_, such as 1.0 or registry.example/app:1.0")
}

// untagCommand is "flatten untag".
func untagCommand(p process, u *ui) *cli.Command {
	return newCommand(&cli.Command{
		Name:      "untag",
		Usage:     "take tags from images in an OCI layout",
		ArgsUsage: "DIR:TAG...",
		Description: `  $ flatten untag store:3.20
  oci:store@sha256:33735bd63cf84d7e388d9f6d297d348c523c044410f553bd878c6d7829612735

Blobs stay, those of an image without any other tag until flatten gc removes them.
DIR@DIGEST takes an image away with all its tags. What had the tag is printed, so
that flatten tag can give it back.`,
		Flags:  []cli.Flag{quietFlag()},
		Action: func(c *cli.Context) error { return untagAction(c, p, u) },
	}, u)
}

func untagAction(c *cli.Context, p process, u *ui) error {
	if c.NArg() == 0 {
		return image.WithHint(usagef("which tag?"), "flatten untag DIR:TAG, flatten untag --help")
	}
	var refs []reference.Reference
	for _, text := range c.Args().Slice() {
		r, err := storeReference(text)
		if err == nil && r.Tag == "" && r.Digest == "" {
			err = image.WithHint(usagef("%q names no tag", text), "flatten images %s lists what there is", r.Path)
		}
		if err != nil {
			return err
		}
		refs = append(refs, r)
	}
	for _, r := range refs {
		if err := untag(c, p, u, r); err != nil {
			return err
		}
	}
	return nil
}

func untag(c *cli.Context, p process, u *ui, r reference.Reference) error {
	store, err := layout.OpenStore(c.Context, r.Path, storeOptions(u, r.Path))
	if err != nil {
		return err
	}
	defer store.Close()
	gone, err := store.Untag(c.Context, layout.Options{Tag: r.Tag, Digest: r.Digest})
	if err != nil {
		return err
	}
	var out strings.Builder
	seen := map[string]bool{}
	for _, d := range gone {
		if name := "oci:" + r.Path + "@" + string(d.Digest); !seen[name] {
			seen[name] = true
			out.WriteString(name + "\n")
		}
	}
	u.say("the blobs stay; flatten gc %s removes those that nothing refers to", r.Path)
	return printResult(p.stdout, out.String())
}
