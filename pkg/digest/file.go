// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package digest

import (
	"crypto/sha256"
	"hash"
	"path/filepath"

	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten/internal/atomicfile"
)

// File is a file on its way to a name that is its digest.
type File struct {
	f    *atomicfile.File
	hash hash.Hash
	size int64
}

// Create begins a file in dir, which must exist, and removes what writers that
// died left there.
func Create(dir string) (*File, error) {
	f, err := atomicfile.Create(dir)
	if err != nil {
		return nil, err
	}
	return &File{f: f, hash: sha256.New()}, nil
}

// Write appends to the file. Where there is no room the error is an
// *image.SpaceError.
func (f *File) Write(p []byte) (int, error) {
	hashed := hashBeside(f.hash, p)
	n, err := f.f.Write(p)
	<-hashed
	f.size += int64(n)
	return n, err
}

// beside is from how many bytes on hashing is worth a goroutine of its own.
const beside = 64 << 10

// hashBeside has h hash p, a large one while the caller goes on. The result is
// closed when it is through; until then p must not change. After a write that
// failed the hash is of no use, nor is it used.
func hashBeside(h hash.Hash, p []byte) <-chan struct{} {
	done := make(chan struct{})
	if len(p) < beside {
		h.Write(p)
		close(done)
		return done
	}
	go func() {
		h.Write(p)
		close(done)
	}()
	return done
}

// Size is the number of bytes written so far.
func (f *File) Size() int64 { return f.size }

// Publish makes the file appear as "<hex digest><suffix>" and returns its path
// and digest. The file is closed whatever happens; after an error nothing is
// left of it, but for one that only the folder's sync met.
func (f *File) Publish(suffix string) (string, digest.Digest, error) {
	defer f.f.Discard()
	d := digest.NewDigest(digest.SHA256, f.hash)
	name := d.Encoded() + suffix
	if err := f.f.Sync(); err != nil {
		return "", "", err
	}
	if err := f.f.Commit(name); err != nil {
		return "", "", err
	}
	if err := atomicfile.SyncDir(f.f.Dir()); err != nil {
		return "", "", err
	}
	return filepath.Join(f.f.Dir(), name), d, nil
}

// Discard closes and removes the file. It does nothing once Publish is through.
func (f *File) Discard() { f.f.Discard() }
