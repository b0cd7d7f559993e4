// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package registry

import (
	"errors"
	"os"
)

// createSpool makes a file that removeSpool removes: an open file keeps its
// name here.
func createSpool(dir string) (*os.File, error) { return os.CreateTemp(dir, "flatten-layer-*") }

func removeSpool(file *os.File) error {
	return errors.Join(file.Close(), os.Remove(file.Name()))
}
