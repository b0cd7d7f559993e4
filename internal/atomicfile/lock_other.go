// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package atomicfile

import "os"

// lock does nothing: an open file cannot be removed here.
func lock(*os.File) error { return nil }

// removeAbandoned removes a temporary file unless a process has it open.
func removeAbandoned(path string) { os.Remove(path) }

// publish closes the file first: an open one cannot be renamed here.
func publish(f *os.File, path string) error {
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// syncDir does nothing: a folder cannot be synced here.
func syncDir(string) error { return nil }
