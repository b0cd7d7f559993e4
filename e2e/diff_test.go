// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// before is what the base image has beside busybox.
const before = `
mkdir -p a/b/c d/e empty gone/x/y h k keep o/p r t
echo 1 > a/b/c/file; echo 1 > a/b/other; echo 1 > d/e/f; echo 1 > gone/x/y/z
echo 1 > h/one; ln h/one h/two; echo 1 > k/mode; echo 1 > k/owner; echo 1 > k/time
echo 1 > k/same; echo 1 > k/longer; echo 1 > o/p/q; echo 1 > r/old; echo 1 > "t/with space"
ln -s one s; ln -s one u; mkfifo w; mkdir v; echo 1 > v/x; echo 1 > y
`

// changes are the ways in which a container changes what it has.
const changes = `
echo 2 > a/b/c/file
rm -r d/e
rm -r gone
ln h/one h/three
chmod 600 k/mode; chown 5:6 k/owner; touch k/time; chmod 644 k/same; echo 2 >> k/longer
touch keep/x; rm keep/x
rm -r o; mkdir -p o/p; echo 2 > o/p/new
mv r/old r/new
echo 2 > "t/with space"; echo 3 > "t/in
two lines"
ln -sf two s; rm u; mkdir u; echo 1 > u/x
rm w; echo 1 > w
rm -r v; echo 1 > v
rm y; ln -s x y
mkdir -p new/folder/in/folders; mknod new/null c 1 3; chmod 700 empty
`

// TestDiffDocker compares what flatten says of the layer that docker commit makes
// with what docker container diff said of the container.
func TestDiffDocker(t *testing.T) {
	d := newBusybox(t)
	_, lower := d.sh(t, d.base, before)
	container, upper := d.sh(t, lower, changes)
	saved := filepath.Join(t.TempDir(), "saved.tar")
	run(t, "docker", "save", "-o", saved, upper)

	want := sortedLines(run(t, "docker", "container", "diff", container))
	// Docker prints the line end in a name as it is.
	want = slices.DeleteFunc(want, func(line string) bool { return line == "two lines" })
	i := slices.Index(want, "A /t/in")
	if i < 0 || len(want) < 30 {
		t.Fatalf("docker container diff: %q", want)
	}
	want[i] = `A '/t/in'$'\n''two lines'`
	slices.Sort(want)
	got := run(t, binary, "diff", "-q", "--layer", "3", "docker-archive:"+saved)
	if diff := cmp.Diff(want, sortedLines(got)); diff != "" {
		t.Errorf("docker container diff -, flatten diff +\n%s", diff)
	}
}

// newBusybox is an engine with a base image of busybox alone.
func newBusybox(t *testing.T) *docker {
	t.Helper()
	need(t, "docker", "busybox")
	if out, err := exec.Command("docker", "info").CombinedOutput(); err != nil {
		t.Skipf("needs a Docker that answers: %s", tail(out))
	}
	d := &docker{}
	d.base = d.image(t, runIn(t, busybox(t), "docker", "import", "-"))
	return d
}

// sh runs a script in a container of an image and commits that.
func (d *docker) sh(t *testing.T, image, script string) (container, committed string) {
	t.Helper()
	container = d.container(t, run(t, "docker", "create", "--network", "none", image, "/bin/busybox", "sh", "-e", "-c", script))
	run(t, "docker", "start", "-a", container)
	return container, d.image(t, run(t, "docker", "commit", container))
}

func sortedLines(text string) []string {
	return slices.Sorted(strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n"))
}

// busybox is a tar of nothing but busybox and the libraries that it needs.
func busybox(t *testing.T) io.Reader {
	t.Helper()
	program, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"bin/busybox": program}
	if out, err := exec.Command("ldd", program).Output(); err == nil {
		for _, library := range regexp.MustCompile(`/\S+`).FindAllString(string(out), -1) {
			files[strings.TrimPrefix(library, "/")] = library
		}
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, from := range files {
		body, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(body))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"sh", "mkdir", "echo", "ln", "mkfifo", "rm", "chmod", "chown", "touch", "mv", "mknod"} {
		if err := w.WriteHeader(&tar.Header{Name: "bin/" + name, Typeflag: tar.TypeSymlink, Linkname: "busybox"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}
