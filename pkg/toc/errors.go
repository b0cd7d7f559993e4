// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

import (
	"fmt"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

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

// LimitError says which limit a layer is over. It is [image.ErrCorrupt] where
// [Scanner] and [Scan] return it.
type LimitError struct {
	// Limit is the name of the field of [Limits].
	Limit string

	// Max is its value.
	Max int64
}

func (e *LimitError) Error() string {
	what := map[string]string{
		"Entries":     "entries",
		"Size":        "uncompressed bytes",
		"HeaderBytes": "bytes of names and records",
		"Fragments":   "fragments of sparse files",
	}[e.Limit]
	return fmt.Sprintf("more than %d %s", e.Max, what)
}

// over is the error of a layer that is over a limit.
func over(limit string, most int64) error {
	return image.WithHint(image.Corruptf("%w", &LimitError{limit, most}),
		"if the image is to be trusted, raise the limit")
}
