// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/urfave/cli/v2"

	"github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/pkg/diff"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/verify"
)

const groupVerify = "Verification"

const verifyDescription = `  $ flatten verify assets/*.tar.gz

Reads each file once and prints "FILE: OK" or "FILE: FAILED" for it; what is wrong
is said on standard error, with the tar entry and where it is. The exit code is 3
when a file failed, 1 when one could not be read.

A file must be sound:
  its SHA-256 is what its name says, <sha256>.tar.gz or <sha256>.tar;
  the gzip data is whole, with right checksums, and only zeros follow it;
  the tar can be read, ends in two zero blocks, and only zeros follow them;
  hard links name what is in it, and no name leads out of the folder it is
  unpacked in, neither by ".." or "/" nor through a symbolic link.

And clean, as flatten writes it: every path once, folders before what is in them,
hard links after their files, relative names without "./", no entry for the root,
no whiteouts, no global headers, no sparse files, two zero blocks at the end and
nothing more. Others write tars that are sound, not clean, and under other names.
That fails, too, since whoever relies on these rules would be misled; --lenient
makes it a warning.

-, or a pipe, has no name: it is checked for all else.

--image compares what a container would see, not bytes: a file by --canonical, by
another level or by another tool is the image's filesystem when no path differs in
type, content, mode, owner, target, device, extended attributes or hard links.

  $ flatten -o - oci:fixtures/hello | flatten verify --image oci:fixtures/hello -`

func verifyCommand(p process, u *ui) *cli.Command {
	return newCommand(&cli.Command{
		Name:        "verify",
		Usage:       "check flattened files: name, gzip, tar, and the image's filesystem",
		ArgsUsage:   "FILE...",
		Description: verifyDescription,
		Flags: slices.Concat([]cli.Flag{
			&cli.StringFlag{Name: "image", Category: groupVerify,
				Usage: "files must hold the filesystem of `IMAGE`"},
			&cli.BoolFlag{DisableDefaultText: true, Name: "mtime", Category: groupVerify,
				Usage: "with --image, compare modification times, too"},
			&cli.StringFlag{Name: "digest", Category: groupVerify,
				Usage: "expect `SHA256` of one file, whatever its name says"},
			&cli.BoolFlag{DisableDefaultText: true, Name: "lenient", Category: groupVerify,
				Usage: "take files of other tools: sound, not clean, under any name"},
			&cli.BoolFlag{DisableDefaultText: true, Name: "root-entry", Category: groupVerify,
				Usage: "allow an entry for the root, as flatten --root-entry writes it"},
			&cli.BoolFlag{DisableDefaultText: true, Name: "json", Category: groupVerify,
				Usage: "print a JSON object for each file, a line each"},
		}, mergeFlags()),
		Action: func(c *cli.Context) error { return verifyAction(c, p, u) },
	}, u)
}

func verifyAction(c *cli.Context, p process, u *ui) error {
	v, err := newVerifier(c, p, u)
	if err != nil {
		return err
	}
	if text := c.String("image"); text != "" {
		return withMerged(c, p, u, text, func(m *flatten.Merged) error {
			v.image = m
			return v.files(c.Context, c.Args().Slice())
		})
	}
	return v.files(c.Context, c.Args().Slice())
}

// verifier checks files one after the other.
type verifier struct {
	process
	ui            *ui
	opts          verify.Options
	tmpDir        string
	json, lenient bool

	image *flatten.Merged // nil: not compared
	merge flatten.Options // those that it was loaded with
	how   diff.Options
}

func newVerifier(c *cli.Context, p process, u *ui) (*verifier, error) {
	files := c.Args().Slice()
	stdin := 0
	for _, text := range append(files, c.String("image")) {
		if text == "-" {
			stdin++
		}
	}
	switch {
	case len(files) == 0:
		return nil, image.WithHint(usagef("which file?"), "flatten verify assets/*.tar.gz, flatten verify --help")
	case stdin > 1:
		return nil, usagef("only one thing can come from standard input")
	case slices.Contains(files, "-") && isTerminal(p.stdin):
		return nil, usagef("-: standard input is a terminal, not a file")
	case c.Bool("mtime") && c.String("image") == "":
		return nil, usagef("--mtime goes with --image")
	case c.IsSet("digest") && len(files) > 1:
		return nil, usagef("--digest is that of one file, %q is one too many", files[1])
	}
	merge, err := mergeOptions(c)
	if err != nil {
		return nil, err
	}
	v := &verifier{
		process: p, ui: u, merge: merge, how: imageComparison(c), tmpDir: tmpDir(c, p),
		json: c.Bool("json"), lenient: c.Bool("lenient"),
		opts: verify.Options{RootEntry: c.Bool("root-entry"), Limits: merge.Limits},
	}
	if c.IsSet("digest") {
		hex := strings.TrimPrefix(c.String("digest"), "sha256:")
		v.opts.Digest = digest.NewDigestFromEncoded(digest.SHA256, hex)
		if v.opts.Digest.Validate() != nil {
			return nil, usagef("--digest %q: it is 64 hexadecimal digits, in lower case", c.String("digest"))
		}
	}
	return v, nil
}

// files checks files and says at the end how many failed.
func (v *verifier) files(ctx context.Context, names []string) error {
	var bad, unread int
	for _, name := range names {
		j, err := v.file(ctx, name)
		if err != nil {
			return err
		}
		if err := v.print(j); err != nil {
			return err
		}
		switch {
		case j.Error != "":
			unread++
		case !j.OK:
			bad++
		}
	}
	if n := bad + unread; n > 0 && len(names) > 1 {
		v.ui.say("%d of %d files failed", n, len(names))
	}
	switch {
	case bad > 0:
		return errors.Join(errSilent, image.ErrCorrupt)
	case unread > 0:
		return errSilent
	}
	return nil
}
