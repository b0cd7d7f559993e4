// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package atomicfile

import (
	"os"

	"golang.org/x/sys/unix"
)

// startWriteback has the system begin to write a range to disk, without waiting
// for it, so that the sync at the end finds little left to do. It is a hint.
func startWriteback(f *os.File, off, n int64) {
	_ = unix.SyncFileRange(int(f.Fd()), off, n, unix.SYNC_FILE_RANGE_WRITE)
}
