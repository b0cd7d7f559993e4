// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/seed-81b0d42e/flatten/internal/overlaytest"
	. "github.com/seed-81b0d42e/flatten/internal/tartest"
)

// normalized is the time that Cloud Native Buildpacks give every file, so that
// layers can be built again byte by byte: a second into 1980.
const normalized = 315532801

// added is an entry and its name, which an entry keeps for itself.
type added struct {
	name  string
	entry Entry
}

func file(name, body string) added { return added{name, File(name, body)} }

// buildpackLayer is a layer as their lifecycle writes it: every folder down to
// what it adds, then that, all of one time.
func buildpackLayer(uid int64, files ...added) Blob {
	var entries []Entry
	var folders []string
	for _, f := range files {
		var missing []string
		for dir := path.Dir(f.name); dir != "." && dir != "/" && !slices.Contains(folders, dir); dir = path.Dir(dir) {
			missing = append(missing, dir)
		}
		slices.Reverse(missing)
		for _, dir := range missing {
			folder := Dir(dir).Mode(0o755).At(normalized)
			if path.Dir(dir) != "/" {
				folder = folder.Owner(uid, 1000)
			}
			entries, folders = append(entries, folder), append(folders, dir)
		}
		entries = append(entries, f.entry.Owner(uid, 1000).At(normalized))
	}
	return Layer(entries...)
}

// TestBuildpacks flattens an image of the kind that buildpacks make: many small
// layers, absolute names, times of 1980, the workspace owned by user 1000, a layer
// rebased below the others, launch metadata that later layers replace.
func TestBuildpacks(t *testing.T) {
	need(t, "umoci")
	if os.Geteuid() != 0 {
		t.Skip("needs root, to unpack owners")
	}
	layers := []Blob{
		Layer(Dir("etc"), File("etc/os-release", "NAME=run"), Dir("cnb"), Dir("home"), Dir("home/cnb").Owner(1000, 1000), Dir("tmp").Mode(0o1777)),
		buildpackLayer(0, added{"/cnb/lifecycle/launcher", File("/cnb/lifecycle/launcher", "launch").Mode(0o755)}, file("/cnb/process/.keep", "")),
	}
	for i := range 40 {
		bp := fmt.Sprintf("/layers/paketo-buildpacks_%c", 'a'+i%5)
		tool := fmt.Sprintf("%s/layer-%d/bin/tool", bp, i)
		layers = append(layers, buildpackLayer(1000,
			file(fmt.Sprintf("%s/layer-%d/env.launch/PATH.append", bp, i), fmt.Sprintf("/layers/%d/bin", i)),
			added{tool, File(tool, fmt.Sprint("tool ", i)).Mode(0o755)},
			added{tool + "-alias", Link(tool+"-alias", tool).Mode(0o755)},
			added{bp + "/current", Symlink(bp+"/current", fmt.Sprintf("layer-%d", i))},
		))
	}
	layers = append(layers,
		buildpackLayer(1000, file("/workspace/app.py", "print(1)"), file("/workspace/.profile", "x")),
		buildpackLayer(0, added{"/cnb/process/web", Symlink("/cnb/process/web", "../lifecycle/launcher")},
			added{"/cnb/process/.wh.keep", Whiteout("/cnb/process/.keep")}),
		buildpackLayer(1000, file("/layers/config/metadata.toml", "[[processes]]"), added{"/workspace/.wh.profile", Whiteout("/workspace/.profile")}),
	)

	dir, bundle := t.TempDir(), filepath.Join(t.TempDir(), "bundle")
	writeOCI(t, dir, layers)
	run(t, "umoci", "unpack", "--image", dir+":latest", bundle)
	want, err := overlaytest.ReadDir(filepath.Join(bundle, "rootfs"))
	if err != nil {
		t.Fatal(err)
	}
	flat := flatten(t, "oci:"+dir)
	compare(t, want, treeOf(t, flat))
	accepts(t, flat)
	if n := len(want); n < 200 {
		t.Errorf("only %d paths", n)
	}
}

// writeOCI writes a layout with an OCI image of the layers, gzip compressed.
func writeOCI(t *testing.T, dir string, layers []Blob) {
	t.Helper()
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, l := range layers {
		added, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(l.Tar)), nil
		}, tarball.WithMediaType(types.OCILayer))
		if err == nil {
			img, err = mutate.AppendLayers(img, added)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	config, err := img.ConfigFile()
	if err == nil {
		config = config.DeepCopy()
		config.OS, config.Architecture = "linux", runtime.GOARCH
		img, err = mutate.ConfigFile(img, config)
	}
	if err != nil {
		t.Fatal(err)
	}
	at, err := layout.Write(dir, empty.Index)
	if err == nil {
		err = at.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "latest"}))
	}
	if err != nil {
		t.Fatal(err)
	}
}
