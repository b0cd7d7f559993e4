// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-81b0d42e/flatten/internal/overlaytest"
)

// TestDocker builds an image with Docker, takes it out in every way there is and
// compares what flatten makes of each with what a container of the image has.
func TestDocker(t *testing.T) {
	d := newDocker(t)
	image := d.build(t, "DOCKER_BUILDKIT=0")
	s := d.save(t, image)
	want := d.export(t, d.create(t, image), image)

	flat := flatten(t, "docker-archive:"+s.docker)
	t.Run("docker archive", func(t *testing.T) {
		compareExport(t, want, treeOf(t, flat))
		accepts(t, flat)
	})
	t.Run("import", func(t *testing.T) { d.reimport(t, flat, want) })
	t.Run("standard input", func(t *testing.T) {
		f, err := os.Open(s.docker)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		out := strings.TrimSpace(runIn(t, f, binary, "-q", "-o", t.TempDir(), "-"))
		sameBytes(t, flat, out)
	})
	t.Run("OCI", func(t *testing.T) {
		need(t, "skopeo")
		s.skopeo(t)
		layout := flatten(t, "oci:"+s.layout)
		compareExport(t, want, treeOf(t, layout))
		accepts(t, layout)
		sameBytes(t, layout, flatten(t, "oci-archive:"+s.ociArchive))
		sameBytes(t, flatten(t, "--canonical", "docker-archive:"+s.docker), flatten(t, "--canonical", "oci:"+s.layout))
		t.Run("registry", func(t *testing.T) { d.registry(t, image, s, layout, want) })
	})
	t.Run("commit", func(t *testing.T) { d.commit(t, image) })
}

// docker is the engine, with a base image for this test.
type docker struct{ base string }

// newDocker makes sure of the engine and imports the base image.
func newDocker(t *testing.T) *docker {
	t.Helper()
	if testing.Short() {
		t.Skip("takes minutes")
	}
	need(t, "docker")
	if out, err := exec.Command("docker", "info").CombinedOutput(); err != nil {
		t.Skipf("needs a Docker that answers: %s", tail(out))
	}
	d := &docker{base: fmt.Sprintf("flatten-e2e-base:%x", rand.Uint64())} // a name, since BuildKit knows no IDs
	d.image(t, run(t, "docker", "import", debian(t), d.base))
	return d
}

// image notes an image to be removed after the test.
func (d *docker) image(t *testing.T, id string) string {
	t.Helper()
	id = strings.TrimSpace(id)
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", "-f", id).Run() })
	return id
}

// build builds the Dockerfile and returns the image's ID.
func (d *docker) build(t *testing.T, builder string) string {
	t.Helper()
	dir := buildContext(t)
	idFile := filepath.Join(t.TempDir(), "id")
	runID := fmt.Sprintf("%x", rand.Uint64())
	t.Cleanup(func() { // the stages that the image does not build on
		_ = exec.Command("docker", "image", "prune", "-f", "--filter", "label=flatten-e2e="+runID).Run()
	})
	cmd := exec.CommandContext(t.Context(), "docker", "build", "-q", "--network", "host", "--force-rm", "--no-cache",
		"--build-arg", "BASE="+d.base, "--build-arg", "RUN_ID="+runID, "--iidfile", idFile, "-t", "flatten-e2e:"+runID, dir)
	cmd.Env = append(os.Environ(), builder)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("docker build: %v\n%s", err, tail(out))
	}
	id, err := os.ReadFile(idFile)
	if err != nil {
		t.Fatal(err)
	}
	return d.image(t, string(id))
}

// create makes a container that is never started.
func (d *docker) create(t *testing.T, image string) string {
	t.Helper()
	return d.container(t, run(t, "docker", "create", image))
}

// container notes a container to be removed after the test.
func (d *docker) container(t *testing.T, id string) string {
	t.Helper()
	id = strings.TrimSpace(id)
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "-f", id).Run() })
	return id
}

// export reads the file system of a container. What are hard links is seen in a
// container of the image it belongs to, as Docker over fuse-overlayfs exports
// many of them as files of their own.
func (d *docker) export(t *testing.T, container, image string) overlaytest.Tree {
	t.Helper()
	file := filepath.Join(t.TempDir(), "export.tar")
	run(t, "docker", "export", "-o", file, container)
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tree, err := overlaytest.ReadLooseTar(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range tree {
		n.Group = ""
	}
	for _, names := range d.links(t, image) {
		for _, name := range names {
			if n := tree[name]; n != nil && len(names) > 1 {
				n.Group = slices.Min(names)
			}
		}
	}
	return tree
}

// links lists the names of each file by its inode number. The number of links is
// of no use: fuse-overlayfs may say 1 for a file that has two.
func (d *docker) links(t *testing.T, image string) map[string][]string {
	t.Helper()
	out := run(t, "docker", "run", "--rm", "--network", "none", "--entrypoint", "find", image,
		"/", "-xdev", "!", "-type", "d", "-printf", "%i /%P\\0")
	files := map[string][]string{}
	for record := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		if inode, name, ok := strings.Cut(record, " /"); ok {
			files[inode] = append(files[inode], name)
		}
	}
	return files
}

