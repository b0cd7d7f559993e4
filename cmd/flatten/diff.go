// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/pkg/diff"
	"github.com/seed-81b0d42e/flatten/pkg/digest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

const groupDiff = "Comparison"

const diffDescription = `  $ flatten diff --layer 5 oci:fixtures/hello

With one image: what each of its layers changed, in the form of docker container
diff: A, C or D and the path. A deleted directory stands for all that was in it, and
a directory is changed when something in it is. Only what a container would see
counts: a directory that a layer has an entry for, its mode, owner and extended
attributes the same, is not listed, whatever its time; nor is a file that the layer
has again with all as it was.

With two images, from any two sources: what makes the filesystem of the first into
that of the second, every path by itself; behind a tab stands what differs: content,
mode, owner, type, target, device, extended attributes, hard links, and with --mtime
modification times. Layers that both images have are not read for it.

  $ flatten diff --platform linux/amd64 --platform2 linux/arm64 oci:fixtures/hello oci:fixtures/hello

--json prints an object for each path, with all of its metadata in both images, a
line each. It counts layers from 0, as ls --json does.`

func diffCommand(p process, u *ui) *cli.Command {
	return newCommand(&cli.Command{
		Name:        "diff",
		Usage:       "show what each layer changed, or how two images differ",
		ArgsUsage:   "IMAGE [IMAGE2]",
		Description: diffDescription,
		Flags: slices.Concat([]cli.Flag{
			&cli.IntFlag{Name: "layer", Category: groupDiff, DefaultText: "all",
				Usage: "of one image, what layer `N` changed, the lowest being 1"},
			&cli.BoolFlag{DisableDefaultText: true, Name: "mtime", Category: groupDiff,
				Usage: "compare modification times of two images, too"},
			&cli.BoolFlag{DisableDefaultText: true, Name: "exit-code", Category: groupDiff,
				Usage: "exit with 1 when two images differ"},
			&cli.BoolFlag{DisableDefaultText: true, Name: "json", Category: groupDiff,
				Usage: "print a JSON object for each path, a line each"},
			&cli.StringFlag{Name: "platform2", Category: groupImage, DefaultText: "that of --platform",
				Usage: "choose `OS/ARCH[/VARIANT]` of IMAGE2"},
		}, mergeFlags()),
		Action: func(c *cli.Context) error { return diffAction(c, p, u) },
	}, u)
}

func diffAction(c *cli.Context, p process, u *ui) error {
	switch c.NArg() {
	case 0:
		return image.WithHint(usagef("which image?"), "flatten diff alpine:3.20, flatten diff alpine:3.20 oci:DIR")
	case 1:
		for _, name := range []string{"mtime", "exit-code", "platform2"} {
			if c.IsSet(name) {
				return usagef("--%s wants two images", name)
			}
		}
		return diffLayers(c, p, u)
	case 2:
		if c.IsSet("layer") {
			return image.WithHint(usagef("--layer goes with one image"), "flatten diff --layer %d %s", c.Int("layer"), c.Args().First())
		}
		if c.Args().First() == "-" && c.Args().Get(1) == "-" {
			return usagef("only one image can come from standard input")
		}
		return diffImages(c, p, u)
	}
	return usagef("two images at most: %q is one too many", c.Args().Get(2))
}

// diffLayers is "flatten diff IMAGE".
func diffLayers(c *cli.Context, p process, u *ui) error {
	if n := c.Int("layer"); c.IsSet("layer") && n < 1 {
		return usagef("--layer %d: layers are counted from 1", n)
	}
	opts, err := mergeOptions(c)
	if err != nil {
		return err
	}
	return withMerged(c, p, u, c.Args().First(), func(m *flatten.Merged) error {
		layers := len(m.Image.Layers)
		first, last := 0, layers
		if c.IsSet("layer") {
			if last = c.Int("layer"); last > layers {
				return usagef("--layer %d: the image has %d", last, layers)
			}
			first = last - 1
		}
		return printed(p.stdout, func(w *bufio.Writer) error {
			return m.DiffLayers(c.Context, opts, first, last, !c.Bool("json"), func(d *flatten.LayerDiff) error {
				if !c.Bool("json") && !c.IsSet("layer") {
					if d.Layer > first {
						w.WriteByte('\n')
					}
					w.WriteString(layerName(m.Image, d.Layer) + "\n")
				}
				return printLayer(w, d, c.Bool("json"), isTerminal(p.stdout))
			})
		})
	})
}

