// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// permute moves flags in front of the other arguments, since the flag parser
// stops at the first argument that is not one, and people write flags on both
// sides of IMAGE and of a command's name. What follows "--" stays as it is. Who asks
// for help anywhere gets it, whatever else there is; -h does unless it means
// something else to the command.
func permute(args []string, flags []cli.Flag, commands []*cli.Command) []string {
	values := valued(flags)
	if i := first(args, values); i < len(args) {
		for _, cmd := range commands {
			if cmd.HasName(args[i]) {
				others := slices.Concat(args[:i], args[i+1:])
				return append([]string{args[i]}, permute(others, cmd.Flags, cmd.Subcommands)...)
			}
		}
	}
	var front, rest []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			rest = append(rest, args[i+1:]...)
			i = len(args)
		case !isFlag(arg):
			rest = append(rest, arg)
		case arg == "--help" || arg == "-help" || arg == "-h" && !defines(flags, "h"):
			return []string{"--help"}
		case values[strings.TrimLeft(arg, "-")] && i+1 < len(args):
			front = append(front, arg, args[i+1])
			i++
		default:
			front = append(front, arg)
		}
	}
	return append(append(front, "--"), rest...)
}

// first is the index of the first argument that is neither a flag nor the value
// of one, len(args) when there is none or what follows stands after "--".
func first(args []string, values map[string]bool) int {
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; {
		case arg == "--":
			return len(args)
		case !isFlag(arg):
			return i
		case values[strings.TrimLeft(arg, "-")]:
			i++
		}
	}
	return len(args)
}

// isFlag reports whether an argument is a flag; "-" is an image.
func isFlag(arg string) bool { return strings.HasPrefix(arg, "-") && arg != "-" }

// defines reports whether a flag has a name.
func defines(flags []cli.Flag, name string) bool {
	return slices.ContainsFunc(flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
}

// valued are the names of the flags that take a value.
func valued(flags []cli.Flag) map[string]bool {
	names := map[string]bool{}
	for _, f := range flags {
		if d, ok := f.(cli.DocGenerationFlag); ok && d.TakesValue() {
			for _, name := range f.Names() {
				names[name] = true
			}
		}
	}
	return names
}
