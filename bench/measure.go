// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"
)

// sample is what one run needed.
type sample struct {
	Wall float64 `json:"wall"` // seconds
	CPU  float64 `json:"cpu"`  // seconds, user and system, of all processes waited for
	RSS  int64   `json:"rss"`  // bytes, of the largest process at its peak; 0 if unknown
	Size int64   `json:"size"` // bytes of the output
}

// measureCommand is "bench measure FILE PROGRAM ARG…": it runs a program and
// writes a sample to the file.
//
// It is a process of its own because the kernel counts the memory of the one
// that starts a program to the program's peak. This one is small.
func measureCommand(args []string) error {
	if len(args) < 2 {
		return errors.New("measure: it takes a file and a program")
	}
	cmd := exec.Command(args[1], args[2:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, os.Stdout, os.Stderr
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		for s := range interrupts {
			_ = cmd.Process.Signal(s)
		}
	}()
	err := cmd.Wait()
	wall := time.Since(began)
	if err != nil {
		return err
	}
	state := cmd.ProcessState
	data, err := json.Marshal(sample{
		Wall: wall.Seconds(),
		CPU:  (state.UserTime() + state.SystemTime()).Seconds(),
		RSS:  peak(state),
	})
	if err != nil {
		return err
	}
	return os.WriteFile(args[0], data, 0o644)
}

// shell runs lines of shell with some variables set.
type shell struct {
	self string   // this program
	args []string // the shell and its options, up to the line
	env  []string
	tmp  string
}

// newShell prefers bash, which can tell when the first program of a pipeline
// fails.
func newShell(tmp string, env []string) (*shell, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &shell{self: self, tmp: tmp, env: env, args: []string{"sh", "-euc"}}
	if bash, err := exec.LookPath("bash"); err == nil {
		s.args = []string{bash, "--norc", "-euo", "pipefail", "-c"}
	}
	return s, nil
}

// measure runs a line and returns what it needed, without the output's size.
func (s *shell) measure(ctx context.Context, line string) (sample, error) {
	var got sample
	file := filepath.Join(s.tmp, "sample.json")
	cmd := exec.CommandContext(ctx, s.self, append(append([]string{"measure", file}, s.args...), line)...)
	var said bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = s.env, &said, &said
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	if err := cmd.Run(); err != nil {
		return got, fmt.Errorf("%s: %w\n%s", line, err, bytes.TrimSpace(said.Bytes()))
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return got, err
	}
	return got, errors.Join(json.Unmarshal(data, &got), os.Remove(file))
}

// do runs a line that nobody measures and returns what it prints.
func (s *shell) do(ctx context.Context, line string) (string, error) {
	cmd := exec.CommandContext(ctx, s.args[0], append(s.args[1:], line)...)
	cmd.Env = s.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", line, err, bytes.TrimSpace(out))
	}
	return string(out), nil
}
