// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
)

// An export into an application package that is killed leaves a project whose every
// file is whole; the next one makes of it what one that was never killed makes.
func TestKillExport(t *testing.T) {
	if !strings.Contains(must(t, command(t.TempDir(), "--help")), "flatten panorama") {
		t.Skip("the command has no panorama")
	}
	base := t.TempDir()
	for name, text := range map[string]string{
		"packages/123-counter-1.0/package.json":    `{"nodePackage": {"envelopeVersion": "2021-01-01", "name": "counter", "version": "1.0", "assets": [], "interfaces": []}}`,
		"packages/123-counter-1.0/descriptor.json": `{"runtimeDescriptor": {"envelopeVersion": "2021-01-01", "entry": {"path": "/run", "name": "/d/0-1"}}}`,
		"graphs/app/graph.json":                    `{"nodeGraph": {"envelopeVersion": "2021-01-01", "packages": [{"name": "123::counter", "version": "1.0"}], "nodes": []}}`,
	} {
		path := filepath.Join(base, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(base, "assets"), 0o777); err != nil {
		t.Fatal(err)
	}
	images := "oci:" + layoutOf(t, sample(t, 7, 2, 100_000), sample(t, 8, 3, 500_000))
	export := func(root, tag string) *exec.Cmd {
		cmd := command(t.TempDir(), "panorama", "export-container", "-q", "--platform", "linux/"+runtime.GOARCH,
			"--container-asset-name", "code", "--package-path", "packages/123-counter-1.0", "--container-image-uri", images+":"+tag)
		cmd.Dir = root
		return cmd
	}
	must(t, export(base, "0"))
	uninterrupted := filepath.Join(t.TempDir(), "project")
	copyTree(t, uninterrupted, base)
	must(t, export(uninterrupted, "1"))
	want := project(t, uninterrupted)

	root := filepath.Join(t.TempDir(), "project")
	Kill(t, func() *exec.Cmd {
		copyTree(t, root, base)
		return export(root, "1")
	}, func(when string) {
		for name, content := range project(t, root) {
			checkProjectFile(t, when, name, content)
		}
		must(t, export(root, "1"))
		if diff := cmp.Diff(want, project(t, root)); diff != "" {
			t.Errorf("%s, exported again (- want, + got): %s", when, diff)
		}
	})
}

// project is every file of a folder: what is in it, or its digest if it is large.
func project(tb testing.TB, root string) map[string]string {
	tb.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(root, path)
		files[filepath.ToSlash(rel)] = string(b)
		if strings.HasSuffix(path, ".tar.gz") {
			files[filepath.ToSlash(rel)] = digest.FromBytes(b).Encoded()
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return files
}

// checkProjectFile demands of a file under a final name that it is whole.
func checkProjectFile(tb testing.TB, when, name, content string) {
	tb.Helper()
	base := name[strings.LastIndexByte(name, '/')+1:]
	asset := strings.HasPrefix(name, "assets/")
	switch {
	case strings.HasPrefix(base, ".flatten-"): // on its way
	case strings.HasSuffix(base, ".tar.gz"):
		if base != content+".tar.gz" {
			tb.Errorf("%s: %s has digest %s", when, name, content)
		}
	case asset && base != digest.FromString(content).Encoded()+".json":
		tb.Errorf("%s: %s has another digest", when, name)
	case !json.Valid([]byte(content)):
		tb.Errorf("%s: %s is %q", when, name, content)
	}
}
