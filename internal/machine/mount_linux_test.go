// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-81b0d42e/flatten/internal/regtest"
)

// mounted runs a command in a mount namespace of its own, after a script that mounts
// something at $M, and lists afterwards, as the second result, what is at $M. The
// test is skipped where the script fails.
func mounted(t *testing.T, cmd *exec.Cmd, at, script string) (outcome, []string) {
	t.Helper()
	if _, err := exec.LookPath("unshare"); err != nil {
		t.Skip("needs unshare")
	}
	list := filepath.Join(t.TempDir(), "list")
	cmd.Args = append([]string{"unshare", "-m", "sh", "-c", `{ ` + script + `; } >"$L" 2>&1 || exit 99
"$0" "$@"
code=$?
ls -A "$M" >"$L" || exit 98
exit $code`}, cmd.Args...)
	cmd.Path, _ = exec.LookPath("unshare")
	cmd.Env = append(cmd.Env, "M="+at, "L="+list)
	o := finish(t, cmd)
	b, err := os.ReadFile(list)
	if o.code == 99 || err != nil {
		t.Skipf("%s cannot be done here: %s%s", script, b, o.stderr)
	}
	return o, strings.Fields(string(b))
}

// A read-only folder is an error that names it, or, if it is the cache's, nothing at
// all; the folders of output, downloads and cache may be on different file systems.
func TestMounts(t *testing.T) {
	img := sample(t, 1, 3, 300_000)
	dir := "oci:" + layoutOf(t, img)
	ref := "docker://" + regtest.New(t, regtest.Config{}).Push(t, "app:1", img)
	const readOnly, another = `mount -t tmpfs -o ro none "$M"`, `mount -t tmpfs none "$M"`
	for name, tt := range map[string]struct {
		mount string
		args  func(m string) []string
		code  int
		left  int // files in the mounted folder
		says  []string
	}{
		"read-only output":    {readOnly, func(m string) []string { return []string{"-o", m, dir} }, 1, 0, []string{"read-only file system", "name another one"}},
		"read-only downloads": {readOnly, func(m string) []string { return []string{"--tmpdir", m, ref} }, 1, 0, []string{"read-only file system", "--tmpdir"}},
		"read-only cache":     {readOnly, func(m string) []string { return []string{"--cache-dir", m, dir} }, 0, 0, nil},
		"read-only store":     {readOnly, func(m string) []string { return []string{"pull", dir + ":0", "oci:" + m + "/store"} }, 1, 0, []string{"read-only file system"}},
		"output elsewhere":    {another, func(m string) []string { return []string{"-o", m, ref} }, 0, 1, nil},
		"downloads elsewhere": {another, func(m string) []string { return []string{"--tmpdir", m, ref} }, 0, 0, nil},
		"cache elsewhere":     {another, func(m string) []string { return []string{"--cache-dir", m, dir} }, 0, 3, nil},
		"a full cache":        {`mount -t tmpfs -o size=4k none "$M"`, func(m string) []string { return []string{"--cache-dir", m, dir} }, 0, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			at := t.TempDir()
			args := tt.args(at)
			if args[0] == "pull" {
				args = append([]string{"pull", "-q"}, args[1:]...)
			} else {
				args = append([]string{"-q"}, args...)
			}
			cmd := command(t.TempDir(), args...)
			cmd.Dir = t.TempDir()
			o, left := mounted(t, cmd, at, tt.mount)
			if name == "a full cache" && len(left) <= 1 {
				left = nil // a table may fit
			}
			if tt.code != 0 {
				o.demand(t, tt.code, append(tt.says, at)...)
			} else if o.code != 0 || o.stderr != "" {
				t.Error(o)
			}
			if len(left) != tt.left {
				t.Errorf("left %q", left)
			}
			checkWhole(t, name, cmd.Dir)
		})
	}
}

