// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestVerifyExport looks at what "docker export | gzip -1" makes of an image, under
// the name of its digest: a sound and clean file, which differs from the image in
// the files that Docker puts into each container, and in hard links that it tears
// apart where it stores layers with fuse-overlayfs.
func TestVerifyExport(t *testing.T) {
	need(t, "gzip")
	d := newBusybox(t)
	_, image := d.sh(t, d.base, before)
	dir := t.TempDir()
	saved, exported := filepath.Join(dir, "saved.tar"), filepath.Join(dir, "exported")
	run(t, "docker", "save", "-o", saved, image)
	run(t, "sh", "-c", "docker export "+d.container(t, run(t, "docker", "create", image, "/bin/sh"))+" | gzip -1 >"+exported)
	b, err := os.ReadFile(exported)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, fmt.Sprintf("%x.tar.gz", sha256.Sum256(b)))
	if err := os.Rename(exported, file); err != nil {
		t.Fatal(err)
	}
	if out := run(t, binary, "verify", file); out != file+": OK\n" {
		t.Error(out)
	}
	out, err := exec.Command(binary, "verify", "-q", "--json", "--image", "docker-archive:"+saved, file).Output()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Fatalf("%v: %s", err, out)
	}
	var found struct {
		OK          bool
		Differences []struct {
			Kind, Path string
			Changes    []string
		}
	}
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatal(err)
	}
	if found.OK || !strings.Contains(string(out), `".dockerenv"`) {
		t.Errorf("%s", out)
	}
	for _, f := range found.Differences {
		if !slices.Contains(dockerFiles, f.Path) && !slices.Contains(dockerFolders, f.Path) && f.Path != "etc" &&
			!slices.Equal(f.Changes, []string{"hardLink"}) {
			t.Errorf("%s %s %v", f.Kind, f.Path, f.Changes)
		}
	}
}
