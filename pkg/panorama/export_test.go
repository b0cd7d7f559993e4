// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package panorama

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/internal/tartest"
)

const (
	folder     = "123-people-counter-1.0"
	descriptor = `{"runtimeDescriptor": {"envelopeVersion": "2021-01-01", "entry": {"path": "/run", "name": "/x"}}}`
	emptyPkg   = `{"nodePackage": {"envelopeVersion": "2021-01-01", "name": "people-counter", "version": "1.0", "assets": [], "interfaces": []}}`
	emptyGraph = `{"nodeGraph": {"envelopeVersion": "2021-01-01", "packages": [{"name": "123::people-counter", "version": "1.0"}], "nodes": []}}`
)

// project is a project in a folder of its own.
type project struct{ *Project }

// newProject has one package, without an asset, and one graph, without a node.
func newProject(t *testing.T) project {
	t.Helper()
	return projectIn(t, t.TempDir())
}

func projectIn(t *testing.T, root string) project {
	t.Helper()
	p := project{&Project{Root: root}}
	p.put(t, "packages/"+folder+"/package.json", emptyPkg)
	p.put(t, "packages/"+folder+"/descriptor.json", descriptor)
	p.put(t, "graphs/app/graph.json", emptyGraph)
	if err := os.MkdirAll(p.path("assets"), 0o777); err != nil {
		t.Fatal(err)
	}
	return project{openProject(t, root)}
}

