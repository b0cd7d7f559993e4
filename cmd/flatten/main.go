// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Command flatten turns a container image into one digest-named gzip tar of its
// filesystem. "flatten --help" is its manual.
//
// # Exit codes
//
//	0    done
//	1    failed: input or output, the network; trying again may help
//	2    the command line is wrong
//	3    the image is corrupt, unsafe or fails a digest
//	4    there is no such image, tag or platform, or access is denied
//	130  interrupted: by Ctrl-C, SIGTERM or SIGHUP
package main

import (
	"os"
	"runtime/debug"
)

func main() {
	// Tables of contents live as long as the process: collecting earlier costs
	// little and keeps an image of a million entries in half the memory.
	debug.SetGCPercent(50)
	os.Exit(interruptible(process{
		args: os.Args[1:], getenv: os.Getenv,
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
	}))
}
