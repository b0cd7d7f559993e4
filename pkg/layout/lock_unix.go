// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package layout

import v1 "github.com/opencontainers/image-spec/specs-go/v1"

// indexLock is the file whose lock stands for index.json: that itself, since
// whoever replaces it holds the lock of what it was.
const indexLock = v1.ImageIndexFile
