// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package filelock locks open files against other processes, and against other
// opens of the same file in this one.
//
// A lock binds only those who ask for it, and lasts until the file that it was
// asked for is closed, which the system does when the process ends, however that
// happens. On Unix it is flock(2), on Windows LockFileEx far behind the end of the
// file, where nobody reads or writes. Elsewhere, and on file systems without
// locks, every call fails with errors.ErrUnsupported.
package filelock

import (
	"context"
	"errors"
	"os"
	"time"
)

// Mode is who else may have a lock at the same time.
type Mode uint8

const (
	Shared    Mode = iota // others that are shared
	Exclusive             // nobody
)

// ErrLocked: somebody else has a lock that excludes this one.
var ErrLocked = errors.New("locked by another process")

// Try locks f, or fails with ErrLocked at once.
func Try(f *os.File, m Mode) error { return try(f, m) }

// interval is how often Wait tries: waits are rare and end within seconds or not
// for minutes.
const interval = 50 * time.Millisecond

// Wait locks f as soon as nobody excludes it, or fails when ctx ends first. The
// first time that it has to wait it calls waiting, unless that is nil. Among
// several that wait it is not said who is next.
func Wait(ctx context.Context, f *os.File, m Mode, waiting func()) error {
	for first := true; ; first = false {
		err := try(f, m)
		if !errors.Is(err, ErrLocked) {
			return err
		}
		if first && waiting != nil {
			waiting()
		}
		timer := time.NewTimer(interval)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}
