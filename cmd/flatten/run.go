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
	err := app.RunContext(ctx, append([]string{app.Name}, permute(p.args, app.Flags, app.Commands)...))
	if err != nil && !errors.Is(err, errSilent) {
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
		Description:           description,
		Version:               version(),
		Flags:                 flattenFlags(),
		Action:                func(c *cli.Context) error { return flattenAction(c, p, u) },
		Commands:              newCommands(p, u),
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

// newCommands are the commands beside flattening, in the order of --help.
func newCommands(p process, u *ui) []*cli.Command {
	return []*cli.Command{
		inspectCommand(p, u),
		historyCommand(p, u),
		lsCommand(p, u),
		planCommand(p, u),
		diffCommand(p, u),
		verifyCommand(p, u),
		pullCommand(p, u),
		imagesCommand(p, u),
		tagCommand(p, u),
		untagCommand(p, u),
		gcCommand(p, u),
		panoramaCommand(p, u),
		completionCommand(p, u),
		completeCommand(p, u),
	}
}

// newCommand completes a command's description with what all have in common.
// Description begins with an example that can be run.
func newCommand(cmd *cli.Command, u *ui) *cli.Command {
	cmd.CustomHelpTemplate = commandHelpTemplate
	cmd.HideHelpCommand = true
	cmd.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return usage(cmd.Flags, err) }
	cmd.Before = func(c *cli.Context) error {
		u.quiet = c.Bool("quiet")
		return nil
	}
	for _, sub := range cmd.Subcommands {
		newCommand(sub, u)
	}
	return cmd
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
