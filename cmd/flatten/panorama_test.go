// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const journalFile = ".flatten-panorama.json"

// newProject writes a project that has some packages without assets, and a graph.
func newProject(t *testing.T, packages ...string) (root string) {
	t.Helper()
	root = t.TempDir()
	var listed []string
	for _, name := range packages {
		put(t, root, "packages/1-"+name+"-1.0/package.json", `{"nodePackage": {"envelopeVersion": "2021-01-01", "assets": [], "interfaces": []}}`)
		listed = append(listed, fmt.Sprintf(`{"name": "1::%s", "version": "1.0"}`, name))
	}
	put(t, root, "graphs/app/graph.json",
		`{"nodeGraph": {"envelopeVersion": "2021-01-01", "packages": [`+strings.Join(listed, ", ")+`], "nodes": []}}`)
	return root
}

func put(t *testing.T, root, rel, text string) {
	t.Helper()
	name := filepath.Join(root, rel)
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// projectFiles is every file of a project and what is in it, but for those that
// are on their way.
func projectFiles(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(name, ".tmp") {
			return err
		}
		text, err := os.ReadFile(name)
		rel, _ := filepath.Rel(root, name)
		files[filepath.ToSlash(rel)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// export is the command that makes the fixture an asset of a package.
func export(t *testing.T, root, pkg, platform string) *exec.Cmd {
	t.Helper()
	image, err := filepath.Abs("../../fixtures/hello")
	if err != nil {
		t.Fatal(err)
	}
	cmd := processOf(t, "panorama", "export-container", "-q", "--no-cache", "--init-descriptor", "--platform", platform,
		"--container-asset-name", pkg+"-asset", "--package-path", "packages/1-"+pkg+"-1.0", "--container-image-uri", "oci:"+image)
	cmd.Dir = root
	return cmd
}

func exported(t *testing.T, root, pkg, platform string) {
	t.Helper()
	if o := finish(t, export(t, root, pkg, platform)); o.code != 0 {
		t.Fatalf("exit %d: %s", o.code, o.stderr)
	}
}

// Killed at any moment, a project is as before or as after, or has a journal; and
// the same export once more makes it what it would have been. -kills=1000 takes
// longer.
func TestExportKilled(t *testing.T) {
	random := rand.New(rand.NewPCG(*killSeed, 1))
	for name, prepare := range map[string]func(root string){
		"a new asset":     func(string) {},
		"another content": func(root string) { exported(t, root, "code", "linux/amd64") },
	} {
		t.Run(name, func(t *testing.T) {
			old, want := newProject(t, "code"), newProject(t, "code")
			prepare(old)
			prepare(want)
			before := projectFiles(t, old)
			began := time.Now()
			exported(t, want, "code", "linux/arm64")
			whole := time.Since(began)
			after := projectFiles(t, want)
			landed := map[string]int{}
			for n := 0; n < max(1, *kills/2) && !t.Failed(); n++ {
				root := t.TempDir()
				for rel, text := range before {
					put(t, root, rel, text)
				}
				killExport(t, export(t, root, "code", "linux/arm64"), random, whole)
				landed[judgeProject(t, projectFiles(t, root), before, after)]++
				exported(t, root, "code", "linux/arm64")
				if diff := cmp.Diff(after, projectFiles(t, root)); diff != "" {
					t.Errorf("after the next run: %s", diff)
				}
				if left, _ := filepath.Glob(filepath.Join(root, "*", ".flatten-*")); len(left) > 0 {
					t.Errorf("left %s", left)
				}
			}
			t.Logf("seed %d, a run takes %v: %v", *killSeed, whole, landed)
		})
	}
}

// killExport starts an export and kills it: now and then at any moment of its
// run, mostly a little after it has changed something.
func killExport(t *testing.T, cmd *exec.Cmd, random *rand.Rand, whole time.Duration) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan bool)
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	// The run is watched up to one of the things that it does, if to any.
	appears := []string{"", "assets/*", journalFile, journalFile}[random.IntN(4)]
	wait := time.Duration(random.Int64N(int64(whole)))
	if appears != "" {
		await(filepath.Join(cmd.Dir, appears), exited)
		wait = time.Duration(random.Int64N(int64(4 * time.Millisecond)))
	}
	time.Sleep(wait)
	_ = cmd.Process.Kill()
	<-exited
}

// await waits for a file that was not there, or the end of the run.
func await(pattern string, exited <-chan bool) {
	was, _ := filepath.Glob(pattern)
	for {
		select {
		case <-exited:
			return
		default:
			if is, _ := filepath.Glob(pattern); len(is) > len(was) {
				return
			}
		}
	}
}

// judgeProject demands of a project whose export was killed that it is not half
// done without a journal, and that what package.json names is there. It says
// which of the states it is.
func judgeProject(t *testing.T, files, before, after map[string]string) string {
	t.Helper()
	was, is := 0, 0
	for rel := range after {
		if !strings.HasSuffix(rel, "package.json") && !strings.HasSuffix(rel, "graph.json") && !strings.HasSuffix(rel, "descriptor.json") || before[rel] == after[rel] {
			continue
		}
		switch files[rel] {
		case before[rel]:
			was++
		case after[rel]:
			is++
		default:
			t.Errorf("%s is neither as before nor as after: %q", rel, files[rel])
		}
	}
	for _, name := range regexp.MustCompile(`[0-9a-f]{64}[.a-z]*`).FindAllString(files["packages/1-code-1.0/package.json"], -1) {
		if s := sha256.Sum256([]byte(files["assets/"+name])); hex.EncodeToString(s[:]) != name[:64] {
			t.Errorf("package.json names %s, which is not there or not whole", name)
		}
	}
	_, journal := files[journalFile]
	switch {
	case was > 0 && is > 0 && !journal:
		t.Errorf("%d files are as before, %d as after, and there is no journal", was, is)
		return "half done"
	case journal:
		return fmt.Sprintf("journal, %d of %d", is, was+is)
	case is > 0:
		return "after"
	}
	return "before"
}

// Exports to one project at the same time take turns: no change is lost.
func TestExportsAtOnce(t *testing.T) {
	packages := []string{"a", "b", "c", "d", "e", "f"}
	root := newProject(t, packages...)
	var wg sync.WaitGroup
	for i, pkg := range packages {
		cmd := export(t, root, pkg, []string{"linux/arm64", "linux/amd64"}[i%2])
		wg.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	files := projectFiles(t, root)
	var graph struct {
		NodeGraph struct{ Nodes []struct{ Interface string } }
	}
	if err := json.Unmarshal([]byte(files["graphs/app/graph.json"]), &graph); err != nil {
		t.Fatal(err)
	}
	var nodes, want []string
	for _, n := range graph.NodeGraph.Nodes {
		nodes = append(nodes, n.Interface)
	}
	for _, pkg := range packages {
		want = append(want, fmt.Sprintf("1::%s.%s-asset_interface", pkg, pkg))
	}
	slices.Sort(nodes)
	if diff := cmp.Diff(want, nodes); diff != "" {
		t.Error(diff)
	}
	if n := len(slices.DeleteFunc(slices.Collect(maps.Keys(files)), func(rel string) bool { return !strings.HasPrefix(rel, "assets/") })); n != 3 {
		t.Errorf("%d assets, want two filesystems and a descriptor", n)
	}
}

// A folder that cannot be written to is said before the image is opened, and
// nothing changes.
func TestExportReadOnly(t *testing.T) {
	for _, dir := range []string{"assets", "packages/1-code-1.0", "graphs/app", "."} {
		root := newProject(t, "code")
		if err := os.Mkdir(filepath.Join(root, "assets"), 0o777); err != nil {
			t.Fatal(err)
		}
		before := projectFiles(t, root)
		readOnly(t, filepath.Join(root, dir))
		cmd := export(t, root, "code", "linux/arm64")
		cmd.Args[slices.Index(cmd.Args, "--container-image-uri")+1] = "oci:/nowhere"
		o := finish(t, cmd)
		if o.code != exitFailed || !strings.Contains(o.stderr, "creating a file in "+filepath.FromSlash(dir)+": ") || !strings.Contains(o.stderr, "hint: files are made in the project's root, in assets") {
			t.Errorf("%s: exit %d: %s", dir, o.code, o.stderr)
		}
		if diff := cmp.Diff(before, projectFiles(t, root)); diff != "" {
			t.Errorf("%s: %s", dir, diff)
		}
	}
}

// readOnly keeps a folder from being written to, even by root.
func readOnly(t *testing.T, dir string) {
	t.Helper()
	if os.Geteuid() > 0 {
		if err := os.Chmod(dir, 0o555); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(dir, 0o777) })
		return
	}
	for _, args := range [][]string{{"--bind", dir, dir}, {"-o", "remount,bind,ro", dir}} {
		if out, err := exec.Command("mount", args...).CombinedOutput(); err != nil {
			t.Skipf("mount: %v: %s", err, out)
		}
		if args[0] == "--bind" {
			t.Cleanup(func() {
				if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
					t.Errorf("umount: %v: %s", err, out)
				}
			})
		}
	}
}