// printLayer prints what one layer changed.
func printLayer(w *bufio.Writer, d *flatten.LayerDiff, asJSON, tty bool) error {
	show := newChangePrinter(d.Before, d.After, tty)
	table := d.After.Layers[d.Layer]
	for i := range d.Changes {
		change := &d.Changes[i]
		if !asJSON {
			w.WriteString(show.brief(change) + "\n")
			continue
		}
		j := show.object(change)
		j.Layer, j.Digest, j.DiffID = &d.Layer, string(table.Digest), string(table.DiffID)
		if err := printLine(w, j); err != nil {
			return err
		}
	}
	return nil
}

// diffImages is "flatten diff IMAGE IMAGE2".
func diffImages(c *cli.Context, p process, u *ui) error {
	opts, err := mergeOptions(c)
	if err != nil {
		return err
	}
	one, two := c.Args().First(), c.Args().Get(1)
	err = withMerged(c, p, u, one, func(before *flatten.Merged) error {
		platform := cmp.Or(c.String("platform2"), c.String("platform"))
		return withMergedFor(c, p, u, two, platform, func(after *flatten.Merged) error {
			changes, err := flatten.Diff(c.Context, before, after, opts, imageComparison(c))
			if err != nil {
				return err
			}
			err = printed(p.stdout, func(w *bufio.Writer) error {
				return printChanges(w, newChangePrinter(before.View, after.View, isTerminal(p.stdout)), changes, c.Bool("json"))
			})
			if err != nil {
				return err
			}
			sayChanges(u, changes)
			if len(changes) > 0 && c.Bool("exit-code") {
				return errSilent
			}
			return nil
		})
	})
	if _, suffix, ok := digest.FromName(filepath.Base(two)); ok && strings.HasPrefix(suffix, ".tar") && errors.Is(err, image.ErrCorrupt) {
		err = image.WithHint(err, "flatten verify --image %s %s compares a flattened file with an image", one, two)
	}
	return err
}

// imageComparison is how whole filesystems are compared: by all that a container
// sees, and with --mtime times.
func imageComparison(c *cli.Context) diff.Options {
	return diff.Options{HardLinks: true, FileTimes: c.Bool("mtime"), DirTimes: c.Bool("mtime")}
}

func printChanges(w *bufio.Writer, show *changePrinter, changes []diff.Change, asJSON bool) error {
	for i := range changes {
		if !asJSON {
			w.WriteString(show.full(&changes[i]) + "\n")
		} else if err := printLine(w, show.object(&changes[i])); err != nil {
			return err
		}
	}
	return nil
}

// sayChanges counts changes for people.
func sayChanges(u *ui, changes []diff.Change) {
	if len(changes) == 0 {
		u.say("no difference")
		return
	}
	n := map[diff.Kind]int{}
	for i := range changes {
		n[changes[i].Kind]++
	}
	u.say("%d added, %d changed, %d deleted", n[diff.Added], n[diff.Changed], n[diff.Deleted])
}

// printLine prints a value as one line of JSON.
func printLine(w io.Writer, v any) error {
	line, err := marshalJSON(v, "")
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, line)
	return err
}

// printed has do print to standard output through a buffer, which is written
// whatever do returns.
func printed(stdout io.Writer, do func(w *bufio.Writer) error) error {
	w := bufio.NewWriterSize(stdout, 64<<10)
	err := do(w)
	if werr := w.Flush(); werr != nil {
		return stdoutError(werr)
	}
	return err
}
