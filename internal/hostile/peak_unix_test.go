// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package hostile_test

import (
	"os"
	"runtime"
	"syscall"
)

// peak is the most memory that a process had, in bytes (getrusage(2)).
func peak(p *os.ProcessState) int64 {
	usage, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return int64(usage.Maxrss)
	}
	return int64(usage.Maxrss) << 10
}
