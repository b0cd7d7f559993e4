// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package archive_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten/pkg/archive"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/image/imagetest"
	"github.com/seed-81b0d42e/flatten/pkg/layout"
	"github.com/seed-81b0d42e/flatten/pkg/reference"
)

// run runs another program, or skips the test where there is none.
func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("no %s here", name)
	}
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

// layoutDir writes a layout of two images: app:1 for here with three layers, one of
// them twice, and other for mips.
func layoutDir(t *testing.T) (dir string, app digest.Digest) {
	t.Helper()
	s := imagetest.Store{}
	b, m := imagetest.Gzip(base), imagetest.Gzip(top)
	d := s.Image(here, b, m, b)
	dir = t.TempDir()
	for name, body := range s.Layout(imagetest.Tagged(d, "app"), imagetest.Tagged(s.Image("linux/mips", m), "other")) {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir, d.Digest
}

// diffIDs are those of the layers of app.
var diffIDs = []digest.Digest{digest.FromBytes(base), digest.FromBytes(top), digest.FromBytes(base)}

func checkDiffIDs(t *testing.T, img *image.Image) {
	t.Helper()
	var got []digest.Digest
	for _, l := range img.Layers {
		got = append(got, l.DiffID)
	}
	if !slices.Equal(got, diffIDs) {
		t.Errorf("diffIDs %s", got)
	}
}

// Archives as skopeo writes them.
func TestSkopeo(t *testing.T) {
	dir, app := layoutDir(t)
	t.Run("oci", func(t *testing.T) {
		to := filepath.Join(t.TempDir(), "layout")
		run(t, "skopeo", "--insecure-policy", "copy", "-q", "oci:"+dir+":app", "oci:"+to+":registry.example/app:1")
		img, err := layout.OpenDir(ctx, to, layout.Options{Tag: "registry.example/app:1"})
		if err != nil {
			t.Fatal(err)
		}
		defer closeImage(t, img)
		checkDiffIDs(t, img)
		if img.Digest != app {
			t.Errorf("digest %s, was %s", img.Digest, app)
		}
	})
	t.Run("oci-archive", func(t *testing.T) {
		to := filepath.Join(t.TempDir(), "x.tar")
		run(t, "skopeo", "--insecure-policy", "copy", "-q", "oci:"+dir+":app", "oci-archive:"+to+":app:1")
		img, err := archive.Open(ctx, to, archive.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer closeImage(t, img)
		checkDiffIDs(t, img)
		if img.Digest != app || img.Reference != "oci-archive:"+to || !slices.Equal(img.Tags, []string{"app:1"}) {
			t.Errorf("digest %s, was %s; tags %s", img.Digest, app, img.Tags)
		}
	})
	t.Run("docker-archive", func(t *testing.T) {
		to := filepath.Join(t.TempDir(), "x.tar")
		run(t, "skopeo", "--insecure-policy", "copy", "-q", "oci:"+dir+":app", "docker-archive:"+to+":app:1")
		img, err := archive.Open(ctx, to, archive.Options{Tag: "app:1"})
		if err != nil {
			t.Fatal(err)
		}
		defer closeImage(t, img)
		checkDiffIDs(t, img)
		checkLayers(t, img, base, top, base)
		if img.Reference != "docker-archive:"+to+":app:1" || len(img.Warnings) > 0 {
			t.Errorf("%s, warnings %v", img.Reference, img.Warnings)
		}
	})
}

// A layout as umoci writes it, first without any image.
func TestUmoci(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "layout")
	run(t, "umoci", "init", "--layout", dir)
	_, err := layout.OpenDir(ctx, dir, layout.Options{})
	checkError(t, err, image.ErrNotFound, "no images", "")
	_, err = layout.OpenDir(ctx, dir, layout.Options{Tag: "1"})
	checkError(t, err, image.ErrNotFound, "there are no images", "")

	run(t, "umoci", "new", "--image", dir+":1")
	layer := filepath.Join(t.TempDir(), "layer.tar")
	if err := os.WriteFile(layer, base, 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, "umoci", "raw", "add-layer", "--image", dir+":1", "--tag", "2", layer)
	img, err := layout.OpenDir(ctx, dir, layout.Options{Tag: "2"})
	if err != nil {
		t.Fatal(err)
	}
	if len(img.Layers) != 1 || img.Layers[0].DiffID != digest.FromBytes(base) || img.Platform.OS != "linux" {
		t.Errorf("layers %v, platform %v", img.Layers, img.Platform)
	}
	closeImage(t, img)
	_, err = layout.OpenDir(ctx, dir, layout.Options{})
	checkError(t, err, image.ErrNotFound, "2 images", "oci:"+dir+":1")
	img, err = layout.OpenDir(ctx, dir, layout.Options{Tag: "1"})
	if err != nil {
		t.Fatal(err)
	}
	if len(img.Layers) != 0 {
		t.Errorf("layers %v", img.Layers)
	}
	closeImage(t, img)
}

// An archive as docker save writes it.
func TestDockerSave(t *testing.T) {
	if _, err := exec.LookPath("docker"); err != nil {
		t.Skip("no docker here")
	}
	if err := exec.Command("docker", "version").Run(); err != nil {
		t.Skip("no docker daemon here")
	}
	dir := t.TempDir()
	from, to := filepath.Join(dir, "in.tar"), filepath.Join(dir, "out.tar")
	c := config(here, base, top, base)
	const tag = "flatten-test/save:1"
	in := tarOf(file("a", base), file("b", top), c, manifest(saved{c.name, []string{tag}, []string{"a", "b", "a"}}))
	if err := os.WriteFile(from, in, 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, "docker", "load", "-q", "-i", from)
	t.Cleanup(func() { run(t, "docker", "rmi", tag) })
	run(t, "docker", "save", "-o", to, tag)
	for name, open := range map[string]func() (*image.Image, error){
		"detected":       func() (*image.Image, error) { return archive.Open(ctx, to, archive.Options{Tag: tag}) },
		"docker-archive": func() (*image.Image, error) { return archive.OpenDocker(ctx, to, archive.Options{Tag: tag}) },
	} {
		img, err := open()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		checkDiffIDs(t, img)
		closeImage(t, img)
	}
	if k, err := archive.Detect(to); err != nil || k != reference.OCIArchive && k != reference.DockerArchive {
		t.Errorf("%s, %v", k, err)
	}
}
