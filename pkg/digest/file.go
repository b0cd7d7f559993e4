// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package digest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
)

const (
	tempPrefix = ".flatten-"
	tempSuffix = ".tmp"
)

// File is a file on its way to a name that is its digest.
type File struct {
	f    *os.File
	dir  string
	hash hash.Hash
	size int64
	done bool
}

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
			return &File{f: f, dir: dir, hash: sha256.New()}, nil
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
	return tempPrefix + hex.EncodeToString(b[:]) + tempSuffix
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
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// Write appends to the file.
func (f *File) Write(p []byte) (int, error) {
	hashed := f.hashBeside(p)
	n, err := f.f.Write(p)
	<-hashed
	f.size += int64(n)
	if err != nil {
		err = fmt.Errorf("writing to %s: %w", f.dir, reason(err))
	}
	return n, err
}

// beside is from how many bytes on hashing and writing are worth doing at once.
const beside = 64 << 10

// hashBeside hashes p, a large one while the caller goes on. The result is
// closed when it is through. After a write that failed the hash is of no use,
// nor is it used.
func (f *File) hashBeside(p []byte) <-chan struct{} {
	done := make(chan struct{})
	if len(p) < beside {
		f.hash.Write(p)
		close(done)
		return done
	}
	go func() {
		f.hash.Write(p)
		close(done)
	}()
	return done
}

// Size is the number of bytes written so far.
func (f *File) Size() int64 { return f.size }

// Publish makes the file appear as "<hex digest><suffix>" and returns its path
// and digest. The file is closed whatever happens; after an error nothing is
// left of it.
func (f *File) Publish(suffix string) (string, digest.Digest, error) {
	defer f.Discard()
	d := digest.NewDigest(digest.SHA256, f.hash)
	path := filepath.Join(f.dir, d.Encoded()+suffix)
	if err := f.f.Sync(); err != nil {
		return "", "", fmt.Errorf("syncing %s: %w", path, reason(err))
	}
	if err := publish(f.f, path); err != nil {
		return "", "", fmt.Errorf("publishing %s: %w", path, err)
	}
	f.done = true
	if err := f.f.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return "", "", fmt.Errorf("closing %s: %w", path, reason(err))
	}
	if err := syncDir(f.dir); err != nil {
		return "", "", fmt.Errorf("syncing %s: %w", f.dir, reason(err))
	}
	return path, d, nil
}

// Discard closes and removes the file. It does nothing once Publish is through.
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
		if e.Type().IsRegular() && strings.HasPrefix(name, tempPrefix) && strings.HasSuffix(name, tempSuffix) {
			removeAbandoned(filepath.Join(dir, name))
		}
	}
}
