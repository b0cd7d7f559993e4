// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/urfave/cli/v2"

	"github.com/seed-81b0d42e/flatten/pkg/reference"
)

// completeCommand is what the scripts of "flatten completion" call at each press
// of the key:
//
//	flatten __complete -- INDEX WORD...
//
// The words are those behind "flatten", without quotes; the one at INDEX is
// completed. Each line of output is a word that it may become, a tab, and what
// that is. A line ":files" or ":dirs" stands for the names that a shell knows by
// itself. Nothing is said when there is nothing.
func completeCommand(p process, u *ui) *cli.Command {
	return newCommand(&cli.Command{
		Name:        "__complete",
		Usage:       "say what a word can become",
		ArgsUsage:   "-- INDEX WORD...",
		Description: "  $ flatten __complete -- 0 --pl",
		Hidden:      true,
		Action:      func(c *cli.Context) error { return completeAction(c, p) },
	}, u)
}

// patience is how long the source of a suggestion may take.
const patience = 2 * time.Second

func completeAction(c *cli.Context, p process) error {
	words := c.Args().Tail()
	index, err := strconv.Atoi(c.Args().First())
	if err != nil || index < 0 || index > len(words) {
		return usagef("__complete: the first argument is the index of a word")
	}
	if index == len(words) {
		words = append(words, "")
	}
	ctx, cancel := context.WithTimeout(c.Context, patience)
	defer cancel()
	var out strings.Builder
	for _, s := range complete(ctx, c.App, words, index) {
		if strings.IndexFunc(s.word, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
			fmt.Fprintf(&out, "%s\t%s\n", s.word, s.about)
		}
	}
	return printResult(p.stdout, out.String())
}

// suggestion is what a word can become.
type suggestion struct{ word, about string }

// Suggestions that a shell makes itself.
var (
	suggestFiles = []suggestion{{":files", ""}}
	suggestDirs  = []suggestion{{":dirs", ""}}
)

// complete says what the word at an index can become.
func complete(ctx context.Context, app *cli.App, words []string, index int) []suggestion {
	l := parseLine(app, words, index)
	word := words[index]
	name, value, ok := strings.Cut(word, "=")
	switch {
	case l.pending != nil:
		return matching(word, l.flagValues(ctx, l.pending, word))
	case l.literal || !strings.HasPrefix(word, "-"):
		return matching(word, l.arguments(ctx, word))
	case !ok:
		return matching(word, l.flagNames())
	}
	var all []suggestion
	if f := findFlag(l.flags, name); f != nil {
		for _, s := range matching(value, l.flagValues(ctx, f, value)) {
			if !strings.HasPrefix(s.word, ":") {
				s.word = name + "=" + s.word
			}
			all = append(all, s)
		}
	}
	return all
}

// matching are the suggestions that begin with what is there, but for those that
// the shell makes.
func matching(word string, all []suggestion) []suggestion {
	return slices.DeleteFunc(slices.Clone(all), func(s suggestion) bool {
		return !strings.HasPrefix(s.word, word) && !strings.HasPrefix(s.word, ":")
	})
}

// line is a command line as far as it has been understood.
type line struct {
	name     string         // of the command, with those it belongs to
	usage    string         // its arguments
	commands []*cli.Command // that can still be named
	flags    []cli.Flag

	given   map[string]bool // the names of flags on the line
	pending cli.Flag        // the flag that the word is the value of
	literal bool            // the word stands after "--"
	before  []string        // the arguments before the word
	after   []string        // and after it
}

// parseLine understands a line as permute and the flag parser do.
func parseLine(app *cli.App, words []string, index int) *line {
	l := &line{
		name: app.Name, usage: app.ArgsUsage, commands: app.Commands, flags: app.Flags, given: map[string]bool{},
	}
	before := slices.Clone(words[:index])
	for {
		i := first(before, valued(l.flags))
		cmd := l.command(before, i)
		if cmd == nil {
			break
		}
		before = slices.Delete(before, i, i+1)
		l.name += " " + cmd.Name
		l.usage, l.commands = cmd.ArgsUsage, cmd.Subcommands
		l.flags = append(slices.Clip(cmd.Flags), cli.HelpFlag)
	}
	l.before = l.walk(before)
	rest := &line{flags: l.flags, given: l.given, literal: l.literal}
	l.after = rest.walk(words[index+1:])
	return l
}

