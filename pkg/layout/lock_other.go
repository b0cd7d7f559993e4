// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package layout

// indexLock is the file whose lock stands for index.json, which could not be
// replaced here while it is open. It stays in the layout.
const indexLock = ".flatten-index.lock"