func openProject(t *testing.T, root string) *Project {
	t.Helper()
	p, err := Open(filepath.Join(root, "packages", folder))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// put writes a file of the project.
func (p project) put(t *testing.T, rel, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(p.path(rel)), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.path(rel), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// files is every file of the project and what is in it.
func (p project) files(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(p.Root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		rel, _ := filepath.Rel(p.Root, name)
		files[filepath.ToSlash(rel)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// build is an image with one file of this content.
func build(t *testing.T, content string) *flatten.Merged {
	return load(t, v1.ImageConfig{}, program("run"), tartest.File("x", content))
}

func (p project) export(t *testing.T, m *flatten.Merged) *Result {
	t.Helper()
	r, err := p.Export(t.Context(), m, Options{Asset: "code"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestExport(t *testing.T) {
	p := newProject(t)
	completed, warnings, err := p.Check(t.Context(), Options{Asset: "code"})
	if err != nil || len(completed)+len(warnings) > 0 {
		t.Fatal(completed, warnings, err)
	}
	r := p.export(t, build(t, "1"))
	files := p.files(t)
	asset, descr := filepath.Base(r.Asset.Path), filepath.Base(r.Descriptor)
	if sum([]byte(files["assets/"+asset]))+".tar.gz" != asset || sum([]byte(descriptor))+".json" != descr || files["assets/"+descr] != descriptor {
		t.Errorf("%s and %s are not what they are named by", asset, descr)
	}
	tarball, err := tartest.Gunzip([]byte(files["assets/"+asset]))
	if err != nil {
		t.Fatal(err)
	}
	tree, err := tartest.Read(tarball)
	if err != nil || !slices.Equal(tree.Lines(), []string{`run "#!" 0755`, `x "1"`}) {
		t.Errorf("%q, %v", tree.Lines(), err)
	}
	want := fmt.Sprintf(`{
    "name": "code",
    "implementations": [
        {
            "type": "container",
            "assetUri": "%s",
            "descriptorUri": "%s"
        }
    ]
}`, asset, descr)
	if diff := cmp.Diff(want, string(r.Definition)); diff != "" {
		t.Error(diff)
	}
	node := `"nodes": [{"name": "code_node", "interface": "123::people-counter.code_interface", "overridable": false, "launch": "onAppStart"}]`
	if !strings.Contains(files["graphs/app/graph.json"], node) {
		t.Errorf("the graph is %s", files["graphs/app/graph.json"])
	}
	if len(files) != 5 || len(r.Changed) != 2 || len(r.Removed)+len(r.Warnings)+len(r.Notes)+len(r.Ignored) > 0 {
		t.Errorf("%d files, %+v", len(files), r)
	}

	again := p.export(t, build(t, "1"))
	if diff := cmp.Diff(files, p.files(t)); diff != "" || len(again.Changed)+len(again.Removed) > 0 {
		t.Errorf("the same image again: %+v %s", again, diff)
	}

	next := p.export(t, build(t, "2"))
	after := p.files(t)
	if diff := cmp.Diff([]string{p.path("assets/" + asset)}, next.Removed); diff != "" || after["assets/"+asset] != "" || len(after) != 5 {
		t.Errorf("another image: %s", diff)
	}
	if after["graphs/app/graph.json"] != files["graphs/app/graph.json"] {
		t.Error("the graph was changed for an asset that was there")
	}
	renamed := strings.Replace(files[p.own(packageFile)], asset, filepath.Base(next.Asset.Path), 1)
	if diff := cmp.Diff(renamed, after[p.own(packageFile)]); diff != "" {
		t.Error(diff)
	}
}

// What another package names stays, and everything does when one cannot be read.
func TestSharedAssets(t *testing.T) {
	for name, tc := range map[string]struct {
		other string // a package.json; %a and %d stand for the files
		gone  int
		note  string
	}{
		"nothing": {`{"nodePackage": {"assets": []}}`, 2, ""},
		"the filesystem": {
			`{"nodePackage": {"assets": [{"name": "x", "implementations": [{"assetUri": "%a"}]}]}}`, 1, ""},
		"both, one of them somewhere unknown": {
			`{"nodePackage": {"assets": [{"name": "x", "implementations": [{"assetUri": "%a"}]}], "more": [["%d"]]}}`, 0, ""},
		"broken": {`{"nodePackage": `, 0, "superseded files stay"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProject(t)
			first := p.export(t, build(t, "1"))
			text := strings.NewReplacer("%a", filepath.Base(first.Asset.Path), "%d", filepath.Base(first.Descriptor)).Replace(tc.other)
			p.put(t, "packages/123-other-1.0/package.json", text)
			p.put(t, "packages/notes.txt", "")
			p.put(t, p.own(descriptorFile), descriptor+" ")
			r := p.export(t, build(t, "2"))
			if len(r.Removed) != tc.gone || (tc.note == "") != (len(r.Notes) == 0) || !strings.Contains(strings.Join(r.Notes, ""), tc.note) {
				t.Errorf("removed %q, notes %q", r.Removed, r.Notes)
			}
		})
	}
}

// Only what is named by its content is removed, wherever an entry points to.
func TestForeignNamesStay(t *testing.T) {
	p := newProject(t)
	p.put(t, "mine.tar.gz", "mine")
	p.put(t, "assets/model.tar.gz", "model")
	p.put(t, p.own(packageFile), `{"nodePackage": {"assets": [{"name": "code", "implementations": [
		{"type": "container", "assetUri": "../mine.tar.gz", "descriptorUri": "model.tar.gz"}]}]}}`)
	if r := p.export(t, build(t, "1")); len(r.Removed) > 0 {
		t.Errorf("removed %q", r.Removed)
	}
	if files := p.files(t); files["mine.tar.gz"] != "mine" || files["assets/model.tar.gz"] != "model" {
		t.Error("files that were not made here are gone")
	}
}

func TestInitDescriptor(t *testing.T) {
	p := newProject(t)
	o := Options{Asset: "code", InitDescriptor: true}
	m := load(t, v1.ImageConfig{Cmd: []string{"/run", "/x"}}, program("run"), tartest.File("x", ""))
	r, err := p.Export(t.Context(), m, o)
	if err != nil || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "is there already and stays") || p.files(t)[p.own(descriptorFile)] != descriptor {
		t.Errorf("%v, %+v", err, r)
	}

	if err := os.Remove(p.path(p.own(descriptorFile))); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.Check(t.Context(), Options{Asset: "code"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a descriptor: %v", err)
	}
	if _, err := p.Export(t.Context(), m, Options{Asset: "code"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a descriptor: %v", err)
	}
	if _, _, err := p.Check(t.Context(), o); err != nil {
		t.Error(err)
	}
	if r, err = p.Export(t.Context(), m, o); err != nil || len(r.Changed) != 2 {
		t.Fatalf("%v, %+v", err, r)
	}
	files := p.files(t)
	if text := files[p.own(descriptorFile)]; !strings.Contains(text, `"name": "/x"`) || files["assets/"+sum([]byte(text))+".json"] != text {
		t.Errorf("the descriptor is %s", text)
	}
}

// A project that is wrong is left as it is, before the image is read and after.
func TestExportRefuses(t *testing.T) {
	graph := func(pkg string) string { return strings.ReplaceAll(emptyGraph, "123::people-counter", pkg) }
	for name, tc := range map[string]struct {
		change func(t *testing.T, p project)
		want   string
	}{
		"no package.json":     {func(t *testing.T, p project) { os.Remove(p.path(p.own(packageFile))) }, "package.json: no such file or directory"},
		"broken package.json": {func(t *testing.T, p project) { p.put(t, p.own(packageFile), "{\n") }, "package.json:1:2: unexpected end"},
		"package.json a folder": {func(t *testing.T, p project) {
			os.Remove(p.path(p.own(packageFile)))
			os.Mkdir(p.path(p.own(packageFile)), 0o777)
		}, "package.json: not a file"},
		"twice":             {func(t *testing.T, p project) { p.put(t, p.own(packageFile), `{"nodePackage": {}, "nodePackage": {}}`) }, "stands twice"},
		"broken descriptor": {func(t *testing.T, p project) { p.put(t, p.own(descriptorFile), "{}") }, "runtimeDescriptor is missing"},
		"broken graph":      {func(t *testing.T, p project) { p.put(t, "graphs/app/graph.json", "[]") }, "graph.json:1:1: no object nodeGraph"},
		"no graph":          {func(t *testing.T, p project) { os.RemoveAll(p.path("graphs")) }, "has no graph.json for the node of a new asset"},
		"none of two graphs": {func(t *testing.T, p project) {
			p.put(t, "graphs/app/graph.json", graph("1::a"))
			p.put(t, "graphs/b/graph.json", graph("1::b"))
		}, "none of 2 graphs lists the package 123::people-counter"},
		"journal of another": {func(t *testing.T, p project) { p.put(t, journalFile, `{"version": 2}`) }, "version 2, not 1"},
		"journal to elsewhere": {func(t *testing.T, p project) {
			p.put(t, journalFile, `{"version": 1, "changes": [{"path": "packages/../package.json", "before": "", "text": "{}"}]}`)
		}, "is no file that changes"},
		"journal to farther": {func(t *testing.T, p project) {
			p.put(t, journalFile, `{"version": 1, "changes": [{"path": "../packages/a/package.json", "before": "", "text": "{}"}]}`)
		}, "is no file that changes"},
		"journal that removes": {func(t *testing.T, p project) { p.put(t, journalFile, `{"version": 1, "remove": ["../x"]}`) }, "is no file to be removed"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProject(t)
			tc.change(t, p)
			before := p.files(t)
			_, _, early := p.Check(t.Context(), Options{Asset: "code"})
			wants(t, "checking", early, tc.want, "", nil)
			_, late := p.Export(t.Context(), build(t, "1"), Options{Asset: "code"})
			wants(t, "exporting", late, tc.want, "", nil)
			if diff := cmp.Diff(before, p.files(t)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The node goes into the graphs that list the package.
func TestGraphs(t *testing.T) {
	p := newProject(t)
	p.put(t, "graphs/other/graph.json", strings.ReplaceAll(emptyGraph, "123::people-counter", "1::a"))
	p.put(t, "graphs/second/graph.json", emptyGraph)
	p.put(t, "graphs/README", "")
	r := p.export(t, build(t, "1"))
	want := []string{p.path("graphs/app/graph.json"), p.path("graphs/second/graph.json"), p.path(p.own(packageFile))}
	if diff := cmp.Diff(want, r.Changed); diff != "" {
		t.Error(diff)
	}
}

// Warnings are errors for the strict.
func TestStrict(t *testing.T) {
	p := newProject(t)
	m := load(t, v1.ImageConfig{}, program("run"), tartest.File("x", ""), tartest.File("opt/aws/panorama/storage/m", ""))
	m.Image.Platform.Architecture = "amd64"
	before := p.files(t)
	_, err := p.Export(t.Context(), m, Options{Asset: "code", Flatten: flatten.Options{Strict: true}})
	wants(t, "strict", err, "the appliance mounts over them", "without --strict", nil)
	if diff := cmp.Diff(before, p.files(t)); diff != "" {
		t.Error(diff)
	}
	wants(t, "not strict", nil, "", "", p.export(t, m).Warnings, "1 paths below", "the image is for linux/amd64, the appliance is linux/arm64")

	p.put(t, p.own(packageFile), strings.Replace(emptyPkg, "{", `{"x": 1, `, 1))
	_, _, err = p.Check(t.Context(), Options{Asset: "code", Flatten: flatten.Options{Strict: true}})
	wants(t, "strict", err, `no key "x" belongs here`, "without --strict", nil)
	_, warnings, err := p.Check(t.Context(), Options{Asset: "code"})
	wants(t, "not strict", err, "", "", warnings, `no key "x" belongs here`)
}

// A file that is a symbolic link stays one, and keeps its mode.
func TestSymlink(t *testing.T) {
	p := newProject(t)
	elsewhere := filepath.Join(t.TempDir(), "real.json")
	if err := os.WriteFile(elsewhere, []byte(emptyPkg), 0o600); err != nil {
		t.Fatal(err)
	}
	os.Remove(p.path(p.own(packageFile)))
	if err := os.Symlink(elsewhere, p.path(p.own(packageFile))); err != nil {
		t.Skip(err)
	}
	p.export(t, build(t, "1"))
	text, err := os.ReadFile(elsewhere)
	if err != nil || !strings.Contains(string(text), `"code"`) {
		t.Errorf("%s, %v", text, err)
	}
	if info, err := os.Lstat(p.path(p.own(packageFile))); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("%v, %v", info, err)
	}
	if info, err := os.Stat(elsewhere); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}
