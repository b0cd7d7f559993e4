// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package nameless

import (
	"os"

	"golang.org/x/sys/unix"
)

// create makes a file that never has a name where the file system can do that.
func create(dir string) (*os.File, error) {
	file, err := os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, 0o600)
	if err == nil {
		return file, nil
	}
	return createUnlinked(dir)
}
