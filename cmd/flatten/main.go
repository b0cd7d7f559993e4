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
//	130  interrupted
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

func main() {
	// Tables of contents live as long as the process: collecting earlier costs
	// little and keeps an image of a million entries in half the memory.
	debug.SetGCPercent(50)
	// A pipe whose reader is gone is an error like any other.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, process{
		args: os.Args[1:], getenv: os.Getenv,
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
	})
	stop()
	os.Exit(code)
}
