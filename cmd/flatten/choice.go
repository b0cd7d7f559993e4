// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// choiceFlag is a flag with one of a few values, which shells complete. Another
// value is a usage error before the command begins.
type choiceFlag struct {
	*cli.StringFlag
	choices []string
}

// newChoiceFlag makes a flag a choice among two values or more.
func newChoiceFlag(f *cli.StringFlag, choices ...string) cli.Flag {
	f.Action = func(_ *cli.Context, value string) error {
		if slices.Contains(choices, value) {
			return nil
		}
		last := len(choices) - 1
		return usagef("--%s %q: there are %s and %s", f.Name, value, strings.Join(choices[:last], ", "), choices[last])
	}
	return &choiceFlag{f, choices}
}
