// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package image

import "syscall"

// diskFull is ERROR_DISK_FULL.
const diskFull = syscall.Errno(112)
