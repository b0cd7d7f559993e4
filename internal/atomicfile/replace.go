// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package atomicfile

import (
	"fmt"
	"io/fs"
)

// Resemble gives the file the permissions of one that it is to replace and, as
// far as this process may, its owner and group.
func (f *File) Resemble(info fs.FileInfo) error {
	chownLike(f.f, info)
	if err := f.f.Chmod(info.Mode().Perm()); err != nil {
		return fmt.Errorf("setting the mode of a file in %s: %w", f.dir, reason(err))
	}
	return nil
}
