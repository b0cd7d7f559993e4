// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/seed-81b0d42e/flatten/internal/overlaytest"
)

// TestDockerBuildKit builds with the other builder and compares with umoci.
func TestDockerBuildKit(t *testing.T) {
	if exec.Command("docker", "buildx", "version").Run() != nil {
		t.Skip("needs docker buildx")
	}
	d := newDocker(t)
	image := d.build(t, "DOCKER_BUILDKIT=1")
	s := d.save(t, image)
	// Not a container of the image, which still has what BuildKit built: over
	// fuse-overlayfs its layers are without some opaque markers, and so is what
	// anybody else makes of them.
	need(t, "skopeo")
	need(t, "umoci")
	s.skopeo(t)
	bundle := filepath.Join(t.TempDir(), "bundle")
	run(t, "umoci", "unpack", "--image", s.layout+":latest", bundle)
	want, err := overlaytest.ReadDir(filepath.Join(bundle, "rootfs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range overlaytest.Diff(want, treeOf(t, flatten(t, "docker-archive:"+s.docker))) {
		t.Error(d)
	}
}
