// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
	"runtime/debug"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// process is what the operating system gives a run: tests give another.
type process struct {
	args           []string
	getenv         func(string) string
	stdin          io.Reader
	stdout, stderr io.Writer
}

// run is the command but for its exit.
func run(ctx context.Context, p process) int {
	u := &ui{stderr: p.stderr}
	app := newApp(p, u)
	err := app.RunContext(ctx, append([]string{app.Name}, permute(p.args, app.Flags)...))
	if err != nil {
		u.fail(explain(ctx, err))
	}
	return exitCode(ctx, err)
}

// explain gives an interruption a text of its own.
func explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}

// newApp describes the command line.
func newApp(p process, u *ui) *cli.App {
	return &cli.App{
		Name:                  "flatten",
		Usage:                 "a container image as one digest-named gzip tar of its filesystem",
		ArgsUsage:             "IMAGE",
		Version:               version(),
		Flags:                 flattenFlags(),
		Action:                func(c *cli.Context) error { return flattenAction(c, p, u) },
		Reader:                p.stdin,
		Writer:                p.stdout,
		ErrWriter:             io.Discard,
		CustomAppHelpTemplate: helpTemplate,
		HideHelpCommand:       true,
		Suggest:               true,
		ExitErrHandler:        func(*cli.Context, error) {},
		OnUsageError: func(c *cli.Context, err error, _ bool) error {
			return usage(c.App.Flags, err)
		},
	}
}

// usage is an error of the flag parser, with the flag that was probably meant.
func usage(flags []cli.Flag, err error) error {
	given, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !ok {
		return &usageError{err}
	}
	err = usagef("there is no flag --%s", given)
	if meant := cli.SuggestFlag(flags, given, false); meant != "" {
		err = image.WithHint(err, "did you mean %s?", meant)
	}
	return err
}

// version is what the Go tool recorded of the build.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}

const helpTemplate = `{{.Name}} - {{.Usage}}

  $ flatten alpine:3.20                       # from a registry
  3b0c…e1.tar.gz
  $ flatten -o - oci:dir:app | tar -xz -C root # or a layout, or an archive

USAGE
  flatten [flags] IMAGE

IMAGE
  docker://REF, REF             a registry
  oci:DIR[:TAG|@DIGEST]         an OCI image layout
  oci-archive:FILE[:TAG]        the same in a tar, compressed or not
  docker-archive:FILE[:REF]     what docker save writes
  ./PATH, /PATH                 any of these files and folders, recognised
  -                             an archive on standard input

FLAGS{{range .VisibleFlagCategories}}{{if .Name}}
  {{.Name}}{{end}}{{range .Flags}}
   {{.}}{{end}}{{end}}

EXIT CODES
  0    done
  1    failed: input or output, the network; trying again may help
  2    the command line is wrong
  3    the image is corrupt, unsafe or fails a digest
  4    there is no such image, tag or platform, or access is denied
  130  interrupted
`
