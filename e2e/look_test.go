// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	. "github.com/seed-81b0d42e/flatten/internal/tartest"
)

// debianLayout is a layout with a Debian of two layers, the second of which
// changes and removes some of the first.
func debianLayout(t *testing.T) string {
	t.Helper()
	base, err := os.Open(debian(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { base.Close() })
	change := Layer(
		Whiteout("usr/share/doc"), Opaque("var/lib/dpkg/info"), File("etc/motd", "changed\n"), File("etc/passwd.org", ""),
		File("opt/new", "new\n").Owner(1, 2).Mode(0o4755), Symlink("opt/link", "new"), Link("opt/too", "opt/new").Owner(1, 2).Mode(0o4755),
	)
	dir := filepath.Join(t.TempDir(), "debian")
	writeLayout(t, dir, map[string][]io.ReadSeeker{"latest": {base, bytes.NewReader(change.Tar)}}, v1.Config{})
	return dir
}

// TestLsAsDebian compares flatten ls with Debian's own ls, run in the unpacked
// image.
func TestLsAsDebian(t *testing.T) {
	image := "oci:" + debianLayout(t)
	need(t, "tar", "chroot")
	root := t.TempDir()
	untar := exec.CommandContext(t.Context(), "tar", "-xzp", "--numeric-owner", "--delay-directory-restore", "-C", root, "-f", flatten(t, image))
	if out, err := untar.CombinedOutput(); err != nil {
		t.Fatalf("tar: %v: %s", err, tail(out))
	}
	t.Setenv("TZ", "UTC")
	t.Setenv("LC_ALL", "C")
	want := tidyList(run(t, "chroot", root, "sh", "-c", "cd / && ls -lAR"))
	got := tidyList(run(t, binary, "ls", "-q", "-alR", image))
	if len(want) < 5000 {
		t.Errorf("Debian's ls has only %d lines", len(want))
	}
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			t.Fatalf("line %d:\n%s, Debian's ls has\n%s", i+1, got[i], want[i])
		}
	}
	if len(want) != len(got) {
		t.Errorf("%d lines, Debian's ls has %d", len(got), len(want))
	}
}

var (
	listTotal = regexp.MustCompile(`(?m)^total \d+\n`)
	listDir   = regexp.MustCompile(`(?m)^(d\S+ +\d+ +\S+ +\S+ +)\d+`)
	listSpace = regexp.MustCompile(` +`)
)

// tidyList is the lines of ls -lR without what is the file system's affair: the
// sizes of folders, and with them how wide a column is.
func tidyList(out string) []string {
	out = listTotal.ReplaceAllString(out, "")
	out = listDir.ReplaceAllString(out, "${1}0")
	return strings.Split(listSpace.ReplaceAllString(out, " "), "\n")
}

// TestPlanAsFlatten compares what is planned with what is done.
func TestPlanAsFlatten(t *testing.T) {
	image := "oci:" + debianLayout(t)
	for _, flags := range [][]string{nil, {"--canonical"}} {
		var planned, done struct {
			Size, TarSize, Copied, Encoded, Wasted int64
			Entries                                int
		}
		decode(t, &planned, run(t, binary, append([]string{"plan", "-q", "--json", image}, flags...)...))
		decode(t, &done, run(t, binary, append([]string{"-q", "--json", "-o", t.TempDir(), image}, flags...)...))
		if planned.Size != done.TarSize || planned.Copied != done.Copied || planned.Encoded != done.Encoded || planned.Entries != done.Entries {
			t.Errorf("%v: planned %+v, done %+v", flags, planned, done)
		}
		if planned.Wasted < 1_000_000 || flags == nil && planned.Copied < planned.Size/2 {
			t.Errorf("%v: %+v", flags, planned)
		}
	}
}

func decode(t *testing.T, v any, text string) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatal(err)
	}
}
