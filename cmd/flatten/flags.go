// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"slices"
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
	return slices.Concat(outputFlags(), mergeFlags())
}

// mergeFlags are those of a command that merges an image: see mergeOptions.
func mergeFlags() []cli.Flag {
	return slices.Concat(platformFlags(), imageFlags(), registryFlags(), runFlags(), workFlags(), cacheFlags(),
		limitFlags(layerLimits), limitFlags(documentLimits))
}

// openFlags are those of a command that opens an image and reads no layer.
func openFlags() []cli.Flag {
	return slices.Concat(platformFlags(), registryFlags(), runFlags(), limitFlags(documentLimits))
}

func outputFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: ".", Category: groupOutput,
			Usage: "write to the folder `DIR`; - streams to standard output"},
		newChoiceFlag(&cli.StringFlag{Name: "compression", Value: "gzip", Category: groupOutput,
			Usage: "compress with `KIND`: gzip or none"}, "gzip", "none"),
		&cli.BoolFlag{DisableDefaultText: true, Name: "json", Category: groupOutput,
			Usage: "print one JSON object instead of the path"},
	}, encodingFlags()...)
}

// encodingFlags say how a gzip file is written: see setEncoding.
func encodingFlags() []cli.Flag {
	flags := []cli.Flag{
		&cli.BoolFlag{DisableDefaultText: true, Name: "canonical", Category: groupOutput,
			Usage: "the same bytes for the same filesystem, whatever its layers were"},
		&cli.BoolFlag{DisableDefaultText: true, Name: "root-entry", Category: groupOutput,
			Usage: "keep the image's entry for the root directory"},
	}
	for level := 1; level <= 9; level++ {
		usage := "compress everything again, at that level up to -9"
		flags = append(flags, &cli.BoolFlag{
			DisableDefaultText: true, Name: strconv.Itoa(level), Category: groupOutput, Usage: usage, Hidden: level > 1,
		})
	}
	return flags
}

func platformFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "platform", Category: groupImage, DefaultText: "linux and this machine's architecture",
			Usage: "choose `OS/ARCH[/VARIANT]`"},
	}
}

func imageFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{DisableDefaultText: true, Name: "strict", Category: groupImage,
			Usage: "make every warning an error"},
		newChoiceFlag(&cli.StringFlag{Name: "lower-symlinks", Value: "replace", Category: groupImage,
			Usage: "a path through a symbolic link of a lower layer: replace the link as overlayfs, or follow it (`MODE`)",
		}, "replace", "follow"),
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
		quietFlag(),
		&cli.StringFlag{Name: "tmpdir", Category: groupRun, DefaultText: "$TMPDIR, else the system's",
			Usage: "spool downloads and standard input in `DIR`"},
	}
}

func workFlags() []cli.Flag {
	return []cli.Flag{
		progressFlag(),
		&cli.IntFlag{Name: "jobs", Category: groupRun, DefaultText: "one for each processor",
			Usage: "read layers and compress with `N` goroutines"},
	}
}

func quietFlag() cli.Flag {
	return &cli.BoolFlag{DisableDefaultText: true, Name: "quiet", Aliases: []string{"q"}, Category: groupRun,
		Usage: "say nothing but errors"}
}

func progressFlag() cli.Flag {
	return newChoiceFlag(&cli.StringFlag{Name: "progress", Value: "auto", Category: groupRun,
		Usage: "show progress as `KIND`: auto, tty, plain or none"}, "auto", "tty", "plain", "none")
}

func cacheFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "cache-dir", Category: groupRun, DefaultText: "the user's cache directory",
			Usage: "remember the tables of contents of layers in `DIR`"},
		&cli.BoolFlag{DisableDefaultText: true, Name: "no-cache", Category: groupRun,
			Usage: "remember nothing"},
	}
}

// options are the library's options as the flags say.
func options(c *cli.Context, p process) (flatten.Options, error) {
	o, err := mergeOptions(c)
	if err != nil {
		return o, err
	}
	o.Dir = c.String("output")
	o.TarDigest = c.Bool("json")
	o.Uncompressed = c.String("compression") == "none"
	return o, setEncoding(c, p, &o)
}

// setEncoding sets those of the options that encodingFlags say.
func setEncoding(c *cli.Context, p process, o *flatten.Options) error {
	o.Canonical = c.Bool("canonical")
	o.RootEntry = c.Bool("root-entry")
	if err := setLevel(c, o); err != nil {
		return err
	}
	return setEpoch(p, o)
}

// mergeOptions are those of the options that say how layers are merged, as
// mergeFlags say.
func mergeOptions(c *cli.Context) (flatten.Options, error) {
	o := flatten.Options{
		Strict: c.Bool("strict"), Jobs: c.Int("jobs"), FollowLowerSymlinks: c.String("lower-symlinks") == "follow",
		TempDir: c.String("tmpdir"),
	}
	if o.Jobs < 0 {
		return o, usagef("--jobs %d: it is a number of goroutines from 1", o.Jobs)
	}
	var err error
	if o.Limits, err = limitsOf(c); err != nil {
		return o, err
	}
	return o, setCache(c, &o)
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
