// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package hostile_test

import "os"

// peak is not known here.
func peak(*os.ProcessState) int64 { return 0 }
