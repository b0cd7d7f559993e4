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
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/opencontainers/go-digest"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seed-81b0d42e/flatten/internal/regtest"
	"github.com/seed-81b0d42e/flatten/internal/tartest"
)

var update = flag.Bool("update", false, "rewrite the scripts' golden parts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"flatten": main})
}

// TestScript runs the command as its users do. A script's first word is the
// subject. $IMAGE is the fixture, an OCI layout; $REGISTRY serves it as
// hello:latest, and so does $PRIVATE to those who log in.
func TestScript(t *testing.T) {
	image, err := filepath.Abs("../../fixtures/hello")
	if err != nil {
		t.Fatal(err)
	}
	public, private := serve(t, image, regtest.Anonymous), serve(t, image, regtest.Basic)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("IMAGE", image)
			env.Setenv("REGISTRY", public)
			env.Setenv("PRIVATE", private)
			env.Setenv("XDG_CACHE_HOME", filepath.Join(env.WorkDir, ".cache"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"archive": archive,
			"damage":  damage,
			"edit":    edit,
			"assets":  assets,
			"layer":   layer,
			"fails":   fails,
		},
	})
}

// serve starts a registry that has the layout's image.
func serve(t *testing.T, dir string, auth regtest.Auth) string {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skipf("the fixture has nothing for %s, which is the default platform here", runtime.GOARCH)
	}
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
	server := regtest.New(t, regtest.Config{Auth: auth})
	server.Push(t, "hello:latest", image)
	return server.Host
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

// edit copies a file, to the name of its digest and a suffix where NEW begins with
// a dot, and changes a byte, drops what is behind one or appends some: edit NEW FILE
// flip|cut|add OFFSET. Offsets below 0 are counted from the end.
func edit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: edit NEW FILE flip|cut|add OFFSET")
	}
	b, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	at, err := strconv.Atoi(args[3])
	ts.Check(err)
	if at < 0 {
		at += len(b)
	}
	switch args[2] {
	case "flip":
		b[at] ^= 1
	case "cut":
		b = b[:at]
	case "add":
		b = append(b, bytes.Repeat([]byte("x"), at)...)
	}
	name := args[0]
	if strings.HasPrefix(name, ".") {
		name = digest.FromBytes(b).Encoded() + name
	}
	ts.Check(os.WriteFile(ts.MkAbs(name), b, 0o644))
	ts.Setenv("FILE", name)
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
	case "names": // what a terminal and a reader of lines have to be spared
		b = tartest.Layer(tartest.File("a b", ""), tartest.File("two\nlines", ""), tartest.File("\x1b[2J", ""), tartest.File("\xff", ""),
			tartest.File("'quoted'", ""), tartest.Symlink("link", "\x1b]0;t\x07"), tartest.Char("null", 1, 3),
			tartest.File("xattr", "").Xattr("user.k", "\x00v"), tartest.File(".dot", ""), tartest.File("etc/passwd", "ro\x1b:x:0:\nok:x:7:\n").Owner(7, 8))
	case "tricky": // names and metadata that have to be shown with care
		b = tartest.Layer(
			tartest.File("a", "123").Mode(0o4755).Owner(1, 2).At(5).Xattr("user.k", "v"),
			tartest.File("line\nend", ""), tartest.File("with space", ""), tartest.File("b\xff", ""))
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
