// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestDiskFull runs out of room wherever something is written. Each time flatten
// says how much was needed, or at least what was not enough, and what to do, and
// leaves nothing behind.
func TestDiskFull(t *testing.T) {
	need(t, "unshare", "mount", "tar", "gzip")
	dir := t.TempDir()
	appLayout(t, filepath.Join(dir, "app"))
	registry := serveApp(t, filepath.Join(dir, "app"))
	run(t, "tar", "-C", filepath.Join(dir, "app"), "-czf", filepath.Join(dir, "app.tar.gz"), ".")
	flat, err := os.Stat(flatten(t, "oci:"+filepath.Join(dir, "app")+":1.0"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, command string
		says          []string
		size          int64 // what is needed, if the output is; at most a quarter off
	}{
		{"file", "flatten -o small oci:app:1.0",
			[]string{`writing to small: no space left on device\n`, `hint: about [0-9.]+ kB are needed, there was room for [0-9.]+ kB; -o chooses another folder`}, flat.Size()},
		{"plain file", "flatten --compression none -o small oci:app:1.0",
			[]string{`hint: about 1\.7 MB are needed, there was room for`}, 0},
		{"canonical file", "flatten --canonical -o small oci:app:1.0",
			[]string{`hint: about`}, flat.Size()},
		{"stream", "flatten -o - oci:app:1.0 > small/file",
			[]string{`no space left on device\n`, `hint: about [0-9.]+ kB are needed, there was room for [0-9.]+ kB\n`}, flat.Size()},
		{"layers of a registry", "flatten --insecure --tmpdir small docker://" + registry + "/app:1.0",
			[]string{`no room for the layers in small: \d{6} bytes are needed, \d{6} are free\n`, `hint: name a folder that can take the layers by --tmpdir`}, 0},
		{"an archive on standard input", "flatten --tmpdir small - < app.tar.gz",
			[]string{`storing the archive: .*no space left on device\n`, `hint: it takes more than \d{6} bytes: name a folder that can take it by --tmpdir`}, 0},
		{"a store", "flatten pull oci:app:1.0 oci:small/store",
			[]string{`no room: \d{6} bytes are needed, \d{6} are free\n`, `hint: `}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := withoutRoom(t, dir, tt.command)
			for _, pattern := range tt.says {
				if !regexp.MustCompile(pattern).Match(out) {
					t.Errorf("does not say %s:\n%s", pattern, out)
				}
			}
			if tt.size > 0 {
				checkNeeded(t, string(out), tt.size)
			}
		})
	}
}

// withoutRoom runs a command that must fail in a folder where "small" is an almost
// full file system of its own, in which nothing must be left.
func withoutRoom(t *testing.T, dir, command string) []byte {
	t.Helper()
	script := `mkdir -p small && mount -t tmpfs -o size=256k none small || exit 99
` + strings.Replace(command, "flatten ", "flatten -q ", 1) + `
code=$?
rm -rf small/file small/store # what the command was told to write
test "$(ls -A small)" = "" || exit 98
exit $code`
	cmd := exec.CommandContext(t.Context(), "unshare", "-m", "sh", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"), "XDG_CACHE_HOME="+t.TempDir())
	out, _ := cmd.CombinedOutput()
	switch code := cmd.ProcessState.ExitCode(); code {
	case 1:
	case 99:
		t.Skipf("no file system can be mounted: %s", out)
	default:
		t.Fatalf("exit code %d: %s", code, out)
	}
	return out
}

var neededKB = regexp.MustCompile(`about ([0-9.]+) kB are needed`)

// checkNeeded compares an estimate with the truth: not less, and not a quarter
// more.
func checkNeeded(t *testing.T, out string, size int64) {
	t.Helper()
	m := neededKB.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no estimate: %s", out)
	}
	kB, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	if kB*1000 < float64(size)-100 || kB*1000 > float64(size)*1.25 {
		t.Errorf("%s, but the file has %d bytes", m[0], size)
	}
}
