// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// withMerged opens and merges the image that an argument names, shows progress
// and warnings, and calls do with it. It wants mergeFlags.
func withMerged(c *cli.Context, p process, u *ui, text string, do func(*flatten.Merged) error) error {
	return withMergedFor(c, p, u, text, c.String("platform"), do)
}

// withMergedFor is withMerged with the platform's name, empty for the default.
func withMergedFor(c *cli.Context, p process, u *ui, text, platform string, do func(*flatten.Merged) error) error {
	opts, err := mergeOptions(c)
	if err != nil {
		return err
	}
	img, err := openImageFor(c, p, u, text, platform)
	if err != nil {
		return err
	}
	defer img.Close()
	bars := newProgress(c.String("progress"), u, img)
	opts.Progress = bars.report
	m, err := flatten.Load(c.Context, img, opts)
	bars.close()
	if err != nil {
		return err
	}
	defer m.Close()
	u.warnings(m.Warnings)
	return do(m)
}

// stdoutError explains what writing to standard output met, and leaves other errors
// as they are.
func stdoutError(err error) error {
	var path *fs.PathError
	var space *image.SpaceError
	switch {
	case errors.Is(err, syscall.EPIPE):
		return image.WithHint(fmt.Errorf("writing to standard output: %w", syscall.EPIPE), "the reader of the pipe ended first")
	case !errors.As(err, &path) || path.Path != os.Stdout.Name():
		return err
	case errors.As(err, &space):
		space.Err = fmt.Errorf("writing to standard output: %w", path.Err)
		return space
	case errors.Is(err, syscall.ENOSPC):
		err = fmt.Errorf("writing to standard output: %w", path.Err)
		return image.WithHint(err, "the disk that it goes to is full")
	}
	return fmt.Errorf("writing to standard output: %w", path.Err)
}

// sticky is a writer that keeps its first error, so that what prints many lines
// asks once at the end.
type sticky struct {
	w   io.Writer
	err error
}

func (s *sticky) Write(b []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	var n int
	n, s.err = s.w.Write(b)
	return n, s.err
}
