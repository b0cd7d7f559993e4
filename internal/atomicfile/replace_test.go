// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package atomicfile_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/seed-81b0d42e/flatten/internal/atomicfile"
)

// A file that replaces another has its mode, whatever the umask is.
func TestResemble(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such modes")
	}
	for _, mode := range []os.FileMode{0o600, 0o640, 0o666, 0o777} {
		dir := t.TempDir()
		path := filepath.Join(dir, "f")
		if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := atomicfile.Create(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Resemble(info); err != nil {
			t.Fatal(err)
		}
		write(t, f, "new")
		if err := f.Commit("f"); err != nil {
			t.Fatal(err)
		}
		after, err := os.Stat(path)
		if err != nil || after.Mode() != mode {
			t.Errorf("%v, %v, want mode %v", after.Mode(), err, mode)
		}
	}
}
