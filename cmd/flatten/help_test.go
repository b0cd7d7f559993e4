// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// backquoted is the name of a flag's value in its usage text.
var backquoted = regexp.MustCompile("`[^`]+`")

// The help of each command opens with an example that can be run, and says what
// each flag is for.
func TestHelp(t *testing.T) {
	app := newTestApp()
	root := &cli.Command{HelpName: app.Name, Usage: app.Usage, ArgsUsage: app.ArgsUsage, Flags: app.Flags}
	for _, cmd := range append(allCommands(app), root) {
		t.Run(cmd.HelpName, func(t *testing.T) {
			if cmd.Usage == "" || strings.HasSuffix(cmd.Usage, ".") {
				t.Errorf("usage %q: it says in a few words, without a full stop, what the command is for", cmd.Usage)
			}
			help := flattenCommand(t, append(strings.Fields(cmd.HelpName)[1:], "--help")...)
			title, rest, _ := strings.Cut(help, "\n\n")
			if title != cmd.HelpName+" - "+cmd.Usage {
				t.Errorf("opens with %q", title)
			}
			example, _, _ := strings.Cut(rest, "\n")
			if !strings.HasPrefix(example, "  $ "+cmd.HelpName+" ") {
				t.Errorf("the example is %q, it has to begin with %q", example, "  $ "+cmd.HelpName+" ")
			}
			checkFlags(t, cmd, example)
			checkUsages(t, cmd.Flags)
		})
	}
}

// checkFlags demands that the command has the flags that its example has.
func checkFlags(t *testing.T, cmd *cli.Command, example string) {
	t.Helper()
	own, _, _ := strings.Cut(example, "|")
	known := map[string]bool{"help": true}
	for _, f := range cmd.Flags {
		for _, name := range f.Names() {
			known[name] = true
		}
	}
	for _, word := range strings.Fields(own) {
		name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
		if isFlag(word) && !known[name] {
			t.Errorf("the example %q has %s, the command has not", example, word)
		}
	}
}

func checkUsages(t *testing.T, flags []cli.Flag) {
	t.Helper()
	for _, f := range flags {
		doc, ok := f.(cli.DocGenerationFlag)
		if !ok || doc.GetUsage() == "" {
			t.Errorf("flag %s has no usage text", f.Names()[0])
			continue
		}
		if doc.TakesValue() && !backquoted.MatchString(doc.GetUsage()) {
			t.Errorf("flag %s: %q does not name the value in backquotes", f.Names()[0], doc.GetUsage())
		}
	}
}

// newTestApp is the command line, set up as for a run.
func newTestApp() *cli.App {
	app := newApp(process{getenv: func(string) string { return "" }}, &ui{stderr: io.Discard})
	app.Setup()
	return app
}

// allCommands are the commands and theirs, hidden ones left out, with whole names.
func allCommands(app *cli.App) []*cli.Command {
	var all []*cli.Command
	var walk func(prefix string, commands []*cli.Command)
	walk = func(prefix string, commands []*cli.Command) {
		for _, cmd := range commands {
			if !cmd.Hidden {
				cmd.HelpName = prefix + " " + cmd.Name
				all = append(all, cmd)
				walk(cmd.HelpName, cmd.Subcommands)
			}
		}
	}
	walk(app.Name, app.Commands)
	return all
}
