// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-81b0d42e/flatten/internal/overlaytest"
)

// TestBuildah does what TestDocker does where there is no Docker. Buildah shows
// a container's files in a folder, so that times and extended attributes can be
// compared in full.
func TestBuildah(t *testing.T) {
	b := newBuildah(t)
	image := b.build(t)
	want := b.mount(t, image)

	dir := t.TempDir()
	layout, archive := filepath.Join(dir, "layout"), filepath.Join(dir, "oci.tar")
	b.run(t, "push", "-q", image, "oci:"+layout+":latest")
	flat := flatten(t, "oci:"+layout)
	compare(t, want, treeOf(t, flat))
	accepts(t, flat)

	need(t, "skopeo")
	run(t, "skopeo", "copy", "-q", "--insecure-policy", "oci:"+layout+":latest", "oci-archive:"+archive)
	sameBytes(t, flat, flatten(t, "oci-archive:"+archive))

	docker := filepath.Join(dir, "docker.tar")
	b.run(t, "push", "-q", image, "docker-archive:"+docker)
	compare(t, want, treeOf(t, flatten(t, "docker-archive:"+docker)))

	host := startRegistry(t)
	run(t, "skopeo", "copy", "-q", "--insecure-policy", "--dest-tls-verify=false", "oci:"+layout+":latest", "docker://"+host+"/app:oci")
	sameBytes(t, flat, flatten(t, "--insecure", "docker://"+host+"/app:oci"))
}

// buildah is the engine, with a storage of its own.
type buildah struct{ flags []string }

// newBuildah makes sure of the engine. It stands in for Docker;
// FLATTEN_E2E_BUILDAH asks for it beside Docker.
func newBuildah(t *testing.T) *buildah {
	t.Helper()
	if testing.Short() {
		t.Skip("takes minutes")
	}
	if os.Getenv("FLATTEN_E2E_BUILDAH") == "" && exec.Command("docker", "info").Run() == nil {
		t.Skip("Docker is here; set FLATTEN_E2E_BUILDAH=1 to test with buildah too")
	}
	need(t, "buildah")
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	// Not in t.TempDir, which may lie where overlayfs cannot have its layers.
	dir, err := os.MkdirTemp(cacheDir(t), "buildah-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for _, driver := range []string{"overlay", "vfs"} {
		b := &buildah{[]string{"--root", filepath.Join(dir, driver), "--runroot", filepath.Join(dir, driver+".run"), "--storage-driver", driver}}
		if exec.Command("buildah", append(b.flags, "from", "--name", "try", "scratch")...).Run() == nil {
			t.Cleanup(func() { _ = exec.Command("buildah", append(b.flags, "rm", "-a")...).Run() })
			return b
		}
	}
	t.Skip("buildah has no storage here")
	return nil
}

func (b *buildah) run(t *testing.T, args ...string) string {
	t.Helper()
	return strings.TrimSpace(run(t, "buildah", append(b.flags[:len(b.flags):len(b.flags)], args...)...))
}

// build builds the Dockerfile with a layer for each step.
func (b *buildah) build(t *testing.T) string {
	t.Helper()
	base := b.run(t, "from", "scratch")
	b.run(t, "add", "-q", base, debian(t), "/")
	b.run(t, "commit", "-q", base, "localhost/flatten-e2e-base")
	b.run(t, "build", "-q", "--layers", "--isolation", "chroot", "--network", "host", "--pull=never", "--cap-add", "CAP_MKNOD",
		"--build-arg", "BASE=localhost/flatten-e2e-base", "-t", "localhost/flatten-e2e", buildContext(t))
	return "localhost/flatten-e2e"
}

// mount reads the files of a container of the image.
func (b *buildah) mount(t *testing.T, image string) overlaytest.Tree {
	t.Helper()
	container := b.run(t, "from", "--pull=never", image)
	tree, err := overlaytest.ReadDir(b.run(t, "mount", container))
	if err != nil {
		t.Fatal(err)
	}
	b.run(t, "umount", container)
	return tree
}
