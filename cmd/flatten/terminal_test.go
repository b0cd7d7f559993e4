// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
)

// Binary data is not for a terminal, nor is an archive read from one.
func TestTerminal(t *testing.T) {
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil || !isTerminal(tty) {
		t.Skipf("needs a pseudo terminal: %v", err)
	}
	defer tty.Close()
	for want, args := range map[string][]string{
		"standard output is a terminal":                {"-o", "-", "oci:../../fixtures/hello"},
		"standard input is a terminal, not an archive": {"-"},
	} {
		var stderr bytes.Buffer
		code := run(context.Background(), process{
			args: args, getenv: func(string) string { return "" },
			stdin: tty, stdout: tty, stderr: &stderr,
		})
		if code != exitUsage || !strings.Contains(stderr.String(), want) {
			t.Errorf("%q: exit code %d, %s", args, code, &stderr)
		}
	}
}
