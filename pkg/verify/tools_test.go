// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/seed-81b0d42e/flatten/pkg/verify"
)

// What other programs pack and compress is sound, if not clean: a folder that is
// named as ".", and zeros up to a whole record.
func TestOtherPrograms(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs links")
	}
	root := t.TempDir()
	for _, err := range []error{
		os.MkdirAll(filepath.Join(root, "d", "e"), 0o755),
		os.WriteFile(filepath.Join(root, "d", "f"), bytes.Repeat([]byte("text "), 10_000), 0o600),
		os.WriteFile(filepath.Join(root, "d", "e", strings.Repeat("long", 40)), nil, 0o644),
		os.Link(filepath.Join(root, "d", "f"), filepath.Join(root, "d", "e", "same")),
		os.Symlink("/etc/passwd", filepath.Join(root, "s")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range []string{
		"tar -cz .",
		"tar --format=posix -c . | pigz",
		"tar -c . | gzip -1",
		"tar -c d s | gzip --rsyncable",
		"tar -c --format=v7 d/f s",
		"bsdtar -cz --format=pax .",
		"bsdtar -c --format=gnutar d s",
		"busybox tar -c . | busybox gzip",
		"python3 -c 'import sys,tarfile; t=tarfile.open(fileobj=sys.stdout.buffer, mode=\"w|gz\"); t.add(\".\"); t.close()'",
	} {
		t.Run(line, func(t *testing.T) {
			for part := range strings.SplitSeq(line, " | ") {
				if _, err := exec.LookPath(strings.Fields(part)[0]); err != nil {
					t.Skip(err)
				}
			}
			var stderr bytes.Buffer
			cmd := exec.Command("sh", "-c", line)
			cmd.Dir, cmd.Stderr = root, &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Skipf("%v: %s", err, &stderr)
			}
			r := read(t, out, verify.Options{})
			if !r.Sound() || r.Clean() {
				t.Errorf("sound %v: %q", r.Sound(), lines(r))
			}
			for _, p := range r.Problems {
				if p.Kind != verify.Clean || !strings.Contains(p.String(), "not clean") && !strings.Contains(p.String(), "root") &&
					!strings.Contains(p.String(), "zero bytes") && !strings.Contains(p.String(), "no entry for the folder") {
					t.Errorf("%s: %v", p.Kind, p)
				}
			}
		})
	}
}
