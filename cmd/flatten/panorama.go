// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/panorama"
)

const groupPackage = "Package"

const panoramaDescription = `  $ flatten panorama export-container --help

Keeps application packages in the format of AWS Panorama: an image becomes a
content-named asset that a package's package.json names.`

func panoramaCommand(p process, u *ui) *cli.Command {
	return newCommand(&cli.Command{
		Name:        "panorama",
		Usage:       "make images assets of application packages",
		ArgsUsage:   "COMMAND",
		Description: panoramaDescription,
		Subcommands: []*cli.Command{
			exportContainerCommand(p, u),
			elsewhere("build-container", "flatten builds no images", "docker build, then flatten panorama export-container"),
			elsewhere("package-application", "flatten uploads nothing", "the service has ended; assets and package.json are what it took"),
		},
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				return image.WithHint(usagef("which command?"), "flatten panorama export-container --help")
			}
			return image.WithHint(usagef("there is no command panorama %q", c.Args().First()), "there is export-container")
		},
	}, u)
}

// elsewhere stands for a command of panorama-cli that has no place here, and says
// so whatever its flags are.
func elsewhere(name, why, hint string) *cli.Command {
	return &cli.Command{
		Name: name, Usage: why, Hidden: true, SkipFlagParsing: true,
		Action: func(*cli.Context) error { return image.WithHint(usagef("panorama %s: %s", name, why), "%s", hint) },
	}
}

const exportContainerDescription = `  $ flatten panorama export-container --container-asset-name code \
      --package-path packages/123456789012-SAMPLE_CODE-1.0 \
      --container-image-uri registry.example/app:1

Run in the root of a project, writes the image's filesystem to
assets/<sha256>.tar.gz, descriptor.json to assets/<sha256>.json, and makes the
package's package.json name them; a new asset gets an interface, and a node in
graph.json. What the asset was before is removed when no package of the project
names it any more. The asset's entry in package.json is printed.

Everything is checked first: descriptor.json against its format, its entry
against the image's files. Either all of the project's files change or none; a
run that is killed in between is completed by the next one.`

func exportContainerCommand(p process, u *ui) *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "container-asset-name", Category: groupPackage, Usage: "the asset's `NAME`"},
		&cli.StringFlag{Name: "package-path", Category: groupPackage, Usage: "the package's folder `DIR`: packages/ACCOUNT-NAME-VERSION"},
		&cli.StringFlag{Name: "container-image-uri", Category: groupPackage, Usage: "the image: a reference to a registry, or any `IMAGE` that flatten takes"},
		&cli.BoolFlag{DisableDefaultText: true, Name: "init-descriptor", Category: groupPackage,
			Usage: "where there is no descriptor.json, write one from the image's ENTRYPOINT, CMD and ENV"},
	}
	return &cli.Command{
		Name:        "export-container",
		Usage:       "make an image an asset of a package",
		ArgsUsage:   "--container-asset-name NAME --package-path DIR --container-image-uri IMAGE",
		Description: exportContainerDescription,
		Flags:       slices.Concat(flags, encodingFlags(), appliancePlatform(mergeFlags())),
		Action:      func(c *cli.Context) error { return exportContainer(c, p, u) },
	}
}

// appliance is the platform of the appliance, and the default here.
const appliance = "linux/arm64"

// appliancePlatform says in the help what --platform is without being given.
func appliancePlatform(flags []cli.Flag) []cli.Flag {
	for _, f := range flags {
		if f, ok := f.(*cli.StringFlag); ok && f.Name == "platform" {
			f.DefaultText = appliance + ", the appliance's"
		}
	}
	return flags
}

// exportContainer is "flatten panorama export-container".
func exportContainer(c *cli.Context, p process, u *ui) error {
	opts, err := exportOptions(c, p)
	if err != nil {
		return err
	}
	project, err := panorama.Open(c.String("package-path"))
	if err != nil {
		return err
	}
	completed, warnings, err := project.Check(c.Context, opts)
	sayCompleted(u, completed)
	if err != nil {
		return err
	}
	platform := cmp.Or(c.String("platform"), appliance)
	return withMergedFor(c, p, u, c.String("container-image-uri"), platform, func(m *flatten.Merged) error {
		bars := newProgress(c.String("progress"), u, m.Image)
		opts.Flatten.Progress = bars.report
		result, err := project.Export(c.Context, m, opts)
		bars.close()
		if err != nil {
			return fixedFolder(err)
		}
		result.Warnings = append(warnings, result.Warnings...)
		sayExport(u, result)
		return printResult(p.stdout, string(result.Definition)+"\n")
	})
}

// fixedFolder keeps the hint of a full disk from offering another folder.
func fixedFolder(err error) error {
	if space := (*image.SpaceError)(nil); errors.As(err, &space) {
		space.Dir = ""
	}
	return err
}

// exportOptions reads the flags and checks what needs no project.
func exportOptions(c *cli.Context, p process) (panorama.Options, error) {
	o := panorama.Options{Asset: c.String("container-asset-name"), InitDescriptor: c.Bool("init-descriptor")}
	if c.NArg() > 0 {
		return o, image.WithHint(usagef("%q is one argument too many", c.Args().First()),
			"the image goes behind --container-image-uri")
	}
	for _, name := range []string{"container-asset-name", "package-path", "container-image-uri"} {
		if c.String(name) == "" {
			return o, image.WithHint(usagef("--%s is missing", name),
				"flatten panorama export-container --container-asset-name NAME --package-path packages/ACCOUNT-NAME-VERSION --container-image-uri IMAGE")
		}
	}
	if err := panorama.CheckAssetName(o.Asset); err != nil {
		return o, &usageError{fmt.Errorf("--container-asset-name: %w", err)}
	}
	var err error
	if o.Flatten, err = mergeOptions(c); err != nil {
		return o, err
	}
	return o, setEncoding(c, p, &o.Flatten)
}

func sayCompleted(u *ui, files []string) {
	if len(files) > 0 {
		u.say("completed an export that was interrupted: %s", strings.Join(files, ", "))
	}
}

// sayExport tells people what an export found and did.
func sayExport(u *ui, r *panorama.Result) {
	sayCompleted(u, r.Completed)
	for _, text := range r.Warnings {
		u.say("warning: %s", text)
	}
	if len(r.Ignored) > 0 {
		u.say("the appliance ignores what the image sets: %s", strings.Join(r.Ignored, "; "))
	}
	for _, text := range r.Notes {
		u.say("%s", text)
	}
	u.say("wrote %s, %s, and %s", r.Asset.Path, formatBytes(r.Asset.Size), r.Descriptor)
	if len(r.Changed) > 0 {
		u.say("changed %s", strings.Join(r.Changed, ", "))
	} else {
		u.say("nothing else changed: package.json names them already")
	}
	if len(r.Removed) > 0 {
		u.say("removed what was superseded: %s", strings.Join(r.Removed, ", "))
	}
}
