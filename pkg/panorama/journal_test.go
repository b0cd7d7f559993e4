// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package panorama

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/internal/tartest"
)

var errInjected = errors.New("injected")

// steps are the actions of an export, in the order in which they are done.
func steps(t *testing.T, p project, m *flatten.Merged) []string {
	t.Helper()
	var names []string
	p.step = func(action string) error {
		names = append(names, action)
		return nil
	}
	p.export(t, m)
	return names
}

// An export that fails at any step leaves the project as it was, but for a
// superseded file that cannot be removed, which is said.
func TestFaults(t *testing.T) {
	for _, first := range []bool{true, false} {
		begin := func(t *testing.T) project {
			p := newProject(t)
			if !first {
				p.export(t, build(t, "1"))
				p.put(t, p.own(descriptorFile), descriptor+" ")
			}
			return p
		}
		names := steps(t, begin(t), build(t, "2"))
		if len(names) < 4 {
			t.Fatalf("steps %q", names)
		}
		for i, name := range names {
			t.Run(fmt.Sprint(first, i), func(t *testing.T) {
				p := begin(t)
				before := p.files(t)
				n := 0
				p.step = func(string) error {
					if n++; n == i+1 {
						return errInjected
					}
					return nil
				}
				r, err := p.Export(t.Context(), build(t, "2"), Options{Asset: "code"})
				switch {
				case strings.HasPrefix(name, "remove "):
					if err != nil || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "is superseded and stays") {
						t.Errorf("%s: %v, %+v", name, err, r)
					}
				case name == "end":
					// Everything is done but that the journal is still there.
					if !errors.Is(err, errInjected) {
						t.Error(err)
					}
					p.step = nil
					if r := p.export(t, build(t, "2")); len(r.Completed) == 0 || len(r.Changed) > 0 {
						t.Errorf("the next run: %+v", r)
					}
				default:
					if !errors.Is(err, errInjected) {
						t.Errorf("%s: %v", name, err)
					}
					if diff := cmp.Diff(before, p.files(t)); diff != "" {
						t.Errorf("%s: %s", name, diff)
					}
				}
			})
		}
	}
}

// When not even the way back works, the next run goes forward.
func TestFaultWithoutWayBack(t *testing.T) {
	want := newProject(t)
	want.export(t, build(t, "1"))
	p := newProject(t)
	graph := p.path("graphs/app")
	p.step = func(action string) error {
		if strings.HasPrefix(action, "replace packages") {
			// The graph is replaced already; now nobody can write it.
			if err := os.Rename(graph, graph+"~"); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(graph, nil, 0o666); err != nil {
				t.Fatal(err)
			}
			return errInjected
		}
		return nil
	}
	_, err := p.Export(t.Context(), build(t, "1"), Options{Asset: "code"})
	wants(t, "exporting", err, "injected; nor can it be undone", "the next run in this project completes it", nil)
	p.step = nil
	if err := errors.Join(os.Remove(graph), os.Rename(graph+"~", graph)); err != nil {
		t.Fatal(err)
	}
	if completed, _, err := p.Check(t.Context(), Options{Asset: "code"}); err != nil || len(completed) != 2 {
		t.Errorf("%q, %v", completed, err)
	}
	if diff := cmp.Diff(want.files(t), p.files(t)); diff != "" {
		t.Error(diff)
	}
}

// TestMain is also the process that TestKill kills: it exports, or completes an
// export, and dies at the step that KILL_AT says.
func TestMain(m *testing.M) {
	if os.Getenv("KILL_ROOT") == "" {
		os.Exit(m.Run())
	}
	err := victim(os.Getenv("KILL_ROOT"), os.Getenv("KILL_AT"))
	fmt.Fprintln(os.Stderr, err)
	os.Exit(2)
}

func victim(root, at string) error {
	p, err := Open(filepath.Join(root, "packages", folder))
	if err != nil {
		return err
	}
	p.step = func(action string) error {
		if regexp.MustCompile("^(" + at + ")").MatchString(action) {
			self, err := os.FindProcess(os.Getpid())
			if err == nil {
				err = self.Kill()
			}
			if err == nil {
				select {} // until it arrives
			}
			return err
		}
		return nil
	}
	img := tartest.Image(tartest.Layer(program("run"), tartest.File("x", "2")))
	img.Platform.Architecture = "arm64"
	ctx := context.Background()
	m, err := flatten.Load(ctx, img, flatten.Options{})
	if err != nil {
		return err
	}
	_, err = p.Export(ctx, m, Options{Asset: "code"})
	return fmt.Errorf("not killed: %w", errors.Join(err, errInjected))
}

