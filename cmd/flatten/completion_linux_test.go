// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-81b0d42e/flatten/internal/tartest"
)

// Keys.
const (
	tab  = "\t"
	left = "\x02" // Ctrl-B
	end  = "\x05" // Ctrl-E
)

// completionCases are command lines, and the arguments that they have become after the
// key was pressed.
var completionCases = []struct {
	keys string
	want []string
}{
	{"flatten insp" + tab, []string{"inspect"}},
	{"flatten --prog" + tab, []string{"--progress"}},
	{"flatten history --no-t" + tab, []string{"history", "--no-trunc"}},
	{"flatten --progress pl" + tab, []string{"--progress", "plain"}},
	{"flatten --progress=pl" + tab, []string{"--progress=plain"}},
	{"flatten --compression n" + tab, []string{"--compression", "none"}},
	{"flatten inspect --compr" + tab, []string{"inspect", "--compr"}},
	{"flatten completion f" + tab, []string{"completion", "fish"}},
	{"true && FOO=1 flatten --lower-symlinks f" + tab, []string{"--lower-symlinks", "follow"}},
	{"flatten docker-" + tab, []string{"docker-archive:"}},
	{"flatten oci:im" + tab, []string{"oci:images/"}},
	{"flatten oci:images/hel" + tab, []string{"oci:images/hello"}},
	{"flatten oci:images/hello:la" + tab, []string{"oci:images/hello:latest"}},
	{"flatten -o out oci:images/hello:la" + tab, []string{"-o", "out", "oci:images/hello:latest"}},
	{"flatten -- oci:images/hello:la" + tab, []string{"--", "oci:images/hello:latest"}},
	{"flatten oci:images/my" + tab, []string{"oci:images/my $image"}},
	{`flatten oci:images/my\ \$image:la` + tab, []string{"oci:images/my $image:latest"}},
	{`flatten 'oci:images/my $image:la` + tab, []string{"oci:images/my $image:latest"}},
	{`flatten "oci:images/my \$image:la` + tab, []string{"oci:images/my $image:latest"}},
	{"flatten docker-archive:sa" + tab, []string{"docker-archive:saved.tar"}},
	{"flatten docker-archive:saved.tar:ap" + tab, []string{"docker-archive:saved.tar:app:1"}},
	{"flatten docker-archive:saved.tar:app:" + tab, []string{"docker-archive:saved.tar:app:1"}},
	{"flatten oci:images/hello --platform linux/arm" + tab, []string{"oci:images/hello", "--platform", "linux/arm64"}},
	{"flatten --platform linux/arm oci:images/hello" + strings.Repeat(left, 17) + tab + end, []string{"--platform", "linux/arm64", "oci:images/hello"}},
	{"flatten -o ima" + tab + "x", []string{"-o", "images/x"}},
	{"flatten ./sav" + tab, []string{"./saved.tar"}},
	{"flatten oci:nowhere/x" + tab, []string{"oci:nowhere/x"}},
}

// Each shell completes lines that are typed into it, with the script that it gets
// from the command: read when the shell begins, or kept where the shell looks.
func TestCompletion(t *testing.T) {
	const zshrc = "setopt nobeep\nautoload -Uz compinit\ncompinit -u\nbindkey -e\n"
	here := completionFolder(t)
	for _, shell := range []struct{ name, script, args, rc, function string }{
		{"bash", "", "--rcfile RC -i", "bind 'set bell-style none'\nHISTFILE=\n", "flatten() { printf '<%s>\\n' \"$@\"; }"},
		{"zsh", "", "-i", zshrc, "flatten() { printf '<%s>\\n' \"$@\" }"},
		{"zsh", "functions/_flatten", "-i", "fpath=(~/functions $fpath)\n" + zshrc, "flatten() { printf '<%s>\\n' \"$@\" }"},
		{"fish", "", "-i -C 'source RC'", "function fish_greeting; end\n", "function flatten; printf '<%s>\\n' $argv; end"},
		{"fish", "fish/completions/flatten.fish", "-i -C 'source RC'", "function fish_greeting; end\n", "function flatten; printf '<%s>\\n' $argv; end"},
	} {
		t.Run(shell.name+" "+shell.script, func(t *testing.T) {
			if _, err := exec.LookPath(shell.name); err != nil {
				t.Skip(err)
			}
			home := t.TempDir()
			script := flattenCommand(t, "completion", shell.name)
			cases := completionCases
			if shell.script != "" {
				writeFile(t, filepath.Join(home, shell.script), script)
				script, cases = "", cases[:3] // it is the same script, found otherwise
			}
			// What is typed runs a function that shows its arguments.
			rc := filepath.Join(home, ".zshrc")
			writeFile(t, rc, shell.rc+script+"\n"+shell.function+"\n")
			terminal := newTerminal(t, here, home, "exec "+shell.name+" "+strings.ReplaceAll(shell.args, "RC", rc))
			for _, test := range cases {
				if shell.name == "fish" && strings.Contains(test.keys, left) {
					continue // it keeps what follows the cursor to itself
				}
				got := terminal.enter(t, test.keys)
				if strings.Join(got, "|") != strings.Join(test.want, "|") {
					t.Errorf("%q became %q, want %q", test.keys, got, test.want)
				}
			}
		})
	}
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// completionFolder is a folder with images.
func completionFolder(t *testing.T) string {
	dir := t.TempDir()
	for _, name := range []string{"hello", "my $image"} {
		if err := os.CopyFS(filepath.Join(dir, "images", name), os.DirFS("../../fixtures/hello")); err != nil {
			t.Fatal(err)
		}
	}
	saved := dockerArchive(t, "app:1", tartest.Image(tartest.Layer(tartest.File("a", "1"))), nil)
	if err := os.Rename(saved, filepath.Join(dir, "saved.tar")); err != nil {
		t.Fatal(err)
	}
	return dir
}
