// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

//go:build !windows

package image

import "syscall"

// diskFull is the one error that there is.
const diskFull = syscall.ENOSPC
