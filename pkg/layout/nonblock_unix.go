// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package layout

import "syscall"

// nonblock keeps an open from waiting, should a FIFO have taken a file's place
// since it was looked at. It has no effect on regular files.
const nonblock = syscall.O_NONBLOCK
