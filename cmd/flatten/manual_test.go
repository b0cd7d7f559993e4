// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/seed-81b0d42e/flatten/internal/tartest"
)

const manualFile = "../../docs/flatten.1"

// The manual page says what --help does. "go generate ./cmd/flatten" writes it,
// with a new date if it says something else than before.
func TestManual(t *testing.T) {
	stored, err := os.ReadFile(manualFile)
	if err != nil && !*update {
		t.Fatal(err)
	}
	page := manual(string(dateOfPage.Find(stored)))
	if *update && string(stored) != page {
		stored = []byte(manual(time.Now().UTC().Format(time.DateOnly)))
		if err := os.WriteFile(manualFile, stored, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(stored) != page {
		t.Fatal("docs/flatten.1 is not what the help says now; run: go generate ./cmd/flatten")
	}
	for _, text := range []string{
		".SH EXIT STATUS", ".SH ENVIRONMENT", "SOURCE_DATE_EPOCH", "REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "TMPDIR",
		"XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", `\-\-delay\-directory\-restore`,
	} {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not mention %s", text)
		}
	}
	for _, cmd := range allCommands(newTestApp()) {
		if !strings.Contains(page, ".SS "+roff(cmd.HelpName)+"\n") {
			t.Errorf("the page does not mention %s", cmd.HelpName)
		}
	}
}

var dateOfPage = regexp.MustCompile(`\d{4}-\d\d-\d\d`)

// The programs that render manual pages find nothing wrong with this one.
func TestManualRenders(t *testing.T) {
	for _, line := range []string{
		"man --warnings -E UTF-8 -l -Tutf8 -Z " + manualFile,
		"groff -man -Tutf8 -ww -z " + manualFile,
		"mandoc -Tlint -Wwarning " + manualFile,
	} {
		args := strings.Fields(line)
		t.Run(args[0], func(t *testing.T) {
			if _, err := exec.LookPath(args[0]); err != nil {
				t.Skip(err)
			}
			var said bytes.Buffer
			cmd := exec.Command(args[0], args[1:]...)
			cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MANROFFSEQ=")
			cmd.Stdout, cmd.Stderr = io.Discard, &said
			if args[0] == "mandoc" {
				cmd.Stdout = &said
			}
			if err := cmd.Run(); err != nil || said.Len() > 0 {
				t.Errorf("%s: %v\n%s", line, err, &said)
			}
		})
	}
}

// What the notes say of GNU tar is so: a folder that is met again keeps its time
// with the flag or in canonical order only.
func TestNotes(t *testing.T) {
	if out, _ := exec.Command("tar", "--version").Output(); !strings.Contains(string(out), "GNU tar") {
		t.Skip("needs GNU tar")
	}
	const then = 1e9
	img := tartest.Image(
		tartest.Layer(tartest.Dir("d").At(then), tartest.File("d/a", ""), tartest.Dir("e")),
		tartest.Layer(tartest.File("d/b", "")),
	)
	archive := "docker-archive:" + dockerArchive(t, "app:1", img, nil)
	for _, test := range []struct {
		flatten, tar string
		kept         bool
	}{
		{"", "-xz", false},
		{"", "-xz --delay-directory-restore", true},
		{"--canonical", "-xz", true},
	} {
		dir := t.TempDir()
		tar := exec.Command("tar", append(strings.Fields(test.tar), "-C", dir)...)
		tar.Stdin = strings.NewReader(flattenCommand(t, append(strings.Fields(test.flatten), "--no-cache", "-o", "-", archive)...))
		if out, err := tar.CombinedOutput(); err != nil {
			t.Fatalf("tar: %v: %s", err, out)
		}
		info, err := os.Stat(dir + "/d")
		if err != nil {
			t.Fatal(err)
		}
		if kept := info.ModTime().Unix() == then; kept != test.kept {
			t.Errorf("flatten %s | tar %s: the folder's time is %v", test.flatten, test.tar, info.ModTime())
		}
	}
}

// manual is the manual page.
func manual(date string) string {
	app := newTestApp()
	var b strings.Builder
	section := func(name string) { fmt.Fprintf(&b, ".SH %s\n", name) }
	b.WriteString(`.\" Made from the help of the command: go generate ./cmd/flatten` + "\n")
	fmt.Fprintf(&b, ".TH FLATTEN 1 %q \"flatten\" \"User Commands\"\n.nh\n.ad l\n", date)
	section("NAME")
	fmt.Fprintf(&b, "%s \\- %s\n", roff(app.Name), roff(app.Usage))
	section("SYNOPSIS")
	b.WriteString(synopsis(app.Name, app.ArgsUsage))
	for _, cmd := range allCommands(app) {
		if len(cmd.Subcommands) == 0 {
			b.WriteString(".br\n" + synopsis(cmd.HelpName, cmd.ArgsUsage))
		}
	}
	section("DESCRIPTION")
	b.WriteString(text(app.Description))
	section("IMAGES")
	b.WriteString(terms(imageForms))
	section("OPTIONS")
	common := map[string]bool{}
	for _, category := range app.VisibleFlagCategories() {
		if category.Name() != "" {
			fmt.Fprintf(&b, ".SS %s\n", roff(category.Name()))
		}
		for _, f := range category.Flags() {
			common[f.String()] = true
			b.WriteString(flagText(f))
		}
	}
	section("COMMANDS")
	for _, cmd := range allCommands(app) {
		b.WriteString(commandText(cmd, common))
	}
	section("EXIT STATUS")
	b.WriteString(terms(exitCodes))
	section("ENVIRONMENT")
	b.WriteString(terms(environment))
	section("NOTES")
	b.WriteString(text(notes))
	section("SEE ALSO")
	b.WriteString(".BR tar (1),\n.BR docker (1),\n.BR skopeo (1)\n")
	return b.String()
}

func synopsis(name, args string) string {
	return fmt.Sprintf("\\fB%s\\fR [\\fIflags\\fR] %s\n", roff(name), roff(args))
}

// commandText is the section of a command. Flags that are common are named only.
func commandText(cmd *cli.Command, common map[string]bool) string {
	var b, flags strings.Builder
	var also []string
	for _, f := range cmd.VisibleFlags() {
		switch {
		case f == cli.HelpFlag:
		case common[f.String()]:
			also = append(also, "\\fB"+roff(dashed(f.Names()[0]))+"\\fR")
		default:
			flags.WriteString(flagText(f))
		}
	}
	fmt.Fprintf(&b, ".SS %s\n", roff(cmd.HelpName))
	b.WriteString(text(strings.ToUpper(cmd.Usage[:1]) + cmd.Usage[1:] + ".\n\n" + cmd.Description))
	b.WriteString(flags.String())
	if len(also) > 0 {
		slices.Sort(also)
		fmt.Fprintf(&b, ".PP\nOf the OPTIONS above it takes\n%s.\n", strings.Join(also, ",\n"))
	}
	return b.String()
}

// flagText is a flag as --help has it: its names with their value, then its usage.
func flagText(f cli.Flag) string {
	names, usage, _ := strings.Cut(f.String(), "\t")
	var all []string
	for _, name := range strings.Split(names, ", ") {
		name, value, _ := strings.Cut(name, " ")
		if value != "" {
			value = " \\fI" + roff(value) + "\\fR"
		}
		all = append(all, "\\fB"+roff(name)+"\\fR"+value)
	}
	return ".TP\n" + strings.Join(all, ", ") + "\n" + text(strings.TrimSpace(usage))
}

// terms is a list of terms.
func terms(entries []entry) string {
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, ".TP\n\\fB%s\\fR\n%s", roff(e.word), text(e.meaning))
	}
	return b.String()
}

// text is paragraphs, in which indented lines are kept as they are.
func text(s string) string {
	var b strings.Builder
	for i, paragraph := range strings.Split(strings.Trim(s, "\n"), "\n\n") {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		verbatim := false
		for _, line := range strings.Split(paragraph, "\n") {
			if indented := strings.HasPrefix(line, "  "); indented != verbatim {
				verbatim = indented
				b.WriteString(map[bool]string{true: ".RS 4\n.nf\n", false: ".fi\n.RE\n"}[verbatim])
			}
			b.WriteString(roff(strings.TrimPrefix(line, "  ")) + "\n")
		}
		if verbatim {
			b.WriteString(".fi\n.RE\n")
		}
	}
	return b.String()
}

var roffEscapes = strings.NewReplacer(
	`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", `\(ga`, `^`, `\(ha`, `~`, `\(ti`,
)

var notASCII = regexp.MustCompile(`[^\x00-\x7f]`)

// roff is text in which roff sees nothing but text.
func roff(s string) string {
	s = roffEscapes.Replace(s)
	s = notASCII.ReplaceAllStringFunc(s, func(c string) string { return fmt.Sprintf(`\[u%04X]`, []rune(c)[0]) })
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}
