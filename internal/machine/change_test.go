// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A file of the image that is written to, or cut off, while it is read makes the
// same output or exit code 3, never another output.
func TestChangingFile(t *testing.T) {
	dir := layoutOf(t, sample(t, 1, 2, 2<<20))
	archive := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(archive, archiveOf(t, dir), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ image, file string }{
		"layout":  {"oci:" + dir, largest(t, filepath.Join(dir, "blobs", "sha256"))},
		"archive": {"oci-archive:" + archive, archive},
	} {
		t.Run(name, func(t *testing.T) {
			good, err := os.ReadFile(tt.file)
			if err != nil {
				t.Fatal(err)
			}
			cache := t.TempDir() // so that layers are verified while they are written
			want := filepath.Base(must(t, command(cache, "-q", "-o", t.TempDir(), tt.image)))
			same, caught := 0, 0
			for i := range 4 * Kills(t) {
				args := []string{"-q", "-o", t.TempDir(), tt.image}
				if i%2 == 0 {
					args = append(args, "--no-cache")
				}
				var change func() error
				at, bit := rand.IntN(len(good)), byte(1)<<rand.IntN(8)
				change = func() error { return overwrite(tt.file, int64(at), good[at]^bit) }
				if i%8 >= 6 {
					change = func() error { return os.Truncate(tt.file, int64(at)) }
				}
				changed := make(chan error)
				time.AfterFunc(rand.N(100*time.Millisecond), func() { changed <- change() })
				o := finish(t, command(cache, args...))
				if err := <-changed; err != nil {
					t.Fatal(err)
				}
				switch out := names(t, args[2]); {
				case o.code == 0 && len(out) == 1 && out[0] == want:
					same++
				case o.code == 3 && len(out) == 0:
					caught++
					o.demand(t, 3)
				default:
					t.Errorf("byte %d: %v, wrote %q, want %s", at, o, out, want)
				}
				checkWhole(t, name, args[2])
				if err := os.WriteFile(tt.file, good, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("%d runs made the same, %d ended with exit code 3", same, caught)
		})
	}
}

// overwrite changes one byte of a file.
func overwrite(path string, at int64, b byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt([]byte{b}, at); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// largest is the path of the largest file in a folder.
func largest(tb testing.TB, dir string) string {
	tb.Helper()
	var size int64
	var path string
	for _, name := range names(tb, dir) {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			tb.Fatal(err)
		}
		if info.Size() > size {
			size, path = info.Size(), filepath.Join(dir, name)
		}
	}
	return path
}
