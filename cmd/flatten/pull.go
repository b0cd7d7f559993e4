// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/urfave/cli/v2"

	"github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/layout"
	"github.com/seed-81b0d42e/flatten/pkg/reference"
	"github.com/seed-81b0d42e/flatten/pkg/source"
)

// pullCommand is "flatten pull".
func pullCommand(p process, u *ui) *cli.Command {
	return newCommand(&cli.Command{
		Name:      "pull",
		Usage:     "copy images into an OCI layout, to keep them",
		ArgsUsage: "IMAGE... oci:DIR[:TAG]",
		Description: `  $ flatten pull alpine:3.20 oci:store
  oci:store:3.20

Copies images as they are into an OCI image layout, which is made if it is not
there: the store of a place without a network. Other tools read it, too. Of each
image the name in the store is printed; flatten, skopeo, podman, buildah and umoci
take it.

  $ flatten pull --all-platforms docker://registry.example/app:1 oci:/mnt/store:app
  $ docker save app:1 | flatten pull - oci:store
  $ flatten pull oci:/mnt/store:app oci:store

What is copied is one platform's manifest, or with --all-platforms the index and
all that it lists. Manifests and indexes keep every byte, and so their digests:
Docker's own (schema 2) stay what they are, although skopeo, podman and buildah then
find the image only if it is the only one in the layout, and umoci not at all. For
an image that docker save wrote, which has no manifest, one is made: the OCI's, of
the configuration and the layers as they are in the archive. The same image
always gets the same.

Blobs that are there with the right size are not copied again; --verify compares
their digests, too, and replaces what is damaged. Every blob is verified before it
appears. A run that is interrupted, however that happens, leaves a valid layout, and
the next one goes on in the middle of what was being fetched. Several may run at
once.

Without TAG an image has the tag that it has where it comes from: 3.20. If that is
another image's in the layout, or of several images of the command, it is the
whole name: docker.io/library/alpine:3.20. flatten finds an image by its whole name
in any case (oci:store:alpine:3.20). An image that was named by its digest alone has
no tag. A TAG is given to the new image even if another one has it.`,
		Flags: slices.Concat([]cli.Flag{
			&cli.BoolFlag{DisableDefaultText: true, Name: "all-platforms", Category: groupImage,
				Usage: "copy an index with all platforms"},
			&cli.BoolFlag{DisableDefaultText: true, Name: "verify", Category: groupImage,
				Usage: "compare the digests of blobs that are there already"},
			&cli.BoolFlag{DisableDefaultText: true, Name: "json", Category: groupOutput,
				Usage: "print a JSON array with an object for each image"},
		}, openFlags(), []cli.Flag{
			progressFlag(),
			&cli.IntFlag{Name: "jobs", Category: groupRun, DefaultText: "4", Usage: "copy `N` blobs at once"},
		}),
		Action: func(c *cli.Context) error { return pullAction(c, p, u) },
	}, u)
}

// pulling is one run of "flatten pull".
type pulling struct {
	u       *ui
	sources []string // as they were named
	refs    []reference.Reference
	to      reference.Reference
	from    source.Options
	opt     layout.AddOptions
	mode    string // of progress
	store   *layout.Store
}

func (run *pulling) close() {
	if run.store != nil {
		run.store.Close()
	}
}

func pullAction(c *cli.Context, p process, u *ui) error {
	run, err := newPulling(c, p, u)
	if err != nil {
		return err
	}
	if err := layout.CheckCreate(run.to.Path, storeOptions(u, run.to.Path)); err != nil {
		return err
	}
	defer run.close()
	done := []pulledJSON{}
	for i := range run.refs {
		var one *layout.Added
		if one, err = run.pull(c.Context, i); err != nil {
			break
		}
		done = append(done, newPulledJSON(run.sources[i], one))
		if c.Bool("json") {
			continue
		}
		if err = printResult(p.stdout, one.Reference+"\n"); err != nil {
			break
		}
	}
	if c.Bool("json") && (len(done) > 0 || err == nil) {
		text, jsonErr := marshalJSON(done, "  ")
		if jsonErr == nil {
			jsonErr = printResult(p.stdout, text)
		}
		if err == nil {
			err = jsonErr
		}
	}
	return err
}

// newPulling reads the command line.
func newPulling(c *cli.Context, p process, u *ui) (*pulling, error) {
	args := c.Args().Slice()
	if len(args) == 0 {
		return nil, image.WithHint(usagef("which image, and where to?"), "flatten pull alpine:3.20 oci:store, flatten pull --help")
	}
	if c.Bool("all-platforms") && c.IsSet("platform") {
		return nil, usagef("--platform does not go with --all-platforms")
	}
	if jobs := c.Int("jobs"); jobs < 0 {
		return nil, usagef("--jobs %d: it is a number of blobs from 1", jobs)
	}
	var err error
	run := &pulling{u: u, sources: args[:len(args)-1], mode: c.String("progress")}
	if run.to, err = destination(args); err != nil {
		return nil, err
	}
	var stdin reference.Reference
	for i, text := range run.sources {
		ref, err := reference.Parse(text)
		if err != nil {
			return nil, &usageError{err}
		}
		if ref.Kind == reference.Stdin {
			if isTerminal(p.stdin) {
				return nil, usagef("-: standard input is a terminal, not an archive")
			}
			if slices.Contains(run.sources[:i], "-") {
				return nil, usagef("-: standard input can be read once only")
			}
			stdin = ref
		}
		run.refs = append(run.refs, ref)
	}
	run.opt = layout.AddOptions{
		AllPlatforms: c.Bool("all-platforms"), Check: c.Bool("verify"), Jobs: c.Int("jobs"), Tag: run.to.Tag,
	}
	if run.from, err = sourceOptions(c, p, u, stdin, c.String("platform")); err != nil {
		return nil, err
	}
	run.opt.Platform, run.opt.Limits = run.from.Platform, run.from.Limits
	return run, nil
}

