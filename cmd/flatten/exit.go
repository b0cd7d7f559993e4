// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// The exit codes, in one place; main.go, the help and the manual list them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitCorrupt     = 3
	exitNotFound    = 4
	exitInterrupted = 130
)

// usageError is a mistake on the command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// errSilent ends a command with exit code 1 and without a word: the answer was
// no, not that something failed.
var errSilent = errors.New("no")

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// exitCode chooses the exit code for an error.
func exitCode(ctx context.Context, err error) int {
	var usage *usageError
	switch {
	case err == nil:
		return exitDone
	case ctx.Err() != nil:
		return exitInterrupted
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, image.ErrCorrupt):
		return exitCorrupt
	case errors.Is(err, image.ErrNotFound), errors.Is(err, image.ErrDenied):
		return exitNotFound
	}
	return exitFailed
}

// hint is what the reader of an error can do next, empty when nobody knows.
func hint(err error) string {
	if h := image.Hint(err); h != "" {
		return h
	}
	var limit *image.LimitError
	var space *image.SpaceError
	switch {
	case errors.As(err, &limit):
		return limitHint(limit)
	case errors.As(err, &space):
		return spaceHint(space)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "the disk is full; -o and --tmpdir choose other folders"
	case errors.Is(err, syscall.EROFS):
		return "the folder is read-only; name another one"
	}
	return ""
}
