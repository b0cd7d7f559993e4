// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Command bench runs flatten and the tools that people use today side by side on
// one image, and prints what each of them needs.
//
//	go run ./bench make                  # make the image; Debian, root and docker
//	go run ./bench -image oci:DIR:TAG    # compare on it
//
// # What is measured
//
// Each row of the table is a line of shell that makes one gzip tar of the
// image's filesystem in a fresh folder. A program of its own runs that line and
// reports the wall time, the user and system time of all processes of the line
// that have been waited for, and the peak resident memory of the largest of
// them. What a daemon does elsewhere is not in these; the rows that have one say
// so. Every row runs once to warm up. Then all rows run in turn, as many times as
// -runs says, each turn starting at another row. The table has the medians.
//
// Nothing is dropped from the page cache: the image has been read before by the
// time the clock starts, for every row. "Cold" and "warm" are about flatten's own
// cache. Before each run what is dirty is synced, outside the clock; flatten
// syncs its output inside the clock, the others do not sync theirs.
//
// The warm-up's output is read back: entries are counted and paths compared by
// type, content, owner and mode with those of one row.
//
// # Other verbs
//
//	bench recompress -with 'gzip -6 -n' -as gzip oci:DIR:TAG TAG2
//
// adds an image to the layout whose layers went through another compressor.
// The verbs measure and serve are for bench itself.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the command without the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	verb := ""
	if len(args) > 0 {
		verb = args[0]
	}
	switch verb {
	case "make":
		return makeImages(ctx, args[1:], stdout, stderr)
	case "recompress":
		return recompressCommand(ctx, args[1:], stdout, stderr)
	case "measure":
		return measureCommand(args[1:])
	case "serve":
		return serveCommand(args[1:], stdout)
	}
	return compare(ctx, args, stdout, stderr)
}
