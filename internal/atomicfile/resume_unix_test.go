// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package atomicfile_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-81b0d42e/flatten/internal/atomicfile"
)

// A link under the name is not followed, wherever it leads.
func TestResumeLink(t *testing.T) {
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "outside")
	if err := os.Symlink(outside, filepath.Join(dir, ".flatten-key.part")); err != nil {
		t.Fatal(err)
	}
	if f, err := atomicfile.Resume(dir, "key"); err == nil {
		f.Leave()
		t.Error("a link was followed")
	}
	if _, err := os.Lstat(outside); err == nil {
		t.Error("a file was made through a link")
	}
}
