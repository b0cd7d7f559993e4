// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"errors"
	"syscall"
)

// SpaceError is a file system, or a quota, without room for what is written.
type SpaceError struct {
	// Dir is a folder on it, empty where only the writer knows.
	Dir string

	// Written is how many bytes there was room for. Needed is about how many
	// all of it takes, these among them; 0 when nobody knows.
	Written, Needed int64

	// Err is what writing met, in words that name the folder.
	Err error
}

func (e *SpaceError) Error() string { return e.Err.Error() }
func (e *SpaceError) Unwrap() error { return e.Err }

// CheckSpace returns a [SpaceError] for an error that means no room, unless it is
// one already, and any other error as it is.
func CheckSpace(err error, dir string, written, needed int64) error {
	var space *SpaceError
	if errors.As(err, &space) || !isFull(err) {
		return err
	}
	return &SpaceError{Dir: dir, Written: written, Needed: needed, Err: err}
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, diskFull)
}
