// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package atomicfile writes files that appear under their name whole or not at
// all.
//
// A file is written beside its place under a temporary name, ".flatten-*.tmp",
// and renamed. Its writer holds a lock on it for as long as it lives; [Create]
// removes those of the same folder whose writer does not live any more, so that
// not even kill -9 leaves rubbish for longer than until the next run. On Windows
// an open file cannot be removed, which is as good.
//
// What takes long to write is begun with [Resume] instead: its temporary name,
// ".flatten-<key>.part", says what it will be, so that another run goes on where
// a killed one ended. Such files stay until [RemovePart].
package atomicfile

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/seed-81b0d42e/flatten/internal/filelock"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

const (
	prefix     = ".flatten-"
	suffix     = ".tmp"
	partSuffix = ".part"
)

// File is a file that has no name of its own yet.
type File struct {
	f    *os.File
	dir  string
	done bool

	size    int64 // bytes written
	started int64 // bytes that the system was told to write to disk
}

// writeback is after how many bytes the system is told to write them to disk.
const writeback = 16 << 20

// Create begins a file in dir, which must exist, and removes what writers that
// died left there.
func Create(dir string) (*File, error) {
	sweep(dir)
	for range 100 {
		f, err := os.OpenFile(filepath.Join(dir, tempName()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("creating a file in %s: %w", dir, reason(err))
		}
		if err := lock(f); err == nil && still(f) {
			return &File{f: f, dir: dir}, nil
		}
		// Another run swept it between its creation and its lock.
		f.Close()
		os.Remove(f.Name())
	}
	return nil, fmt.Errorf("creating a file in %s: it is removed again and again", dir)
}

func tempName() string {
	var b [12]byte
	rand.Read(b[:])
	return prefix + hex.EncodeToString(b[:]) + suffix
}

// lock marks f as being written, for as long as this process has it open. On a
// file system without locks nobody removes what another may be writing either.
func lock(f *os.File) error {
	err := filelock.Try(f, filelock.Exclusive)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// still reports whether f is still there under its name.
func still(f *os.File) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Lstat(f.Name())
	return err == nil && os.SameFile(a, b)
}

// reason strips the path from a path error: the caller's text names it.
func reason(err error) error {
	var pe *fs.PathError
	var le *os.LinkError
	switch {
	case errors.As(err, &pe):
		return pe.Err
	case errors.As(err, &le):
		return le.Err
	}
	return err
}

// Write appends to the file. Where there is no room the error is an
// *image.SpaceError.
func (f *File) Write(p []byte) (int, error) {
	n, err := f.f.Write(p)
	if err != nil {
		err = image.CheckSpace(fmt.Errorf("writing to %s: %w", f.dir, reason(err)), f.dir, f.size+int64(n), 0)
	}
	if f.size += int64(n); f.size-f.started >= writeback {
		startWriteback(f.f, f.started, f.size-f.started)
		f.started = f.size
	}
	return n, err
}

// Dir is the folder that the file is in.
func (f *File) Dir() string { return f.dir }

// Sync has the file's bytes on disk when it returns.
func (f *File) Sync() error {
	if err := f.f.Sync(); err != nil {
		return image.CheckSpace(fmt.Errorf("syncing a file in %s: %w", f.dir, reason(err)), f.dir, f.size, f.size)
	}
	return nil
}

// Commit makes the file appear under a name in its folder, in place of any that
// is there. The file is closed whatever happens; after an error nothing is left
// of it.
func (f *File) Commit(name string) error {
	defer f.Discard()
	path := filepath.Join(f.dir, name)
	if err := publish(f.f, path); err != nil {
		return fmt.Errorf("publishing %s: %w", path, reason(err))
	}
	f.done = true
	if err := f.f.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return fmt.Errorf("closing %s: %w", path, reason(err))
	}
	return nil
}

// SyncDir makes what was committed in a folder durable.
func SyncDir(dir string) error {
	if err := syncDir(dir); err != nil {
		return fmt.Errorf("syncing %s: %w", dir, reason(err))
	}
	return nil
}

// Discard closes and removes the file. It does nothing once Commit is through.
func (f *File) Discard() {
	if f.done {
		return
	}
	f.done = true
	os.Remove(f.f.Name())
	f.f.Close()
	os.Remove(f.f.Name()) // where an open file cannot be removed
}

// sweep removes the temporary files in dir whose writer is gone. It is a
// courtesy: what cannot be removed stays.
func sweep(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		name := e.Name()
		if e.Type().IsRegular() && strings.HasPrefix(name, prefix) && strings.HasSuffix(name, suffix) {
			removeAbandoned(filepath.Join(dir, name))
		}
	}
}
