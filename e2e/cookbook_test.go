// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestCookbook runs the commands of docs/cookbook.md and compares what they print
// with what stands there.
//
// A shell block is run by bash, which stops at the first failure of any command in
// a pipe. Where a comment "<!-- needs: PROGRAM… -->" stands before it, the block
// begins in a new folder that has the OCI layout "app"; it is skipped unless all that
// it needs is at hand (see conditions). Without the comment it goes on where the
// block before it ended. A text block holds what the block before it prints to
// standard output: "…" stands for anything on the line. After a comment
// "<!-- numbers vary -->" so does each number, with its unit.
func TestCookbook(t *testing.T) {
	need(t, "bash")
	doc, err := os.ReadFile("../docs/cookbook.md")
	if err != nil {
		t.Fatal(err)
	}
	recipes := readRecipes(t, string(doc))
	if len(recipes) < 10 {
		t.Fatalf("only %d recipes", len(recipes))
	}
	layout := filepath.Join(t.TempDir(), "app")
	appLayout(t, layout)
	registry := serveApp(t, layout)
	for _, r := range recipes {
		t.Run(strings.ReplaceAll(r.title, " ", "-"), func(t *testing.T) {
			for _, what := range r.needs {
				meet(t, what)
			}
			dir := t.TempDir()
			if err := os.CopyFS(filepath.Join(dir, "app"), os.DirFS(layout)); err != nil {
				t.Fatal(err)
			}
			for _, b := range r.blocks {
				b.run(t, dir, registry)
			}
		})
	}
}

// recipe is the blocks of one run: those from one "needs" to the next.
type recipe struct {
	title  string
	needs  []string
	blocks []block
}

// block is a shell block and what it prints, if that is shown.
type block struct {
	line         int
	script, want string
	shown, vary  bool
}

// readRecipes takes the document apart.
func readRecipes(t *testing.T, doc string) []recipe {
	t.Helper()
	var list []recipe
	title, fence, vary := "", "", false
	for i, line := range strings.Split(doc, "\n") {
		needs, isNeeds := strings.CutPrefix(line, "<!-- needs: ")
		last := len(list) - 1
		switch {
		case fence != "" && line == "```":
			fence = ""
		case fence == "sh":
			b := list[last].blocks
			b[len(b)-1].script += line + "\n"
		case fence == "text":
			b := list[last].blocks
			b[len(b)-1].want += line + "\n"
		case fence != "":
		case strings.HasPrefix(line, "## "):
			title = line[len("## "):]
		case line == "<!-- numbers vary -->":
			vary = true
		case isNeeds:
			list = append(list, recipe{title: title, needs: strings.Fields(strings.TrimSuffix(needs, " -->"))})
		case strings.HasPrefix(line, "```"):
			fence = line[3:]
			if last < 0 || fence == "text" && len(list[last].blocks) == 0 {
				t.Fatalf("line %d: a block before the first recipe", i+1)
			}
			if b := list[last].blocks; fence == "sh" {
				list[last].blocks = append(b, block{line: i + 1})
			} else if fence == "text" {
				b[len(b)-1].shown, b[len(b)-1].vary, vary = true, vary, false
			}
		}
	}
	return list
}

// run runs a block in a folder and compares what it prints.
func (b *block) run(t *testing.T, dir, registry string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", b.script)
	cmd.Dir = dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Env = append(os.Environ(), "REGISTRY="+registry, "LC_ALL=C.UTF-8", "TZ=UTC", "XDG_CACHE_HOME="+filepath.Join(dir, ".cache"),
		"PATH="+filepath.Dir(binary)+string(os.PathListSeparator)+os.Getenv("PATH")+":/usr/sbin:/sbin")
	if err := cmd.Run(); err != nil {
		t.Fatalf("line %d: %v\n%s\nprints:\n%s%s", b.line, err, b.script, &out, &errs)
	}
	if !b.shown {
		return
	}
	want, got := b.want, out.String()
	if b.vary {
		want, got = numbers.ReplaceAllString(want, "N"), numbers.ReplaceAllString(got, "N")
	}
	pattern := strings.ReplaceAll(regexp.QuoteMeta(want), "…", ".*")
	if !regexp.MustCompile("^" + pattern + "$").MatchString(got) {
		t.Errorf("line %d:\n%s\nprints:\n%s\nbut the document has:\n%s", b.line, b.script, &out, b.want)
	}
}

// numbers are digests and sizes, and the spaces that align them.
var numbers = regexp.MustCompile(`sha256:[0-9a-f]+| *[0-9]+(\.[0-9]+)?( [kMGT]?B)?|  +`)

// conditions are what a recipe can need beside programs.
var conditions = map[string]func() error{
	"root": func() error {
		if os.Geteuid() != 0 {
			return fmt.Errorf("not root")
		}
		return nil
	},
	"docker-daemon": func() error { return exec.Command("docker", "info").Run() },
	"incus-daemon":  func() error { return exec.Command("incus", "info").Run() },
	"systemd": func() error {
		_, err := os.Stat("/run/systemd/system")
		return err
	},
	// mke2fs reads tars from 1.47.1 on, when it was built with libarchive. This one
	// is empty.
	"mke2fs-tar": func() error {
		file, err := os.CreateTemp("", "mke2fs-")
		if err != nil {
			return err
		}
		file.Close()
		defer os.Remove(file.Name())
		cmd := exec.Command("mke2fs", "-q", "-d", "-", file.Name(), "1M")
		cmd.Stdin = bytes.NewReader(make([]byte, 1024))
		return cmd.Run()
	},
}

// meet skips the test unless a need is met.
func meet(t *testing.T, what string) {
	t.Helper()
	condition, ok := conditions[what]
	if !ok {
		need(t, what)
		return
	}
	if err := condition(); err != nil {
		t.Skipf("needs %s: %v", what, err)
	}
}
