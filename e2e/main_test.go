// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/seed-81b0d42e/flatten/internal/overlaytest"
)

// binary is the command under test, built by TestMain.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "flatten-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "flatten")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	if out, err := exec.Command("go", "build", "-o", binary, "../cmd/flatten").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the command: %v\n%s", err, out)
		return 1
	}
	if err := ownCache(filepath.Join(dir, "cache")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// ownCache has the command keep what it learns in a folder of the test's, not in the
// user's, where only what takes long to make is kept between runs.
func ownCache(dir string) error {
	if os.Getenv("FLATTEN_E2E_CACHE") == "" {
		if user, err := os.UserCacheDir(); err == nil {
			if err := os.Setenv("FLATTEN_E2E_CACHE", filepath.Join(user, "flatten-e2e")); err != nil {
				return err
			}
		}
	}
	return os.Setenv("XDG_CACHE_HOME", dir)
}

// need skips the test unless all programs are there.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("needs %s", p)
		}
	}
}

// run runs a program and returns its standard output.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	return runIn(t, nil, name, args...)
}

func runIn(t *testing.T, stdin io.Reader, name string, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out.Bytes(), errs.Bytes())
	}
	return out.String()
}

// flatten runs the command under test and returns the path of what it wrote.
func flatten(t *testing.T, args ...string) string {
	t.Helper()
	out := run(t, binary, append([]string{"-q", "-o", t.TempDir()}, args...)...)
	path := strings.TrimSuffix(out, "\n")
	if strings.Contains(path, "\n") || !strings.HasSuffix(path, ".tar.gz") {
		t.Fatalf("flatten printed %q, want one path", out)
	}
	return path
}

// treeOf reads a file that flatten wrote.
func treeOf(t *testing.T, file string) overlaytest.Tree {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := overlaytest.ReadTar(z)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return tree
}

// compare reports the differences of two trees, the first hundred at most.
func compare(t *testing.T, want, got overlaytest.Tree) {
	t.Helper()
	for i, d := range overlaytest.Diff(want, got) {
		if i == 100 {
			t.Error("and more")
			break
		}
		t.Error(d)
	}
}

// accepts checks that other programs read the file as a whole.
func accepts(t *testing.T, file string) {
	t.Helper()
	for _, c := range [][]string{
		{"gzip", "-t", file},
		{"pigz", "-t", file},
		{"tar", "-tzf", file},
		{"bsdtar", "-tf", file},
		{binary, "verify", file},
		{"python3", "-c", "import sys, tarfile; assert len(tarfile.open(sys.argv[1]).getmembers()) > 0", file},
	} {
		if _, err := exec.LookPath(c[0]); err != nil {
			t.Logf("no %s here", c[0])
			continue
		}
		run(t, c[0], c[1:]...)
	}
}
