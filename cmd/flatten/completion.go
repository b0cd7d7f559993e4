// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"embed"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

//go:embed completion
var completions embed.FS

var shells = []string{"bash", "zsh", "fish"}

// completionCommand is "flatten completion".
func completionCommand(p process, u *ui) *cli.Command {
	return newCommand(&cli.Command{
		Name:      "completion",
		Usage:     "print a script that completes command lines in a shell",
		ArgsUsage: strings.Join(shells, "|"),
		Description: `  $ flatten completion fish > ~/.config/fish/completions/flatten.fish

The script completes commands, flags, values that are one of a few, files, tags
in layouts and archives (oci:DIR:TAG) and the platforms of such an image. An
archive that is compressed as a whole is not looked into.

In bash and zsh it can be read when a shell begins:

  source <(flatten completion bash)        # in ~/.bashrc
  source <(flatten completion zsh)         # in ~/.zshrc, behind compinit

Kept in a file, it belongs in ~/.local/share/bash-completion/completions/flatten
for bash, in a folder of $fpath as _flatten for zsh.`,
		Action: func(c *cli.Context) error { return completionAction(c, p) },
	}, u)
}

func completionAction(c *cli.Context, p process) error {
	hint := "flatten completion " + strings.Join(shells, ", flatten completion ")
	switch {
	case c.NArg() == 0:
		return image.WithHint(usagef("for which shell?"), "%s", hint)
	case c.NArg() > 1:
		return usagef("one shell at a time: %q is one too many", c.Args().Get(1))
	case !slices.Contains(shells, c.Args().First()):
		return image.WithHint(usagef("there is no script for %q", c.Args().First()), "%s", hint)
	}
	script, err := completions.ReadFile("completion/flatten." + c.Args().First())
	if err != nil {
		return err
	}
	_, err = p.stdout.Write(script)
	return stdoutError(err)
}
