// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// permute moves flags in front of the other arguments, since the flag parser
// stops at the first argument that is not one, and people write flags on both
// sides of IMAGE. What follows "--" stays as it is.
func permute(args []string, flags []cli.Flag) []string {
	values := valued(flags)
	var front, rest []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			rest = append(rest, args[i+1:]...)
			i = len(args)
		case arg == "-" || !strings.HasPrefix(arg, "-"):
			rest = append(rest, arg)
		case values[strings.TrimLeft(arg, "-")] && i+1 < len(args):
			front = append(front, arg, args[i+1])
			i++
		default:
			front = append(front, arg)
		}
	}
	return append(append(front, "--"), rest...)
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