// command is the command that is the word at an index, nil when it is none.
func (l *line) command(words []string, i int) *cli.Command {
	for _, cmd := range l.commands {
		if i < len(words) && cmd.HasName(words[i]) {
			return cmd
		}
	}
	return nil
}

// walk notes the flags among words and returns the others.
func (l *line) walk(words []string) []string {
	var arguments []string
	for _, word := range words {
		name, _, hasValue := strings.Cut(word, "=")
		f := findFlag(l.flags, name)
		switch {
		case l.pending != nil:
			l.pending = nil
		case l.literal || !isFlag(word):
			arguments = append(arguments, word)
		case word == "--":
			l.literal = true
		case f != nil:
			for _, name := range f.Names() {
				l.given[name] = true
			}
			if takesValue(f) && !hasValue {
				l.pending = f
			}
		}
	}
	return arguments
}

// findFlag is the flag with a name as it is typed, nil when there is none.
func findFlag(flags []cli.Flag, typed string) cli.Flag {
	name := strings.TrimLeft(typed, "-")
	for _, f := range flags {
		if name != typed && slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

func takesValue(f cli.Flag) bool {
	d, ok := f.(cli.DocGenerationFlag)
	return ok && d.TakesValue()
}

// flagNames are the flags that are not on the line yet.
func (l *line) flagNames() []suggestion {
	var all []suggestion
	for _, f := range l.flags {
		if v, ok := f.(cli.VisibleFlag); ok && !v.IsVisible() || l.given[f.Names()[0]] {
			continue
		}
		about := ""
		if d, ok := f.(cli.DocGenerationFlag); ok {
			about = strings.ReplaceAll(d.GetUsage(), "`", "")
		}
		for _, name := range f.Names() {
			all = append(all, suggestion{dashed(name), about})
		}
	}
	return all
}

// dashed is a flag as it is typed.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// flagValues are the values that a flag can have.
func (l *line) flagValues(ctx context.Context, f cli.Flag, word string) []suggestion {
	if c, ok := f.(*choiceFlag); ok {
		return plain(c.choices)
	}
	if !takesValue(f) {
		return plain([]string{"true", "false"})
	}
	if strings.Contains(f.Names()[0], "platform") {
		return platforms(ctx, append(slices.Clone(l.before), l.after...))
	}
	usage := f.(cli.DocGenerationFlag).GetUsage()
	if _, value, ok := strings.Cut(usage, "`"); ok {
		value, _, _ = strings.Cut(value, "`")
		if all := named(ctx, value, word); all != nil {
			return all
		}
	}
	if name := f.Names()[0]; strings.HasSuffix(name, "path") || strings.HasSuffix(name, "dir") {
		return suggestDirs
	}
	return nil
}

// arguments are what the word can be when it is not a flag.
func (l *line) arguments(ctx context.Context, word string) []suggestion {
	var all []suggestion
	if len(l.before) == 0 && !l.literal {
		for _, cmd := range l.commands {
			if !cmd.Hidden {
				all = append(all, suggestion{cmd.Name, cmd.Usage})
			}
		}
	}
	wanted := strings.Fields(l.usage)
	i := len(l.before)
	if i >= len(wanted) {
		i = slices.IndexFunc(wanted, repeated)
	}
	if i < 0 || strings.HasPrefix(l.usage, "-") {
		return all
	}
	return append(all, named(ctx, wanted[i], word)...)
}

// repeated reports whether the help says that there can be several.
func repeated(name string) bool { return strings.HasSuffix(strings.Trim(name, "[]"), "...") }

// named is what can stand where the help has a name such as IMAGE, DIR or a|b.
func named(ctx context.Context, name, word string) []suggestion {
	name = strings.TrimSuffix(strings.Trim(name, "[]"), "...")
	has := func(part string) bool { return strings.Contains(name, part) }
	switch {
	case name == strings.ToLower(name) && has("|"):
		return plain(strings.Split(name, "|"))
	case has("IMAGE"), has("oci:"), has("DIR") && strings.HasPrefix(word, "oci:"):
		return references(ctx, word)
	case has("DIR:TAG"):
		return located(ctx, "", reference.OCI, word)
	case has("DIR"):
		return suggestDirs
	case has("FILE"):
		return suggestFiles
	}
	return nil
}

// plain are suggestions that need no words.
func plain(words []string) []suggestion {
	var all []suggestion
	for _, w := range words {
		all = append(all, suggestion{word: w})
	}
	return all
}
