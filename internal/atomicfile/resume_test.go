// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package atomicfile_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-81b0d42e/flatten/internal/atomicfile"
)

func resume(t *testing.T, dir string) *atomicfile.File {
	t.Helper()
	f, err := atomicfile.Resume(dir, "key")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Leave)
	return f
}

func write(t *testing.T, f *atomicfile.File, text string) {
	t.Helper()
	if _, err := f.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

// names is what a folder has.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

func TestResume(t *testing.T) {
	dir := t.TempDir()
	f := resume(t, dir)
	write(t, f, "one ")
	if _, err := atomicfile.Resume(dir, "key"); !errors.Is(err, atomicfile.ErrBusy) {
		t.Errorf("a second writer: %v", err)
	}
	f.Leave()

	f = resume(t, dir)
	if b, err := io.ReadAll(f.Content()); err != nil || string(b) != "one " || f.Size() != 4 {
		t.Errorf("resumed with %q, %d bytes, %v", b, f.Size(), err)
	}
	write(t, f, "two")
	if err := f.Commit("done"); err != nil {
		t.Fatal(err)
	}
	f.Leave() // does nothing any more
	if b, err := os.ReadFile(filepath.Join(dir, "done")); err != nil || string(b) != "one two" {
		t.Errorf("published %q, %v", b, err)
	}
	if f := resume(t, dir); f.Size() != 0 {
		t.Errorf("after publishing there are %d bytes", f.Size())
	}
}

func TestRestart(t *testing.T) {
	dir := t.TempDir()
	f := resume(t, dir)
	write(t, f, "wrong bytes")
	if err := f.Restart(); err != nil {
		t.Fatal(err)
	}
	write(t, f, "right")
	if err := f.Commit("done"); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "done")); err != nil || string(b) != "right" {
		t.Errorf("published %q, %v", b, err)
	}
}

// What somebody writes stays; files without such a name are somebody else's.
func TestRemovePart(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".flatten-old.part", "mine.part", ".flatten-x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("12345"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(t, resume(t, dir), "123")
	if got, want := fmt.Sprint(atomicfile.Parts(dir)), "[{key 3} {old 5}]"; got != want {
		t.Errorf("there are %s, want %s", got, want)
	}
	if atomicfile.RemovePart(dir, "key") || atomicfile.RemovePart(dir, "none") || !atomicfile.RemovePart(dir, "old") {
		t.Error("the wrong ones were removed")
	}
	if got, want := names(t, dir), ".flatten-key.part .flatten-x mine.part"; got != want {
		t.Errorf("left %q, want %q", got, want)
	}
}

func TestCreateNew(t *testing.T) {
	dir := t.TempDir()
	if err := atomicfile.CreateNew(dir, "f", []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.CreateNew(dir, "f", []byte("second")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second file: %v", err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "f")); err != nil || string(b) != "first" || names(t, dir) != "f" {
		t.Errorf("left %q with %q, %v", names(t, dir), b, err)
	}
}
