// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// The groups that --help shows flags in.
const (
	groupOutput   = "Output"
	groupImage    = "Image"
	groupRegistry = "Registry"
	groupRun      = "Run"
)

func flattenFlags() []cli.Flag {
	return append(append(append(outputFlags(), imageFlags()...), registryFlags()...), runFlags()...)
}

func outputFlags() []cli.Flag {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: ".", Category: groupOutput,
			Usage: "write to the folder `DIR`; - streams to standard output"},
		&cli.StringFlag{Name: "compression", Value: "gzip", Category: groupOutput,
			Usage: "compress with `KIND`: gzip or none"},
		&cli.BoolFlag{DisableDefaultText: true, Name: "canonical", Category: groupOutput,
			Usage: "the same bytes for the same filesystem, whatever its layers were"},
		&cli.BoolFlag{DisableDefaultText: true, Name: "root-entry", Category: groupOutput,
			Usage: "keep the image's entry for the root directory"},
		&cli.BoolFlag{DisableDefaultText: true, Name: "json", Category: groupOutput,
			Usage: "print one JSON object instead of the path"},
	}
	for level := 1; level <= 9; level++ {
		usage := "compress everything again, at that level up to -9"
		flags = append(flags, &cli.BoolFlag{
			DisableDefaultText: true, Name: strconv.Itoa(level), Category: groupOutput, Usage: usage, Hidden: level > 1,
		})
	}
	return flags
}

func imageFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "platform", Category: groupImage, DefaultText: "linux and this machine's architecture",
			Usage: "choose `OS/ARCH[/VARIANT]`"},
		&cli.BoolFlag{DisableDefaultText: true, Name: "strict", Category: groupImage,
			Usage: "make every warning an error"},
		&cli.StringFlag{Name: "lower-symlinks", Value: "replace", Category: groupImage,
			Usage: "a path through a symbolic link of a lower layer: replace the link as overlayfs, or follow it (`MODE`)"},
	}
}

func registryFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "creds", Category: groupRegistry,
			Usage: "log in as `USER[:PASSWORD]`; without a password it is read from standard input"},
		&cli.StringFlag{Name: "authfile", Category: groupRegistry, DefaultText: "$REGISTRY_AUTH_FILE",
			Usage: "read credentials from `FILE` before Docker's and podman's"},
		&cli.BoolFlag{DisableDefaultText: true, Name: "insecure", Category: groupRegistry,
			Usage: "allow plain HTTP, and TLS certificates that cannot be verified"},
	}
}

func runFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{DisableDefaultText: true, Name: "quiet", Aliases: []string{"q"}, Category: groupRun,
			Usage: "say nothing but errors"},
		&cli.StringFlag{Name: "progress", Value: "auto", Category: groupRun,
			Usage: "show progress as `KIND`: auto, tty, plain or none"},
		&cli.IntFlag{Name: "jobs", Category: groupRun, DefaultText: "one for each processor",
			Usage: "read layers and compress with `N` goroutines"},
		&cli.StringFlag{Name: "tmpdir", Category: groupRun, DefaultText: "$TMPDIR, else the system's",
			Usage: "spool downloads and standard input in `DIR`"},
		&cli.StringFlag{Name: "cache-dir", Category: groupRun, DefaultText: "the user's cache directory",
			Usage: "remember the tables of contents of layers in `DIR`"},
		&cli.BoolFlag{DisableDefaultText: true, Name: "no-cache", Category: groupRun,
			Usage: "remember nothing"},
	}
}

// options are the library's options as the flags say.
func options(c *cli.Context, p process) (flatten.Options, error) {
	o := flatten.Options{
		Dir:       c.String("output"),
		Canonical: c.Bool("canonical"),
		TarDigest: c.Bool("json"),
		RootEntry: c.Bool("root-entry"),
		Strict:    c.Bool("strict"),
		Jobs:      c.Int("jobs"),
	}
	if o.Jobs < 0 {
		return o, usagef("--jobs %d: it is a number of goroutines from 1", o.Jobs)
	}
	switch kind := c.String("compression"); kind {
	case "gzip":
	case "none":
		o.Uncompressed = true
	default:
		return o, usagef("--compression %q: there are gzip and none", kind)
	}
	switch mode := c.String("lower-symlinks"); mode {
	case "replace":
	case "follow":
		o.FollowLowerSymlinks = true
	default:
		return o, usagef("--lower-symlinks %q: there are replace and follow", mode)
	}
	switch mode := c.String("progress"); mode {
	case "auto", "tty", "plain", "none":
	default:
		return o, usagef("--progress %q: there are auto, tty, plain and none", mode)
	}
	if err := setLevel(c, &o); err != nil {
		return o, err
	}
	if err := setCache(c, &o); err != nil {
		return o, err
	}
	return o, setEpoch(p, &o)
}

func setLevel(c *cli.Context, o *flatten.Options) error {
	for level := 1; level <= 9; level++ {
		if !c.Bool(strconv.Itoa(level)) {
			continue
		}
		if o.Level != 0 {
			return usagef("-%d and -%d: only one level can be", o.Level, level)
		}
		o.Level = level
	}
	if o.Level != 0 && o.Uncompressed {
		return usagef("-%d does not go with --compression none", o.Level)
	}
	return nil
}

// setCache chooses the cache: the user's, unless there is none or none is
// wanted.
func setCache(c *cli.Context, o *flatten.Options) error {
	dir := c.String("cache-dir")
	if c.Bool("no-cache") {
		if dir != "" {
			return usagef("--no-cache does not go with --cache-dir")
		}
		return nil
	}
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return nil
		}
		dir = filepath.Join(user, "flatten")
	}
	o.Cache = &toc.Cache{Dir: dir, Now: time.Now}
	return nil
}

// setEpoch reads SOURCE_DATE_EPOCH, seconds since 1970
// (https://reproducible-builds.org/specs/source-date-epoch/).
func setEpoch(p process, o *flatten.Options) error {
	text := p.getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		return nil
	}
	sec, err := strconv.ParseInt(text, 10, 64)
	if err != nil || sec < 0 {
		return usagef("SOURCE_DATE_EPOCH=%q: it is a number of seconds since 1970", text)
	}
	epoch := time.Unix(sec, 0).UTC()
	o.Epoch = &epoch
	return nil
}
