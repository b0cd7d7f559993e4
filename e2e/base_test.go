// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// mirror is where this machine gets its Debian from, and which.
type mirror struct{ url, suite string }

// findMirror asks apt for its first main archive.
func findMirror() mirror {
	m := mirror{"http://deb.debian.org/debian", "bookworm"}
	out, err := exec.Command("apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "ShortDesc: Packages").Output()
	if err != nil {
		return m
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) == 3 && f[2] == "main" && strings.HasSuffix(strings.TrimSuffix(f[0], "/"), "/debian") {
			return mirror{strings.TrimSuffix(f[0], "/"), f[1]}
		}
	}
	return m
}

// debian returns a tar of a minimal Debian, made once and kept.
func debian(t *testing.T) string {
	t.Helper()
	need(t, "debootstrap", "tar")
	if os.Geteuid() != 0 {
		t.Skip("debootstrap needs root")
	}
	m := findMirror()
	dir := cacheDir(t)
	kept := filepath.Join(dir, m.suite+"-"+runtime.GOARCH+".tar")
	if _, err := os.Stat(kept); err == nil {
		return kept
	}
	work, err := os.MkdirTemp(dir, "new-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(work) })
	root := filepath.Join(work, "root")
	cmd := exec.CommandContext(t.Context(), "debootstrap", "--variant=minbase", m.suite, root, m.url)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("no Debian from %s: %v\n%s", m.url, err, tail(out))
	}
	// What debootstrap fetched, and what is large and tells nothing.
	for _, pattern := range []string{"var/cache/apt/archives/*.deb", "var/lib/apt/lists/*", "usr/share/locale/*"} {
		names, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if err := os.RemoveAll(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	fresh := filepath.Join(work, "base.tar")
	run(t, "tar", "--numeric-owner", "--xattrs", "--xattrs-include=*", "-C", root, "-cf", fresh, ".")
	if err := os.Rename(fresh, kept); err != nil {
		t.Fatal(err)
	}
	return kept
}

// cacheDir is the folder for what is kept between runs.
func cacheDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("FLATTEN_E2E_CACHE")
	if dir == "" {
		return t.TempDir()
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Logf("nothing is kept: %v", err)
		return t.TempDir()
	}
	return dir
}

// tail is the end of a program's output.
func tail(out []byte) []byte {
	if len(out) > 1000 {
		return out[len(out)-1000:]
	}
	return out
}

// buildContext is a folder to build in: the Dockerfile, and how apt reaches its
// mirror from this machine.
func buildContext(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	dockerfile, err := os.ReadFile("testdata/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	m := findMirror()
	files := map[string][]byte{
		"Dockerfile":       dockerfile,
		"apt/sources.list": []byte("deb " + m.url + " " + m.suite + " main\n"),
	}
	conf := "Acquire::Languages \"none\";\nAcquire::GzipIndexes \"true\";\nDir::Cache::pkgcache \"\";\nDir::Cache::srcpkgcache \"\";\n"
	files["apt/apt.conf.d/80machine"] = append([]byte(conf), proxies()...)
	for name, b := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// proxies are apt's settings on this machine that say how hosts are reached.
func proxies() []byte {
	out, err := exec.Command("apt-config", "dump").Output()
	if err != nil {
		return nil
	}
	var conf []byte
	for line := range strings.Lines(string(out)) {
		low := strings.ToLower(line)
		if strings.HasPrefix(low, "acquire::") && strings.Contains(low, "proxy") && !strings.Contains(low, `""`) ||
			strings.HasPrefix(low, "acquire::check-") {
			conf = append(conf, line...)
		}
	}
	return conf
}
