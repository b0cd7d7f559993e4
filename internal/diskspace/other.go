// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux && !darwin && !freebsd

package diskspace

// Available does not know.
func Available(string) (bytes int64, known bool) { return 0, false }
