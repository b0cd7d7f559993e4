// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package nameless makes temporary files that go with the process, however that
// ends.
//
// On Linux such a file never has a name, where the file system can do that (all of
// the usual ones on disks and in memory do). On other Unix systems it has one for
// a moment. On Windows an open file keeps its name, so that a process that is killed
// leaves it.
package nameless

import "os"

const pattern = "flatten-*"

// Create makes a file in dir, for reading and writing, for this user alone. An
// empty dir is the system's folder for temporary files. [Remove] closes it.
func Create(dir string) (*os.File, error) {
	if dir == "" {
		dir = os.TempDir()
	}
	return create(dir)
}

// Remove closes a file of [Create], which ends it.
func Remove(file *os.File) error { return remove(file) }
