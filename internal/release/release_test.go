// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// clone is a new clone of the repository that this is.
func clone(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "clone")
	out, err := exec.Command("git", "clone", "-q", "../..", dir).CombinedOutput()
	if err != nil {
		t.Skipf("no clone to build: %v: %s", err, out)
	}
	return dir
}

// Two clones, in folders of different names and with caches of their own, give
// the same binary.
func TestReproducible(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles everything")
	}
	var binaries [2][]byte
	for i := range binaries {
		if i > 0 {
			t.Setenv("GOCACHE", t.TempDir())
			t.Setenv("TZ", "Asia/Tokyo")
		}
		file := filepath.Join(t.TempDir(), "flatten")
		dir := clone(t)
		if err := build(t.Context(), dir, file, runtime.GOOS, runtime.GOARCH, os.Stderr); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(filepath.Dir(dir))) {
			t.Errorf("the binary has %q in it", dir)
		}
		binaries[i] = b
	}
	if !bytes.Equal(binaries[0], binaries[1]) {
		t.Error("two builds differ")
	}
}

// The release has the files that it should; sha256sum agrees with their digests,
// and the bill of materials with what Go says is linked.
func TestRelease(t *testing.T) {
	t.Chdir(clone(t))
	var stdout bytes.Buffer
	target := runtime.GOOS + "/" + runtime.GOARCH
	if err := run(t.Context(), []string{"-out", "dist", "-targets", target}, &stdout, os.Stderr); err != nil {
		t.Fatal(err)
	}
	binary := strings.TrimSpace(stdout.String())
	if out, err := exec.Command(binary, "--version").Output(); err != nil || !strings.Contains(binary, strings.Fields(string(out))[2]) {
		t.Errorf("%s: %s, %v", binary, out, err)
	}
	raw, err := os.ReadFile(strings.TrimSuffix(binary, ".exe") + ".cdx.json")
	if err != nil {
		t.Fatal(err)
	}
	var bill struct {
		BOMFormat  string
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal(raw, &bill); err != nil || bill.BOMFormat != "CycloneDX" {
		t.Fatalf("%v, format %q", err, bill.BOMFormat)
	}
	billed := map[string]string{}
	for _, c := range bill.Components {
		billed[c.Name] = c.Version
	}
	linked, err := exec.Command("go", "version", "-m", binary).Output()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(linked)) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "dep" {
			n++
			if billed[f[1]] != f[2] {
				t.Errorf("the bill says %s %q, linked is %s", f[1], billed[f[1]], f[2])
			}
		}
	}
	if n < 5 || n+1 != len(billed) {
		t.Errorf("%d modules linked, %d components billed", n, len(billed))
	}
	if _, err := exec.LookPath("sha256sum"); err == nil {
		check := exec.Command("sha256sum", "-c", "--strict", "SHA256SUMS")
		check.Dir = "dist"
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("sha256sum: %v\n%s", err, out)
		}
	}
}
