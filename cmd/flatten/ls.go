// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/tree"
)

const groupList = "Listing"

const lsDescription = `  $ flatten ls -l oci:fixtures/hello /etc 'usr/bin/p*'

Lists the filesystem that the image's layers add up to, without unpacking it, as
ls does in a folder that holds it: one name a line, sorted by bytes, names that
begin with a dot only with -a. PATH may be a pattern in quotes, and may begin with
a slash or not. Links are followed below the image's root, never out of it; one
that is the last of PATH only when it leads to a folder and neither -l nor -d is
given. A PATH that is not there ends with exit code 4 before anything is listed.

-l has GNU ls's columns, in its C locale and the local time zone, with these
differences: there is no line "total", folders have size 0, and owners are named
by the image's own /etc/passwd and /etc/group, as in a container.

Names are quoted on a terminal as GNU ls does. In a pipe only those are that hold
a control character or begin with a quote; with -0 none is. Then each record ends
with a NUL, holds a whole path, and there are no headings:

  $ flatten ls -0 -R oci:fixtures/hello | xargs -0 -n 1 printf '<%s>\n'

--json prints an object for each path, names with a dot among them.`

func lsCommand(p process, u *ui) *cli.Command {
	toggle := func(name, usage string, aliases ...string) cli.Flag {
		return &cli.BoolFlag{DisableDefaultText: true, Name: name, Aliases: aliases, Category: groupList, Usage: usage}
	}
	return newCommand(&cli.Command{
		Name:                   "ls",
		Usage:                  "list the merged filesystem",
		ArgsUsage:              "IMAGE [PATH...]",
		Description:            lsDescription,
		UseShortOptionHandling: true, // -lR
		Flags: slices.Concat([]cli.Flag{
			toggle("all", "list names that begin with a dot, too", "a", "A"),
			toggle("long", "mode, links, owner, group, size, time, name, target", "l"),
			toggle("human-readable", "with -l, sizes such as 1.6M, in powers of 1024", "h"),
			toggle("numeric-uid-gid", "like -l, with numbers of owners and groups", "n"),
			toggle("full-time", "like -l, with the whole time"),
			toggle("recursive", "list folders in folders", "R"),
			toggle("directory", "list folders themselves, not what is in them", "d"),
			toggle("layer", "show which layer each path comes from"),
			toggle("null", "end each record with a NUL, write whole paths, quote nothing", "0"),
			toggle("json", "print a JSON object for each path, a line each"),
		}, mergeFlags()),
		Action: func(c *cli.Context) error { return lsAction(c, p, u) },
	}, u)
}

func lsAction(c *cli.Context, p process, u *ui) error {
	if c.NArg() == 0 {
		return image.WithHint(usagef("which image?"), "flatten ls alpine:3.20, flatten ls oci:DIR:TAG /etc")
	}
	if c.Bool("json") && c.Bool("null") {
		return usagef("--json does not go with --null: JSON ends its lines itself")
	}
	return withMerged(c, p, u, c.Args().First(), func(m *flatten.Merged) error {
		t := tree.Of(m.View)
		names, err := operands(t, c.Args().Tail(), !c.Bool("directory") && !isLong(c))
		if err != nil {
			return err
		}
		out := &sticky{w: p.stdout}
		buffered := bufio.NewWriterSize(out, 64<<10)
		l := &lister{
			tree: t, out: buffered,
			recursive: c.Bool("recursive"), directory: c.Bool("directory"), all: c.Bool("all"),
		}
		if l.print, err = newPrinter(c, m, l, isTerminal(p.stdout)); err != nil {
			return err
		}
		l.list(names)
		buffered.Flush()
		return stdoutError(out.err)
	})
}

// isLong reports whether a flag asks for the long form.
func isLong(c *cli.Context) bool {
	return c.Bool("long") || c.Bool("numeric-uid-gid") || c.Bool("full-time")
}

