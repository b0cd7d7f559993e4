// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package inflate_test

import "time"

var began = time.Now()

// cpuTime returns the wall time: other systems have no clock of a thread.
func cpuTime() time.Duration { return time.Since(began) }