// On disks of every size up to one that is large enough there is the whole output or
// nothing, whatever does not fit.
func TestSizes(t *testing.T) {
	dir := "oci:" + layoutOf(t, sample(t, 1, 3, 100_000))
	want := filepath.Base(must(t, command(t.TempDir(), "-q", "-o", t.TempDir(), dir)))
	fits, fails := 0, 0
	for kB := 4; fits < 2 && kB < 1000; kB += 12 {
		at := t.TempDir()
		o, left := mounted(t, command(t.TempDir(), "-q", "-o", at, dir), at, fmt.Sprintf(`mount -t tmpfs -o size=%dk none "$M"`, kB))
		switch {
		case o.code == 0 && len(left) == 1 && left[0] == want:
			fits++
		case o.code == 0 || len(left) > 0:
			t.Errorf("%d kB: %v, left %q", kB, o, left)
		default:
			fails++
			o.demand(t, 1, "writing to "+at+": no space left on device", "are needed")
		}
	}
	if fits == 0 || fails == 0 {
		t.Errorf("it fit %d times and did not %d times", fits, fails)
	}
}

// A quota that is used up is as a full disk.
func TestQuota(t *testing.T) {
	for _, program := range []string{"mkfs.btrfs", "btrfs"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s", program)
		}
	}
	dir := "oci:" + layoutOf(t, sample(t, 1, 3, 1<<20))
	disk := filepath.Join(t.TempDir(), "disk")
	mount := `truncate -s 256M ` + disk + ` && mkfs.btrfs -q ` + disk + ` && mount -o loop ` + disk + ` "$M" &&
		btrfs quota enable "$M" && btrfs subvolume create "$M/sub" && btrfs qgroup limit 1M "$M/sub"`
	at := t.TempDir()
	cmd := command(t.TempDir(), "-q", "-o", filepath.Join(at, "sub"), dir)
	o, left := mounted(t, cmd, at, mount)
	o.demand(t, 1, "writing to "+at+"/sub: disk quota exceeded", "are needed")
	if len(left) != 1 {
		t.Errorf("left %q", left)
	}
}

// With any limit on open files a run succeeds or ends with an error that says so.
func TestFileLimit(t *testing.T) {
	img := sample(t, 1, 12, 20_000)
	dir := "oci:" + layoutOf(t, img)
	ref := "docker://" + regtest.New(t, regtest.Config{}).Push(t, "app:1", img)
	for name, args := range map[string][]string{
		"layout":   {"-q", dir},
		"registry": {"-q", ref},
		"pull":     {"pull", "-q", ref, "oci:store"},
	} {
		t.Run(name, func(t *testing.T) {
			fine, short := 0, 0
			for limit := 10; fine < 3 && limit < 200; limit++ { // with fewer Go itself gives up
				run := command(t.TempDir(), args...)
				cmd := exec.CommandContext(t.Context(), "sh", append([]string{"-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, limit)}, run.Args...)...)
				cmd.Env, cmd.Dir = run.Env, t.TempDir()
				o := finish(t, cmd)
				switch {
				case strings.Contains(o.stderr, "goroutine "):
					t.Fatalf("limit %d: %v", limit, o)
				case o.code == 0:
					fine++
				case name == "pull": // what it has is for the next run
					short++
					o.demand(t, 1, "too many open files")
				default:
					short++
					o.demand(t, 1, "too many open files")
					checkOnly(t, fmt.Sprintf("limit %d", limit), cmd.Dir)
				}
				checkWhole(t, "limit", outputOf(cmd.Dir, name))
			}
			t.Logf("%d limits are too small", short)
			if fine == 0 || short == 0 {
				t.Errorf("fine with %d limits, not with %d", fine, short)
			}
		})
	}
}

// outputOf is the folder of digest-named files, one that is not there for a pull.
func outputOf(dir, name string) string {
	if name == "pull" {
		return filepath.Join(dir, "none")
	}
	return dir
}