// newPrinter chooses how blocks are printed.
func newPrinter(c *cli.Context, m *flatten.Merged, l *lister, tty bool) (printer, error) {
	owners := &owners{}
	if c.Bool("json") || isLong(c) && !c.Bool("numeric-uid-gid") {
		if err := owners.read(c.Context, m, l.tree); err != nil {
			return nil, err
		}
	}
	if c.Bool("json") {
		l.all = true
		return &jsonPrinter{tree: l.tree, out: l.out, owners: owners, groups: linkGroups(m.View)}, nil
	}
	f := &textPrinter{tree: l.tree, out: l.out, null: c.Bool("null"), layer: c.Bool("layer"), quote: quotePipe}
	if tty {
		f.quote = quoteTTY
	}
	if isLong(c) {
		f.long = &long{owners: owners, now: time.Now(), full: c.Bool("full-time"), human: c.Bool("human-readable"), tty: tty}
	}
	return f, nil
}

// operand is a path to list: as its user wrote it, and what it is.
type operand struct {
	text string // empty when none was given, which means the root
	id   int32
}

// operands finds the paths that arguments name, the root when there is none.
// follow follows links to folders at their end.
func operands(t *tree.Tree, args []string, follow bool) ([]operand, error) {
	if len(args) == 0 {
		return []operand{{"", tree.Root}}, nil
	}
	var list []operand
	for _, arg := range args {
		matches, err := t.Glob(arg)
		if err != nil {
			return nil, err
		}
		for _, m := range matches {
			if follow {
				if id, err := t.Find(m.Path, true); err == nil && t.Dir(id) {
					m.Index = id
				}
			}
			list = append(list, operand{cmp.Or(m.Path, "/"), m.Index})
		}
	}
	slices.SortStableFunc(list, func(a, b operand) int { return strings.Compare(a.text, b.text) })
	return list, nil
}

// lister lists paths block by block: a block is what is in one folder, or the
// operands that are listed themselves.
type lister struct {
	tree                      *tree.Tree
	out                       *bufio.Writer
	print                     printer
	recursive, directory, all bool
}

// printer prints blocks.
type printer interface {
	// heading prints the name of a folder whose block follows. first says that
	// nothing was printed before.
	heading(name string, first bool)

	// block prints rows.
	block(rows []row)
}

// row is a path in a block.
type row struct {
	id   int32
	name string // what stands in the block: the last component, or the operand
	path string // operand included
}

// list lists operands: those that are no folders first, then each folder.
func (l *lister) list(operands []operand) {
	var block []row
	var dirs []operand
	for _, o := range operands {
		if l.tree.Dir(o.id) && !l.directory {
			dirs = append(dirs, o)
			continue
		}
		text := cmp.Or(o.text, ".")
		block = append(block, row{o.id, text, text})
	}
	if len(block) > 0 {
		l.print.block(block)
	}
	for i, d := range dirs {
		heading := cmp.Or(d.text, ".")
		if len(operands) > 1 || l.recursive {
			l.print.heading(heading, i == 0 && len(block) == 0)
		}
		l.dir(d.id, d.text, heading)
	}
}

// dir lists what is in a folder, and with -R what is in the folders there.
func (l *lister) dir(dir int32, path, heading string) {
	var block []row
	for _, id := range l.tree.Children(dir) {
		base := l.tree.Base(id)
		if l.all || base[0] != '.' {
			block = append(block, row{id, base, join(path, base)})
		}
	}
	l.print.block(block)
	if !l.recursive {
		return
	}
	for _, r := range block {
		if l.tree.Dir(r.id) {
			below := join(heading, r.name)
			l.print.heading(below, false)
			l.dir(r.id, r.path, below)
		}
	}
}

func join(dir, base string) string {
	if dir == "" || strings.HasSuffix(dir, "/") {
		return dir + base
	}
	return dir + "/" + base
}
