// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-81b0d42e/flatten/internal/filelock"
)

// nofollow keeps an open from following a symbolic link.
const nofollow = unix.O_NOFOLLOW

// removeAbandoned removes a temporary file that nobody holds a lock on, and
// reports whether it did.
func removeAbandoned(path string) bool {
	f, err := os.OpenFile(path, os.O_RDWR|nofollow, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return filelock.Try(f, filelock.Exclusive) == nil && still(f) && os.Remove(path) == nil
}

// publish renames an open file.
func publish(f *os.File, path string) error { return os.Rename(f.Name(), path) }

// chownLike gives f the owner and group of another file, if this process may.
func chownLike(f *os.File, info fs.FileInfo) {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		_ = f.Chown(int(stat.Uid), int(stat.Gid))
	}
}

// syncDir makes a rename in dir durable. Not every file system can.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) {
		return err
	}
	return nil
}
