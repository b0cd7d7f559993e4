// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// GNU ls quotes names the same way, and a shell that reads what is printed gets
// the name.
func TestQuote(t *testing.T) {
	names := []string{
		"plain", "with space", "it's", "it's {a}", `"double"`, `both ' and "`, "a\nb", "\n", "a\n", "\na", "a\n\tb\x01",
		"\x1b[31mred", "ünïcode", "\xff\xfe", "a\xffb", "#hash", "a#", "~", "a~", "{", "}", "{}", "a{b", "a=b", "a:b", "-dash",
		"a?b", "[", "a]b", `back\slash`, "!", "^", "a'\nb", "'\n'", "a,b;c", "%+@", "\u0085", "日本 語", "'", "''", "'a", "#it's", "~'",
	}
	alphabet := "ab' \n\x01\xff{}#~=\"$\\?:ü"
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		b := make([]byte, 1+r.IntN(5))
		for i := range b {
			b[i] = alphabet[r.IntN(len(alphabet))]
		}
		names = append(names, string(b))
	}
	for _, name := range names {
		for _, r := range quoteTTY(name, "") + quotePipe(name, "") {
			if r < ' ' || r == 0x7f {
				t.Errorf("%q: quoted as %q and %q", name, quoteTTY(name, ""), quotePipe(name, ""))
			}
		}
	}
	t.Run("bash", func(t *testing.T) { readBack(t, names) })
	t.Run("ls", func(t *testing.T) { compareGNU(t, names) })
}

// readBack has a shell read what was quoted.
func readBack(t *testing.T, names []string) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("needs bash")
	}
	script, want := "printf '%s\\0'", ""
	for _, name := range names {
		script += " " + quoteTTY(name, "")
		want += name + "\x00"
		if q := quotePipe(name, ""); q != name {
			script += " " + q
			want += name + "\x00"
		}
	}
	out, err := exec.Command(bash, "-c", script).Output()
	if err != nil || string(out) != want {
		t.Errorf("%v: %q, want %q", err, out, want)
	}
}

// compareGNU compares with what GNU ls prints of files with these names.
func compareGNU(t *testing.T, names []string) {
	dir := t.TempDir()
	printed := func(name string) (string, error) {
		cmd := exec.Command("ls", "-d", "--quoting-style=shell-escape", "--", name)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
		out, err := cmd.Output()
		return strings.TrimSuffix(string(out), "\n"), err
	}
	if got, err := printed("."); err != nil || got != "." {
		t.Skipf("needs GNU ls: %q, %v", got, err)
	}
	for _, name := range names {
		if strings.Trim(name, ".") == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Skipf("%q: %v", name, err)
		}
		want, err := printed(name)
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		got := quoteTTY(name, "")
		if strings.HasPrefix(want, "'''") && got == want[2:] {
			continue // when a name that holds ' ends with an escape, it begins with '' for no reason
		}
		if got != want {
			t.Errorf("%q: %s, GNU ls has %s", name, got, want)
		}
	}
}
