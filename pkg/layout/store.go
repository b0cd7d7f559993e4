// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/internal/atomicfile"
	"github.com/seed-81b0d42e/flatten/internal/filelock"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// Store is a layout directory that is written to. It must be closed.
type Store struct {
	layout
	dir     string
	root    *os.Root
	lock    *os.File // on oci-layout, for as long as the store is open
	waiting func(string)
}

// StoreOptions say what a store is called and who is told of waits.
type StoreOptions struct {
	// Source is the layout as its user names it. Empty: "oci:" and the directory.
	Source string

	// Waiting, when not nil, is told what another process is waited for. It may be
	// called by several goroutines at once.
	Waiting func(what string)
}

// headerBytes is what oci-layout has.
const headerBytes = `{"imageLayoutVersion":"` + v1.ImageLayoutVersion + `"}`

// emptyIndex is the index.json of a layout without images.
const emptyIndex = `{"schemaVersion":2,"mediaType":"` + v1.MediaTypeImageIndex + `","manifests":[]}`

// OpenStore opens a layout to write to it. It fails with image.ErrNotFound where
// there is no directory, and with image.ErrCorrupt where that is no layout. While
// garbage is being removed from it, it waits.
func OpenStore(ctx context.Context, dir string, o StoreOptions) (*Store, error) {
	return openStore(ctx, dir, o, filelock.Shared)
}

// CreateStore is OpenStore, but makes a layout of a directory that is empty or not
// there. What has other files in it is image.ErrCorrupt.
func CreateStore(ctx context.Context, dir string, o StoreOptions) (*Store, error) {
	if err := initialize(dir); err != nil {
		return nil, fmt.Errorf("%s: %w", o.source(dir), err)
	}
	return OpenStore(ctx, dir, o)
}

// CheckCreate fails where CreateStore would, for what is at the directory's place,
// but makes nothing.
func CheckCreate(dir string, o StoreOptions) error {
	_, err := os.Lstat(filepath.Join(dir, v1.ImageLayoutFile))
	if err == nil {
		return nil
	}
	if err = checkFresh(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", o.source(dir), err)
	}
	return nil
}

func (o StoreOptions) source(dir string) string {
	if o.Source == "" {
		return "oci:" + dir
	}
	return o.Source
}

// initialize makes a layout where there is none. The file that makes a directory a
// layout comes last, so that whoever sees it sees the rest; a run that was killed
// before is completed by the next one.
func initialize(dir string) error {
	if _, err := os.Lstat(filepath.Join(dir, v1.ImageLayoutFile)); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return pathError(err)
	}
	if err := checkFresh(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(blobDir(digest.SHA256))), 0o777); err != nil {
		return pathError(err)
	}
	for _, file := range []struct{ name, content string }{
		{v1.ImageIndexFile, emptyIndex},
		{v1.ImageLayoutFile, headerBytes},
	} {
		err := atomicfile.CreateNew(dir, file.name, []byte(file.content))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return atomicfile.SyncDir(dir)
}

// checkFresh fails for a directory that has something else than the begin of a
// layout.
func checkFresh(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return pathError(err)
	}
	for _, e := range entries {
		switch {
		case e.Name() == v1.ImageIndexFile, e.Name() == v1.ImageBlobsDir, atomicfile.IsTemp(e.Name()):
		case e.Name() == v1.ImageLayoutFile: // another process was faster
		default:
			err := image.Corruptf("the directory has %s in it but is no OCI image layout", image.Quote(e.Name()))
			return image.WithHint(err, "name a directory that is empty or does not exist yet")
		}
	}
	return nil
}

// pathError takes the name out of an error whose text has it already.
func pathError(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		if errors.Is(path.Err, syscall.ENOTDIR) || errors.Is(path.Err, fs.ErrExist) {
			return fmt.Errorf("%s is not a directory", path.Path)
		}
		return path.Err
	}
	return err
}

func openStore(ctx context.Context, dir string, o StoreOptions, mode filelock.Mode) (*Store, error) {
	l, root, err := openDir(dir, o.Source)
	if err != nil {
		return nil, err
	}
	s := &Store{layout: l, dir: dir, root: root, waiting: o.Waiting}
	if s.waiting == nil {
		s.waiting = func(string) {}
	}
	if _, _, err = s.readPatiently(ctx); err == nil {
		err = s.checkBlobDirs()
	}
	if err == nil {
		s.lock, err = s.lockFile(ctx, v1.ImageLayoutFile, mode, func() { s.waiting("another process that writes to " + s.source) })
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return s, nil
}

// Close ends the use of the store.
func (s *Store) Close() error {
	return errors.Join(s.lock.Close(), s.root.Close())
}

// checkBlobDirs fails for a layout whose blobs lie elsewhere: they would be out of
// reach for those who read it, and removing them a matter of more than this layout.
func (s *Store) checkBlobDirs() error {
	for _, name := range []string{v1.ImageBlobsDir, blobDir(digest.SHA256), blobDir(digest.SHA512)} {
		info, err := s.root.Lstat(filepath.FromSlash(name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return fmt.Errorf("%s: %w", s.source, err)
		case !info.IsDir():
			return image.Corruptf("%s: %s is not a directory of the layout itself", s.source, name)
		}
	}
	return nil
}

// lockFile opens a file of the layout and locks it. The lock lasts until the file
// is closed. On a file system without locks there is none. It calls waiting, if
// that is not nil, when it has to wait.
func (s *Store) lockFile(ctx context.Context, name string, mode filelock.Mode, waiting func()) (*os.File, error) {
	for {
		f, err := s.openToLock(name)
		if err != nil {
			return nil, fmt.Errorf("%s: locking: %w", s.source, err)
		}
		err = filelock.Wait(ctx, f, mode, waiting)
		if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return nil, errors.Join(err, f.Close())
		}
		if s.still(f, name) {
			return f, nil
		}
		f.Close() // it was replaced meanwhile: what counts is what has the name
	}
}

// openToLock opens a file for writing, which some file systems ask of who locks,
// or if that is not allowed for reading.
func (s *Store) openToLock(name string) (*os.File, error) {
	flags := os.O_RDWR | nonblock
	if name != v1.ImageLayoutFile && name != v1.ImageIndexFile {
		flags |= os.O_CREATE
	}
	f, err := s.root.OpenFile(name, flags, 0o666)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		f, err = s.root.OpenFile(name, os.O_RDONLY|nonblock, 0)
	}
	return f, err
}

// still reports whether an open file still has its name.
func (s *Store) still(f *os.File, name string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := s.root.Stat(name)
	return err == nil && os.SameFile(a, b)
}

func blobDir(a digest.Algorithm) string { return v1.ImageBlobsDir + "/" + a.String() }
