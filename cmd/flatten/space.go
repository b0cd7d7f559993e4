// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// spaceHint says how much room the output would have taken.
func spaceHint(e *image.SpaceError) string {
	text := fmt.Sprintf("there was room for %s", formatBytes(e.Written))
	if e.Needed > 0 {
		text = fmt.Sprintf("about %s are needed, %s", formatBytes(e.Needed), text)
	}
	if e.Dir == "" {
		return text
	}
	return text + "; -o chooses another folder"
}
