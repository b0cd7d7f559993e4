// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package hostile

// specialFiles are layouts with files that are none, which Unix alone has.
func specialFiles() []Input { return nil }
