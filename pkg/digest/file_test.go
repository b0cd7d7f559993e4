// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package digest_test

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	godigest "github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten/pkg/digest"
)

func create(t *testing.T, dir string) *digest.File {
	t.Helper()
	f, err := digest.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// ls is the names in a folder.
func ls(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestPublish(t *testing.T) {
	dir := t.TempDir()
	f := create(t, dir)
	f.Write([]byte("hello\n"))
	path, d, err := f.Publish(".txt")
	if err != nil {
		t.Fatal(err)
	}
	// printf 'hello\n' | sha256sum
	const sum = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
	if d != godigest.Digest("sha256:"+sum) || path != filepath.Join(dir, sum+".txt") {
		t.Errorf("published %s as %s", d, path)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "hello\n" {
		t.Errorf("read %q, %v", b, err)
	}
	if names := ls(t, dir); len(names) != 1 {
		t.Errorf("the folder has %q", names)
	}
	f.Discard() // does nothing any more
	if len(ls(t, dir)) != 1 {
		t.Error("Discard removed what was published")
	}
}

// Large and small writes give the digest of all bytes.
func TestDigest(t *testing.T) {
	data := make([]byte, 5<<20+17)
	rand.Read(data)
	f := create(t, t.TempDir())
	for rest := data; len(rest) > 0; {
		n := min(len(rest), 1+len(rest)*2/3)
		if _, err := f.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if f.Size() != int64(len(data)) {
		t.Errorf("size %d, want %d", f.Size(), len(data))
	}
	_, d, err := f.Publish("")
	if err != nil || d != godigest.FromBytes(data) {
		t.Errorf("digest %s, %v; want %s", d, err, godigest.FromBytes(data))
	}
}

func TestDiscard(t *testing.T) {
	dir := t.TempDir()
	f := create(t, dir)
	f.Write([]byte("half of it"))
	f.Discard()
	if names := ls(t, dir); len(names) != 0 {
		t.Errorf("the folder has %q", names)
	}
}

// A file that its writer left is removed, one that is being written is not, and
// files of others are left alone.
func TestCreateSweeps(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".flatten-0123.tmp", "mine.tmp", ".flatten-note"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	busy := create(t, dir)
	defer busy.Discard()
	names := ls(t, dir)
	create(t, dir).Discard()
	if again := ls(t, dir); strings.Join(again, " ") != strings.Join(names, " ") {
		t.Errorf("a second writer changed %q to %q", names, again)
	}
	if len(names) != 3 || strings.Contains(strings.Join(names, " "), "0123") {
		t.Errorf("the folder has %q", names)
	}
}

// Writers of the same bytes to the same folder all succeed.
func TestManyWriters(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			f, err := digest.Create(dir)
			if err != nil {
				t.Error(err)
				return
			}
			f.Write([]byte("the same"))
			if _, _, err := f.Publish(".tar.gz"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if names := ls(t, dir); len(names) != 1 {
		t.Errorf("the folder has %q", names)
	}
}

func TestCreateFails(t *testing.T) {
	_, err := digest.Create(filepath.Join(t.TempDir(), "missing"))
	if err == nil || !strings.Contains(err.Error(), "no such file or directory") {
		t.Errorf("error %v", err)
	}
}

func TestFromName(t *testing.T) {
	const hex = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
	for name, want := range map[string]string{
		hex: "", hex + ".tar.gz": ".tar.gz", hex + ".": ".",
	} {
		if d, suffix, ok := digest.FromName(name); !ok || d.Encoded() != hex || suffix != want {
			t.Errorf("%s: %s, %q, %v", name, d, suffix, ok)
		}
	}
	for _, name := range []string{
		"", ".", ".tar.gz", hex[1:], hex + "0.tar", "x" + hex[1:] + ".tar", strings.ToUpper(hex) + ".tar", "./" + hex, hex + "-1.tar",
	} {
		if d, _, ok := digest.FromName(name); ok {
			t.Errorf("%q is %s", name, d)
		}
	}
}
