// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package filelock

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

func try(f *os.File, m Mode) error {
	how := unix.LOCK_NB | unix.LOCK_SH
	if m == Exclusive {
		how = unix.LOCK_NB | unix.LOCK_EX
	}
	err := unix.Flock(int(f.Fd()), how)
	for errors.Is(err, unix.EINTR) {
		err = unix.Flock(int(f.Fd()), how)
	}
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return ErrLocked
	case errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.ENOLCK), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EBADF):
		// EBADF: a network file system that wants the file open for writing.
		return fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	return err
}
