// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package nameless

import "os"

func create(dir string) (*os.File, error) { return createUnlinked(dir) }
