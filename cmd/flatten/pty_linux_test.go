// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-81b0d42e/flatten/internal/tartest"
)

// terminal is a program in a pseudo terminal.
type terminal struct {
	*os.File
	seen bytes.Buffer
}

func newTerminal(t *testing.T, dir, home, command string) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("needs a pseudo terminal: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Skipf("needs a pseudo terminal: %v", err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Skipf("needs a pseudo terminal: %v", err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: 500}); err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("needs a pseudo terminal: %v", err)
	}
	defer slave.Close()
	// Where this is missing fish reads all manual pages of the machine first, in
	// the background.
	if err := os.MkdirAll(filepath.Join(home, "fish", "generated_completions"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "ZDOTDIR=" + home, "XDG_CONFIG_HOME=" + home, "XDG_DATA_HOME=" + home,
		"TERM=xterm", "INPUTRC=/dev/null", "LC_ALL=C.UTF-8",
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	// Nothing here is timed; this ends what hangs.
	timer := time.AfterFunc(5*time.Minute, func() { cmd.Process.Kill() })
	t.Cleanup(func() { timer.Stop() })
	return &terminal{File: master}
}

var shown = regexp.MustCompile(`<([^<>\r\n]*)>\r?\n`)

// enter types keys and " END", and returns the arguments that the command then
// shows.
func (term *terminal) enter(t *testing.T, keys string) []string {
	t.Helper()
	term.seen.Reset()
	if _, err := term.WriteString(keys + " END\r"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	for {
		n, err := term.Read(buf)
		term.seen.Write(buf[:n])
		var args []string
		for _, m := range shown.FindAllStringSubmatch(term.seen.String(), -1) {
			if m[1] == "END" {
				return args
			}
			args = append(args, m[1])
		}
		if err != nil {
			t.Fatalf("%q: %v after\n%s", keys, err, &term.seen)
		}
	}
}

// What an image brought reaches a terminal escaped, and a pipe as it is.
func TestResultOnTerminal(t *testing.T) {
	img := tartest.Image()
	img.Config.Author = "<\x1b]0;title\a>"
	archive := "docker-archive:" + dockerArchive(t, "app:1", img, nil)
	term := newTerminal(t, t.TempDir(), t.TempDir(), "read line; flatten inspect -q -f '{{.Author}}' "+archive+"; echo '<END>'")
	if got := term.enter(t, ""); len(got) != 1 || got[0] != `\u001b]0;title\u0007` {
		t.Errorf("on the terminal: %q", got)
	}
	if got := flattenCommand(t, "inspect", "-f", "{{.Author}}", archive); got != img.Config.Author+"\n" {
		t.Errorf("in a pipe: %q", got)
	}
}
