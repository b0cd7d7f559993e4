// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

import "fmt"

// EntryError says what is wrong in a tar stream, and where. It is
// [image.ErrCorrupt].
type EntryError struct {
	// Name is the name of the entry as stored; empty when the fault is not in
	// an entry or comes before its name is known.
	Name string

	// Offset is the byte of the tar stream, counted from 0: where the header
	// block at fault begins, or where a stream that is too short ends.
	Offset int64

	// Err is the fault.
	Err error
}

func (e *EntryError) Error() string {
	if e.Name == "" {
		return fmt.Sprintf("byte %d of the tar: %v", e.Offset, e.Err)
	}
	return fmt.Sprintf("entry %q at byte %d of the tar: %v", shorten(e.Name), e.Offset, e.Err)
}

func (e *EntryError) Unwrap() error { return e.Err }

// shorten keeps a hostile name from filling a screen.
func shorten(name string) string {
	const most = 256
	if len(name) <= most {
		return name
	}
	return name[:most] + "…"
}
