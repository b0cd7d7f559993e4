// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package machine

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-81b0d42e/flatten/internal/regtest"
)

// patience is how long a test waits for what must come, and forever for what must
// not.
const patience = time.Minute

// interrupt sends a signal once ready says so and returns how the run ended, which
// it must do by itself.
func interrupt(t *testing.T, cmd *exec.Cmd, s syscall.Signal, ready <-chan struct{}) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &stdout
	}
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	<-ready
	if err := cmd.Process.Signal(s); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// soon is closed after a moment that a process takes to start and block.
func soon() <-chan struct{} {
	c := make(chan struct{})
	time.AfterFunc(500*time.Millisecond, func() { close(c) })
	return c
}

// Each of the three signals ends a run that waits for a registry, with one line, and
// nothing is left.
func TestSignals(t *testing.T) {
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGHUP) // so that a command is not started with it ignored, even if this test was
	defer signal.Stop(heard)
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(s.String(), func(t *testing.T) {
			asked := make(chan struct{}, 100)
			server := regtest.New(t, regtest.Config{Fault: func(r regtest.Request) regtest.Fault {
				if r.IsBlob && r.Host == "registry" && len(r.Header.Get("Accept")) == 0 {
					asked <- struct{}{}
				}
				if r.IsBlob {
					return regtest.Fault{Stall: true, After: 20_000}
				}
				return regtest.Fault{}
			}})
			ref := "docker://" + server.Push(t, "app:1", sample(t, 1, 2, 100_000))
			out, tmp, cache := t.TempDir(), t.TempDir(), t.TempDir()
			ready := make(chan struct{})
			go func() { // the configuration, which is whole, and a layer
				<-asked
				<-asked
				close(ready)
			}()
			interrupt(t, command(cache, "-q", "-o", out, "--tmpdir", tmp, ref), s, ready).demand(t, 130, "flatten: interrupted\n")
			for _, dir := range []string{out, tmp, cache} {
				checkOnly(t, "interrupted", dir)
			}
		})
	}
}

// So does it one that is blocked by a pipe.
func TestSignalBlocked(t *testing.T) {
	img := layoutOf(t, sample(t, 1, 2, 1_000_000))
	t.Run("input", func(t *testing.T) {
		out, tmp := t.TempDir(), t.TempDir()
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		cmd := command(t.TempDir(), "-q", "-o", out, "--tmpdir", tmp, "-")
		cmd.Stdin = r
		interrupt(t, cmd, syscall.SIGINT, soon()).demand(t, 130, "flatten: interrupted\n")
		checkOnly(t, "interrupted", out)
		checkOnly(t, "interrupted", tmp)
	})
	t.Run("output", func(t *testing.T) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		cmd := command(t.TempDir(), "-q", "-o", "-", "oci:"+img)
		cmd.Stdout = w
		ended := interrupt(t, cmd, syscall.SIGTERM, soon())
		ended.demand(t, 130, "flatten: interrupted\n")
		w.Close()
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Error(err)
		}
	})
}

// A signal that whoever started the run ignores is ignored, as with nohup.
func TestSignalIgnored(t *testing.T) {
	archive := archiveOf(t, layoutOf(t, sample(t, 1, 2, 300_000)))
	out := t.TempDir()
	run := command(t.TempDir(), "-q", "-o", out, "-")
	cmd := exec.Command("sh", append([]string{"-c", `trap "" HUP INT TERM; exec "$0" "$@"`}, run.Args...)...)
	cmd.Env = run.Env
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = r
	ready := soon()
	go func() {
		<-ready
		time.Sleep(200 * time.Millisecond)
		_, _ = w.Write(archive)
		w.Close()
	}()
	ended := interrupt(t, cmd, syscall.SIGHUP, ready)
	if ended.code != 0 || len(names(t, out)) != 1 {
		t.Errorf("%v", ended)
	}
	checkWhole(t, "ignored", out)
}

// What cannot be printed is a failure, what cannot be said is not.
func TestStreams(t *testing.T) {
	img := "oci:" + layoutOf(t, sample(t, 1, 2, 300_000))
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("needs /dev/full")
	}
	defer full.Close()
	for name, tt := range map[string]struct {
		stdout *os.File
		args   []string
		says   []string
	}{
		"path":           {full, []string{img}, []string{"standard output", "no space left on device"}},
		"JSON":           {full, []string{"--json", img}, []string{"standard output", "no space left on device"}},
		"stream":         {full, []string{"-o", "-", img}, []string{"standard output", "no space left on device"}},
		"pipe":           {brokenPipe(t), []string{"-o", "-", img}, []string{"standard output", "broken pipe"}},
		"path to a pipe": {brokenPipe(t), []string{img}, []string{"standard output", "broken pipe"}},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := command(t.TempDir(), append([]string{"-q"}, tt.args...)...)
			cmd.Dir, cmd.Stdout = t.TempDir(), tt.stdout
			finish(t, cmd).demand(t, 1, tt.says...)
			checkWhole(t, name, cmd.Dir)
		})
	}
	t.Run("nothing can be said", func(t *testing.T) {
		for _, stderr := range []*os.File{full, brokenPipe(t)} {
			for _, progress := range []string{"plain", "tty"} {
				cmd := command(t.TempDir(), "--progress", progress, img)
				cmd.Dir, cmd.Stderr = t.TempDir(), stderr
				path := must(t, cmd)
				checkOnly(t, "written", cmd.Dir, path)
			}
			cmd := command(t.TempDir(), "oci:missing")
			cmd.Stderr = stderr
			if o := finish(t, cmd); o.code != 4 && o.code != 1 {
				t.Error(o)
			}
		}
	})
	t.Run("closed", func(t *testing.T) { // what is opened later must not take their places
		run := command(t.TempDir(), img)
		cmd := exec.Command("sh", append([]string{"-c", `exec "$0" "$@" <&- >&- 2>&-`}, run.Args...)...)
		cmd.Dir, cmd.Env = t.TempDir(), run.Env
		must(t, cmd)
		checkWhole(t, "closed", cmd.Dir)
		if n := len(names(t, cmd.Dir)); n != 1 {
			t.Errorf("%d files", n)
		}
	})
}

// brokenPipe is the end of a pipe that nobody reads from.
func brokenPipe(tb testing.TB) *os.File {
	tb.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	r.Close()
	tb.Cleanup(func() { w.Close() })
	return w
}

// An output folder that vanishes during a run is an error that names it.
func TestVanish(t *testing.T) {
	img := "oci:" + layoutOf(t, sample(t, 1, 3, 1<<20))
	failed := 0
	for i := range 20 {
		out := filepath.Join(t.TempDir(), "out")
		if err := os.Mkdir(out, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := command(t.TempDir(), "-q", "-o", out, "--no-cache", img)
		gone := make(chan struct{})
		time.AfterFunc(time.Duration(i)*8*time.Millisecond, func() {
			os.RemoveAll(out)
			close(gone)
		})
		o := finish(t, cmd)
		<-gone
		if o.code != 0 {
			failed++
			o.demand(t, 1, out, "no such f")
		}
		if strings.Contains(o.stderr, "goroutine") {
			t.Error(o)
		}
	}
	if failed == 0 {
		t.Error("no run noticed: this tests nothing")
	}
}
