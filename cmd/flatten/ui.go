// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// The rules for what is said:
//
//   - Standard output carries the result alone: a path, JSON, or the stream.
//   - All else is for people, on standard error: one line each, "flatten: …",
//     lower case, no full stop. A hint stands on a line of its own.
//   - With -q only errors are said.
//   - What an image or a user brought is quoted, so that no byte of it reaches
//     a terminal as it is.
type ui struct {
	mu     sync.Mutex
	stderr io.Writer
	quiet  bool
}

// shownWarnings is how many warnings are said; --json lists all of them.
const shownWarnings = 10

func (u *ui) say(format string, args ...any) {
	if u.quiet {
		return
	}
	u.line(format, args...)
}

func (u *ui) line(format string, args ...any) {
	u.mu.Lock()
	defer u.mu.Unlock()
	text := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", " ")
	fmt.Fprintf(u.stderr, "flatten: %s\n", text)
}

// warnings says the first few of a list.
func (u *ui) warnings(list []image.Warning) {
	for i, w := range list {
		if i == shownWarnings {
			u.say("warning: %d more; --json lists all", len(list)-i)
			return
		}
		u.say("warning: %v", w)
	}
}

// fail says an error and what can be done about it.
func (u *ui) fail(err error) {
	u.line("%v", err)
	if h := hint(err); h != "" {
		u.line("hint: %s", h)
	}
}

// isTerminal reports whether a stream is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// formatBytes is a size for people, in powers of 1000 as registries count.
func formatBytes(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n), ""
	for _, unit = range []string{"kB", "MB", "GB", "TB"} {
		if value /= 1000; value < 999.95 {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", value, unit)
}