// kill runs an export in a process that dies at a step.
func kill(t *testing.T, p project, at string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "KILL_ROOT="+p.Root, "KILL_AT="+at)
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() == 2 {
		t.Fatalf("at %s: %v %s", at, err, out)
	}
}

// A run that is killed at any step, and a next one that is killed while it
// completes it, leave a project that the run after them completes; and never one
// that is half done without a journal that says so.
func TestKill(t *testing.T) {
	for _, first := range []bool{true, false} {
		begin := func(t *testing.T) project {
			p := newProject(t)
			if !first {
				p.export(t, build(t, "1"))
				p.put(t, p.own(descriptorFile), descriptor+" ")
			}
			return p
		}
		old, want := begin(t), begin(t)
		before := old.files(t)
		names := steps(t, want, build(t, "2"))
		after := want.files(t)
		for i, name := range names {
			for _, then := range append([]string{""}, names[i:]...) {
				t.Run(fmt.Sprintf("%v/%d/%.10s", first, i, then), func(t *testing.T) {
					p := begin(t)
					kill(t, p, regexp.QuoteMeta(name))
					judge(t, p, before, after)
					if then != "" {
						kill(t, p, regexp.QuoteMeta(then)+"|end")
						judge(t, p, before, after)
					}
					p.export(t, build(t, "2"))
					if diff := cmp.Diff(after, p.files(t)); diff != "" {
						t.Error(diff)
					}
				})
			}
		}
	}
}

// judge demands that the files that are edited are all as before, or all as
// after, or that there is a journal; and that every asset is there that
// package.json names.
func judge(t *testing.T, p project, before, after map[string]string) {
	t.Helper()
	files := p.files(t)
	was, is := 0, 0
	for _, rel := range []string{p.own(packageFile), "graphs/app/graph.json"} {
		switch text := files[rel]; {
		case before[rel] == after[rel] && text == after[rel]:
		case text == before[rel]:
			was++
		case text == after[rel]:
			is++
		default:
			t.Errorf("%s is neither as before nor as after: %s", rel, text)
		}
	}
	if was > 0 && is > 0 && files[journalFile] == "" {
		t.Error("half done, and no journal")
	}
	for _, name := range regexp.MustCompile(`[0-9a-f]{64}[.a-z]*`).FindAllString(files[p.own(packageFile)], -1) {
		if sum([]byte(files["assets/"+name])) != name[:64] {
			t.Errorf("package.json names %s, which is not there or not whole", name)
		}
	}
}

// What somebody edits between a kill and the next run is not overwritten.
func TestEditedAfterKill(t *testing.T) {
	p := newProject(t)
	kill(t, p, "replace packages") // the graph is replaced, package.json not yet
	p.put(t, p.own(packageFile), emptyPkg+" ")
	before := p.files(t)
	_, _, err := p.Check(t.Context(), Options{Asset: "code"})
	wants(t, "checking", err, "package.json was changed since a run was interrupted", "then remove the file", nil)
	if diff := cmp.Diff(before, p.files(t)); diff != "" {
		t.Error(diff)
	}

	p = newProject(t)
	kill(t, p, "replace graphs") // nothing is replaced yet: the journal is forgotten
	p.put(t, p.own(packageFile), emptyPkg+" ")
	if completed, _, err := p.Check(t.Context(), Options{Asset: "code"}); err != nil || len(completed) > 0 {
		t.Errorf("%q, %v", completed, err)
	}
	if files := p.files(t); files[p.own(packageFile)] != emptyPkg+" " || files[journalFile] != "" {
		t.Errorf("%q", files)
	}
}

// A journal that came with a project does not reach out of it.
func TestHostileJournal(t *testing.T) {
	p := newProject(t)
	elsewhere := t.TempDir()
	mine := filepath.Join(elsewhere, "package.json")
	if err := os.WriteFile(mine, []byte("{}"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, p.path("packages/1-evil-1.0")); err != nil {
		t.Skip(err)
	}
	p.put(t, journalFile, fmt.Sprintf(`{"version": 1, "changes": [
		{"path": "graphs/app/graph.json", "before": "", "text": %q},
		{"path": "packages/1-evil-1.0/package.json", "before": %q, "text": "[]"}]}`, emptyGraph, sum([]byte("{}"))))
	_, _, err := p.Check(t.Context(), Options{Asset: "code"})
	wants(t, "checking", err, "is elsewhere", "then remove the file", nil)
	if text, err := os.ReadFile(mine); err != nil || string(text) != "{}" {
		t.Errorf("%s, %v", text, err)
	}
}
