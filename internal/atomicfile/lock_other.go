// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package atomicfile

import (
	"io/fs"
	"os"
)

const nofollow = 0

// removeAbandoned removes a temporary file unless a process has it open, and
// reports whether it did.
func removeAbandoned(path string) bool { return os.Remove(path) == nil }

// publish closes the file first: an open one cannot be renamed here.
func publish(f *os.File, path string) error {
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// chownLike does nothing: owners are not numbers here.
func chownLike(*os.File, fs.FileInfo) {}

// syncDir does nothing: a folder cannot be synced here.
func syncDir(string) error { return nil }
