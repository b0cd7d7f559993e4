// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package nameless

import (
	"errors"
	"os"
)

// createUnlinked makes a file and takes its name away at once.
func createUnlinked(dir string) (*os.File, error) {
	file, err := os.CreateTemp(dir, pattern)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func remove(file *os.File) error { return file.Close() }
