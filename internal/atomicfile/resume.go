// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/seed-81b0d42e/flatten/internal/filelock"
)

// ErrBusy: another writer has the file.
var ErrBusy = errors.New("being written by another process")

// Resume begins a file in dir whose temporary name is made of a key, or goes on
// with what a writer of the same key left when it was killed or called Leave: see
// Size and Read. The key must be fit for a file name. While another writer has
// the file the error is ErrBusy.
func Resume(dir, key string) (*File, error) {
	path := filepath.Join(dir, prefix+key+partSuffix)
	for range 100 {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|nofollow, 0o666)
		if err != nil {
			return nil, fmt.Errorf("creating a file in %s: %w", dir, reason(err))
		}
		err = lock(f)
		if errors.Is(err, filelock.ErrLocked) {
			f.Close()
			return nil, ErrBusy
		}
		if err == nil && still(f) {
			size, err := f.Seek(0, io.SeekEnd)
			if err != nil {
				f.Close()
				return nil, fmt.Errorf("resuming a file in %s: %w", dir, reason(err))
			}
			return &File{f: f, dir: dir, size: size, started: size}, nil
		}
		// Its writer has published or removed it since it was opened.
		f.Close()
	}
	return nil, fmt.Errorf("creating a file in %s: it is removed again and again", dir)
}

// Size is the number of bytes in the file, including those that it had when it was
// resumed.
func (f *File) Size() int64 { return f.size }

// Content reads the file from its beginning; writing is not disturbed.
func (f *File) Content() io.Reader { return io.NewSectionReader(f.f, 0, f.size) }

// Restart drops what the file has.
func (f *File) Restart() error {
	err := f.f.Truncate(0)
	if err == nil {
		_, err = f.f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("writing to %s: %w", f.dir, reason(err))
	}
	f.size, f.started = 0, 0
	return nil
}

// Leave closes the file and lets it be, for the next Resume. It does nothing once
// Commit or Discard is through.
func (f *File) Leave() {
	if !f.done {
		f.done = true
		f.f.Close()
	}
}

// Part is a file of Resume that is there.
type Part struct {
	Key  string
	Size int64
}

// Parts lists the files of Resume in dir, those that are being written too.
func Parts(dir string) []Part {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var all []Part
	for _, e := range entries {
		key, isTemp := strings.CutPrefix(e.Name(), prefix)
		key, isPart := strings.CutSuffix(key, partSuffix)
		if !isTemp || !isPart || !e.Type().IsRegular() {
			continue
		}
		if info, err := e.Info(); err == nil {
			all = append(all, Part{key, info.Size()})
		}
	}
	return all
}

// RemovePart removes a file of Resume unless somebody is writing it, and reports
// whether it did.
func RemovePart(dir, key string) bool {
	return removeAbandoned(filepath.Join(dir, prefix+key+partSuffix))
}

// IsTemp reports whether a file of this name is one of this package's on its way.
func IsTemp(name string) bool {
	return strings.HasPrefix(name, prefix) && (strings.HasSuffix(name, suffix) || strings.HasSuffix(name, partSuffix))
}

// Sweep removes what writers of Create that died left in dir.
func Sweep(dir string) { sweep(dir) }

// CreateNew makes a file of these bytes appear whole under a name in dir, unless
// there is one of that name already: then the error is fs.ErrExist.
func CreateNew(dir, name string, content []byte) error {
	f, err := Create(dir)
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := f.Write(content); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	path := filepath.Join(dir, name)
	err = os.Link(f.f.Name(), path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	// A file system without hard links: the check comes first.
	if _, err := os.Lstat(path); err == nil {
		return fs.ErrExist
	}
	return f.Commit(name)
}