// saved is an image in files.
type saved struct{ docker, layout, ociArchive string }

func (d *docker) save(t *testing.T, image string) *saved {
	t.Helper()
	dir := t.TempDir()
	s := &saved{filepath.Join(dir, "docker.tar"), filepath.Join(dir, "layout"), filepath.Join(dir, "oci.tar")}
	run(t, "docker", "save", "-o", s.docker, image)
	return s
}

// skopeo copies the image to a layout, which compresses it, and that to an
// archive, which does not.
func (s *saved) skopeo(t *testing.T) {
	t.Helper()
	run(t, "skopeo", "copy", "-q", "--insecure-policy", "docker-archive:"+s.docker, "oci:"+s.layout+":latest")
	run(t, "skopeo", "copy", "-q", "--insecure-policy", "oci:"+s.layout+":latest", "oci-archive:"+s.ociArchive)
}

// registry pushes the layout to a registry and has Docker push the image, which
// compresses it in its own way.
func (d *docker) registry(t *testing.T, image string, s *saved, layout string, want overlaytest.Tree) {
	host := startRegistry(t)
	run(t, "skopeo", "copy", "-q", "--insecure-policy", "--dest-tls-verify=false", "oci:"+s.layout+":latest", "docker://"+host+"/app:oci")
	sameBytes(t, layout, flatten(t, "--insecure", "docker://"+host+"/app:oci"))

	tag := host + "/app:docker"
	run(t, "docker", "tag", image, tag)
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", tag).Run() })
	run(t, "docker", "push", "-q", tag)
	compareExport(t, want, treeOf(t, flatten(t, "--insecure", tag)))
}

// reimport has Docker import the output and compares what a container of it has
// with what one of the image has.
func (d *docker) reimport(t *testing.T, file string, want overlaytest.Tree) {
	image := d.image(t, run(t, "docker", "import", file))
	got := d.export(t, d.container(t, run(t, "docker", "create", image, "/opt/app/bin/hello")), image)
	compareExport(t, want, got)
}

// commit changes the files in a running container, commits it, and compares what
// flatten makes of the new image with that container.
func (d *docker) commit(t *testing.T, image string) {
	script := "rm -rf /etc/apt /opt/app/share && echo new > /etc/issue && mkdir /opt/app/share && touch /opt/app/share/x" +
		" && ln /etc/issue /etc/issue.too && mv /opt/app/bin/three /opt/app/bin/moved && chmod 600 /etc/passwd"
	container := d.container(t, run(t, "docker", "create", "--network", "none", "--entrypoint", "/bin/sh", image, "-c", script))
	run(t, "docker", "start", "-a", container)
	committed := d.image(t, run(t, "docker", "commit", container))
	s := d.save(t, committed)
	compareExport(t, d.export(t, container, committed), treeOf(t, flatten(t, "docker-archive:"+s.docker)))
}

// sameBytes compares files by their names, which are the digests of the content.
func sameBytes(t *testing.T, a, b string) {
	t.Helper()
	if filepath.Base(a) != filepath.Base(b) {
		t.Errorf("two names for one image: %s, %s", a, b)
	}
}

// dockerFiles are the files that Docker puts into every container, in the place
// of what the image has there.
var dockerFiles = []string{".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf"}

// dockerFolders are the folders that Docker makes in every container.
var dockerFolders = []string{"dev", "dev/pts", "dev/shm", "proc", "sys"}

// compareExport compares flatten's output with what docker export says of a
// container, which is not all there is:
//
//   - Docker's own files and folders are in it, and where they are its own the
//     folders around them have another time.
//   - Times have no parts of a second.
//   - Of extended attributes there is only security.capability.
func compareExport(t *testing.T, export, got overlaytest.Tree) {
	t.Helper()
	want := asExported(export)
	got = asExported(got)
	for _, p := range dockerFolders {
		if got[p] == nil {
			delete(want, p)
		}
	}
	for _, p := range slices.Concat(dockerFiles, dockerFolders) {
		if w, g := want[path.Dir(p)], got[path.Dir(p)]; w != nil && g != nil {
			w.Sec, g.Sec = 0, 0
		}
	}
	compare(t, want, got)
}

// asExported is a tree without what an export of it would lack.
func asExported(tree overlaytest.Tree) overlaytest.Tree {
	out := overlaytest.Tree{}
	for p, n := range tree {
		if slices.Contains(dockerFiles, p) {
			continue
		}
		m := *n
		m.Nsec, m.Xattrs = 0, map[string]string{}
		if v, ok := n.Xattrs["security.capability"]; ok {
			m.Xattrs["security.capability"] = v
		}
		out[p] = &m
	}
	return out
}
