// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seed-81b0d42e/flatten/internal/tartest"
)

var update = flag.Bool("update", false, "rewrite the scripts' golden parts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"flatten": main})
}

// TestScript runs the command as its users do. A script's first word is the
// subject. $IMAGE is the fixture, an OCI layout; $REGISTRY serves it as
// hello:latest.
func TestScript(t *testing.T) {
	image, err := filepath.Abs("../../fixtures/hello")
	if err != nil {
		t.Fatal(err)
	}
	host := serve(t, image)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("IMAGE", image)
			env.Setenv("REGISTRY", host)
			env.Setenv("XDG_CACHE_HOME", filepath.Join(env.WorkDir, ".cache"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"archive": archive,
			"damage":  damage,
			"assets":  assets,
			"layer":   layer,
			"fails":   fails,
		},
	})
}

// serve starts a registry that has the layout's image.
func serve(t *testing.T, dir string) string {
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
	image, err := index.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(host + "/hello:latest")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, image); err != nil {
		t.Fatal(err)
	}
	return host
}

// fails runs a command that must end with an exit code: fails CODE COMMAND ARG….
func fails(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: fails CODE COMMAND ARG...")
	}
	code := "0"
	err := ts.Exec(args[1], args[2:]...)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code = fmt.Sprint(exit.ExitCode())
	} else {
		ts.Check(err)
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}

// archive makes a tar of a folder: archive FILE DIR.
func archive(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: archive FILE DIR")
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	ts.Check(w.AddFS(os.DirFS(ts.MkAbs(args[1]))))
	ts.Check(w.Close())
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b.Bytes(), 0o644))
}

// damage changes a byte in the middle of the largest blob of a copy of a
// layout: damage NEW DIR.
func damage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: damage NEW DIR")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.CopyFS(dir, os.DirFS(ts.MkAbs(args[1]))))
	var largest string
	var size int64
	ts.Check(filepath.WalkDir(filepath.Join(dir, "blobs"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > size {
			largest, size = path, info.Size()
		}
		return err
	}))
	b, err := os.ReadFile(largest)
	ts.Check(err)
	b[len(b)/2] ^= 1
	ts.Check(os.WriteFile(largest, b, 0o644))
}

// assets demands that a folder has so many files and no others: assets N DIR.
func assets(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: assets N DIR")
	}
	list, err := os.ReadDir(ts.MkAbs(args[1]))
	ts.Check(err)
	if fmt.Sprint(len(list)) != args[0] {
		ts.Fatalf("%d files: %v", len(list), list)
	}
}

// layer makes a docker-archive with one odd layer: layer FILE KIND.
func layer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: layer FILE KIND")
	}
	var b tartest.Blob
	switch args[1] {
	case "twice": // rule 78, a warning
		b = tartest.Layer(tartest.File("a", "1"), tartest.File("a", "2"))
	case "nameless": // rule 22, an error
		b = tartest.Layer(tartest.File("etc/.wh.", ""))
	default:
		ts.Fatalf("no layer %q", args[1])
	}
	img := tartest.Image(b)
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	add := func(name string, body []byte) {
		ts.Check(w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(body))}))
		_, err := w.Write(body)
		ts.Check(err)
	}
	add("manifest.json", []byte(`[{"Config":"config.json","RepoTags":["odd:1"],"Layers":["layer.tar"]}]`))
	add("config.json", img.RawConfig)
	blob, err := img.Layers[0].Open(context.Background())
	ts.Check(err)
	stored, err := io.ReadAll(io.NewSectionReader(blob, 0, blob.Size()))
	ts.Check(err)
	add("layer.tar", stored)
	ts.Check(w.Close())
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), out.Bytes(), 0o644))
}
