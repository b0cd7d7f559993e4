// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package nameless_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/seed-81b0d42e/flatten/internal/nameless"
)

func TestCreate(t *testing.T) {
	dir := t.TempDir()
	f, err := nameless.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("bytes"); err != nil {
		t.Error(err)
	}
	got := make([]byte, 5)
	if _, err := f.ReadAt(got, 0); err != nil || string(got) != "bytes" {
		t.Errorf("read %q, %v", got, err)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) > 0 && runtime.GOOS != "windows" {
		t.Errorf("it has a name: %v, %v", list, err)
	}
	if err := nameless.Remove(f); err != nil {
		t.Error(err)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) > 0 {
		t.Errorf("left %v, %v", list, err)
	}
	if _, err := nameless.Create(filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a folder that is not there: %v", err)
	}
}