// destination is the last argument: the layout.
func destination(args []string) (reference.Reference, error) {
	last := args[len(args)-1]
	const example = "flatten pull %s oci:DIR"
	to, err := reference.Parse(last)
	if err != nil {
		return to, &usageError{err}
	}
	if to.Kind == reference.Path {
		to.Kind = reference.OCI
	}
	switch {
	case to.Kind != reference.OCI && len(args) == 1:
		return to, image.WithHint(usagef("where to?"), example, last)
	case to.Kind != reference.OCI:
		err := usagef("the last argument is where to, an OCI layout: %q is none", last)
		if first, parseErr := reference.Parse(args[0]); parseErr == nil && first.Kind == reference.OCI {
			return to, image.WithHint(err, "the layout comes last: flatten pull %s %s", last, args[0])
		}
		return to, image.WithHint(err, example, strings.Join(args, " "))
	case len(args) == 1:
		return to, image.WithHint(usagef("which image?"), "flatten pull alpine:3.20 %s", last)
	case to.Digest != "":
		return to, usagef("%s: an image gets its digest from its content; only a tag can be chosen", last)
	case to.Tag != "" && len(args) > 2:
		return to, image.WithHint(usagef("%s: one tag for %d images", last, len(args)-1), "without a tag each image has its own")
	}
	return to, nil
}

// pull copies one image. The layout is made when the first one has been found.
func (run *pulling) pull(ctx context.Context, i int) (*layout.Added, error) {
	root, err := source.OpenRoot(ctx, run.refs[i], run.from)
	if err != nil {
		return nil, meantElse(run.sources[i], run.refs[i], err)
	}
	defer root.Close()
	if run.store == nil {
		if run.store, err = layout.CreateStore(ctx, run.to.Path, storeOptions(run.u, run.to.Path)); err != nil {
			return nil, err
		}
	}
	opt := run.opt
	opt.WholeName = run.sharesTag(i)
	bars := progress(silent{})
	defer func() { bars.close() }()
	var blobs []v1.Descriptor
	opt.Begin = func(want []v1.Descriptor) {
		blobs = want
		bars = newProgressOf(run.mode, run.u, labels{func(i int) string {
			return fmt.Sprintf("blob %d/%d %s", i+1, len(want), shortDigest(want[i].Digest))
		}, "fetching"})
	}
	opt.Progress = func(blob int, done int64) {
		bars.report(flatten.Event{Stage: flatten.Scan, Layer: blob, Done: done, Total: blobs[blob].Size})
	}
	if opt.Check {
		run.u.say("comparing the digests of what is there")
	}
	added, err := run.store.Add(ctx, root, opt)
	bars.close()
	bars = silent{}
	if err != nil {
		return nil, err
	}
	run.u.warnings(added.Warnings)
	if added.Replaced != "" {
		run.u.say("%s was %s until now", added.Reference, added.Replaced)
	}
	run.u.say("%s is %s%s %s: %d blobs, %s; copied %d, %s", added.Reference, root.Reference, platformSuffix(added.Descriptor),
		added.Descriptor.Digest, added.Blobs, formatBytes(added.Size), added.Copied, formatBytes(added.CopiedSize))
	return added, nil
}

// sharesTag reports whether another image of the command has the same tag.
func (run *pulling) sharesTag(i int) bool {
	for _, other := range run.refs {
		if one := run.refs[i]; one.Kind == reference.Registry && other.Kind == one.Kind && other.Tag == one.Tag && other.Name != one.Name {
			return true
		}
	}
	return false
}

// platformSuffix is a descriptor's platform behind a space, if it has one.
func platformSuffix(d v1.Descriptor) string {
	if d.Platform == nil {
		return ""
	}
	return " " + image.ShowPlatform(*d.Platform)
}

// pulledJSON is what --json prints of an image. Fields are added, never renamed.
type pulledJSON struct {
	Source      string          `json:"source"`
	Reference   string          `json:"reference"`
	Tag         string          `json:"tag,omitempty"`
	Name        string          `json:"name,omitempty"`
	Digest      string          `json:"digest"`
	MediaType   string          `json:"mediaType"`
	Platform    string          `json:"platform,omitempty"`
	Blobs       int             `json:"blobs"`
	Size        int64           `json:"size"`
	Copied      int             `json:"copied"`
	CopiedBytes int64           `json:"copiedBytes"`
	Replaced    string          `json:"replaced,omitempty"`
	Warnings    []image.Warning `json:"warnings"`
}

func newPulledJSON(from string, a *layout.Added) pulledJSON {
	one := pulledJSON{
		Source: from, Reference: a.Reference, Tag: a.Name.Tag, Name: a.Name.Full,
		Digest: string(a.Descriptor.Digest), MediaType: a.Descriptor.MediaType,
		Blobs: a.Blobs, Size: a.Size, Copied: a.Copied, CopiedBytes: a.CopiedSize,
		Replaced: string(a.Replaced), Warnings: a.Warnings,
	}
	if a.Descriptor.Platform != nil {
		one.Platform = image.FormatPlatform(*a.Descriptor.Platform)
	}
	if one.Warnings == nil {
		one.Warnings = []image.Warning{}
	}
	return one
}
