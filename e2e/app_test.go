// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	. "github.com/seed-81b0d42e/flatten/internal/tartest"
)

// writeLayout writes an OCI layout of images by their tags.
func writeLayout(t *testing.T, dir string, images map[string][]io.ReadSeeker, config v1.Config) {
	t.Helper()
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	for tag, layers := range images {
		var img v1.Image = empty.Image
		for _, r := range layers {
			l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
				_, err := r.Seek(0, io.SeekStart)
				return io.NopCloser(r), err
			})
			if err == nil {
				img, err = mutate.AppendLayers(img, l)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		file, err := img.ConfigFile()
		if err == nil {
			file = file.DeepCopy()
			file.OS, file.Architecture, file.Config = "linux", runtime.GOARCH, config
			img, err = mutate.ConfigFile(img, file)
		}
		if err == nil {
			err = path.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": tag}))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// appLayout writes the cookbook's image: a layout with the tags 1.0 and 1.1 of a
// small system whose program /bin/app prints /etc/motd.
func appLayout(t *testing.T, dir string) {
	t.Helper()
	base := Layer(
		Dir("bin"), Dir("dev"), Dir("proc"), Dir("sys"), Dir("root").Mode(0o700), Dir("tmp").Mode(0o1777),
		Dir("usr"), Dir("usr/lib"), Symlink("lib", "usr/lib"), Dir("etc"),
		File("etc/os-release", "ID=app\nNAME=App\nVERSION_ID=1\n"), File("etc/motd", "nothing yet\n"),
		File("etc/passwd", "root:x:0:0:root:/root:/bin/app\napp:x:1000:1000::/:/bin/app\n"),
		File("etc/group", "root:x:0:\napp:x:1000:\n"),
		Dir("var"), Dir("var/cache"), File("var/cache/packages", strings.Repeat("fetched and never used again\n", 10_000)),
	)
	program := Layer(
		File("bin/app", string(buildApp(t))).Mode(0o755), Link("bin/hello", "bin/app").Mode(0o755),
		File("etc/motd", "hello from 1.0\n"), Whiteout("var/cache/packages"),
		Dir("srv").Owner(1000, 1000).Mode(0o2770), File("srv/data", "data\n").Owner(1000, 1000).Mode(0o600),
	)
	update := Layer(File("etc/motd", "hello from 1.1\n"))
	reader := func(b Blob) io.ReadSeeker { return bytes.NewReader(b.Tar) }
	writeLayout(t, dir, map[string][]io.ReadSeeker{
		"1.0": {reader(base), reader(program)},
		"1.1": {reader(base), reader(program), reader(update)},
	}, v1.Config{Entrypoint: []string{"/bin/app"}, Env: []string{"PATH=/bin"}, WorkingDir: "/"})
}

// buildApp builds the program, linked with nothing.
func buildApp(t *testing.T) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "app")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", file, "./testdata/app")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// serveApp serves the images of the layout as app:1.0 and app:1.1 from a registry,
// and returns its host and port.
func serveApp(t *testing.T, dir string) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range manifest.Manifests {
		ref, err := name.ParseReference(host + "/app:" + d.Annotations["org.opencontainers.image.ref.name"])
		if err != nil {
			t.Fatal(err)
		}
		img, err := index.Image(d.Digest)
		if err == nil {
			err = remote.Write(ref, img)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return host
}
