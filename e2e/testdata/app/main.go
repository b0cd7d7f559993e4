// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Command app is what the image of the cookbook runs.
package main

import (
	"fmt"
	"os"
)

func main() {
	motd, err := os.ReadFile("/etc/motd")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(string(motd))
}
