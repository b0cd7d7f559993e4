// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package filelock_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/seed-81b0d42e/flatten/internal/filelock"
)

func open(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func lock(t *testing.T, f *os.File, m filelock.Mode) {
	t.Helper()
	if err := filelock.Try(f, m); errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
}

// Which two locks go together.
func TestModes(t *testing.T) {
	for _, tc := range []struct {
		first, second filelock.Mode
		want          error
	}{
		{filelock.Shared, filelock.Shared, nil},
		{filelock.Shared, filelock.Exclusive, filelock.ErrLocked},
		{filelock.Exclusive, filelock.Shared, filelock.ErrLocked},
		{filelock.Exclusive, filelock.Exclusive, filelock.ErrLocked},
	} {
		name := filepath.Join(t.TempDir(), "f")
		first, second := open(t, name), open(t, name)
		lock(t, first, tc.first)
		if err := filelock.Try(second, tc.second); err != tc.want {
			t.Errorf("%v then %v: %v, want %v", tc.first, tc.second, err, tc.want)
		}
		first.Close()
		if err := filelock.Try(second, tc.second); err != nil {
			t.Errorf("%v after %v was closed: %v", tc.second, tc.first, err)
		}
	}
}

// The locks are flock's: the program of that name sees them.
func TestProgram(t *testing.T) {
	program, err := exec.LookPath("flock")
	if err != nil {
		t.Skip("no flock program")
	}
	name := filepath.Join(t.TempDir(), "f")
	f := open(t, name)
	lock(t, f, filelock.Exclusive)
	if err := exec.Command(program, "--nonblock", name, "true").Run(); err == nil {
		t.Error("flock gets a lock that is taken")
	}
	f.Close()
	if err := exec.Command(program, "--nonblock", name, "true").Run(); err != nil {
		t.Errorf("flock gets no lock that is free: %v", err)
	}
}

func TestWait(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	first, second := open(t, name), open(t, name)
	lock(t, first, filelock.Exclusive)
	waited := 0
	err := filelock.Wait(t.Context(), second, filelock.Exclusive, func() {
		waited++
		first.Close()
	})
	if err != nil || waited != 1 {
		t.Errorf("%v after %d waits", err, waited)
	}

	ctx, cancel := context.WithCancel(t.Context())
	third := open(t, name)
	if err := filelock.Wait(ctx, third, filelock.Shared, cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("%v after the end of the context", err)
	}
}
