// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package registry

import (
	"errors"
	"os"
)

// createUnlinked makes a file and takes its name away at once, so that nothing
// is left behind however the process ends.
func createUnlinked(dir string) (*os.File, error) {
	file, err := os.CreateTemp(dir, "flatten-layer-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func removeSpool(file *os.File) error { return file.Close() }
