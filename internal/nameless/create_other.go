// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package nameless

import (
	"errors"
	"os"
)

func create(dir string) (*os.File, error) { return os.CreateTemp(dir, pattern) }

func remove(file *os.File) error {
	return errors.Join(file.Close(), os.Remove(file.Name()))
}
