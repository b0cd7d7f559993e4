// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// rootFS is a directory whose symbolic links do not lead out of it, and whose
// files are opened without waiting for anybody.
type rootFS struct{ root *os.Root }

var _ fs.StatFS = rootFS{}

// Open opens a file. A FIFO without a writer does not block it.
func (r rootFS) Open(name string) (fs.File, error) {
	local, err := filepath.Localize(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	return r.root.OpenFile(local, os.O_RDONLY|nonblock, 0)
}

// Stat describes the file that a link leads to.
func (r rootFS) Stat(name string) (fs.FileInfo, error) {
	local, err := filepath.Localize(name)
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrInvalid}
	}
	return r.root.Stat(local)
}

// errIrregular is a file that is not opened, for what it is.
type errIrregular struct{ mode fs.FileMode }

func (e errIrregular) Error() string {
	kind := "not a regular file"
	switch {
	case e.mode.IsDir():
		kind = "a directory"
	case e.mode&fs.ModeNamedPipe != 0:
		kind = "a FIFO"
	case e.mode&fs.ModeSocket != 0:
		kind = "a socket"
	case e.mode&fs.ModeDevice != 0:
		kind = "a device"
	}
	return "is " + kind + " where a file belongs"
}

// regular describes a file, or fails if it is none. Nothing is opened: that of a
// device alone can have an effect.
func (l layout) regular(name string) (fs.FileInfo, error) {
	info, err := fs.Stat(l.fsys, name)
	if err == nil && !info.Mode().IsRegular() {
		return nil, errIrregular{info.Mode()}
	}
	return info, err
}

// openFile opens a regular file for reading at any offset.
func (l layout) openFile(name string) (*blob, error) {
	if _, err := l.regular(name); err != nil {
		return nil, err
	}
	f, err := l.fsys.Open(name)
	if err != nil {
		return nil, err
	}
	// It may have been replaced in between.
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errIrregular{info.Mode()}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	r, ok := f.(io.ReaderAt)
	if !ok {
		return nil, errors.Join(fmt.Errorf("file system %T cannot be read at an offset", l.fsys), f.Close())
	}
	return &blob{r, f, info.Size()}, nil
}

// readDocument reads a file that is an index.
func (l layout) readDocument(name string) ([]byte, error) {
	most := l.limits.WithDefaults().ManifestBytes
	info, err := l.regular(name)
	if err == nil && info.Size() > most {
		return nil, image.Corruptf("%d bytes: %w", info.Size(), image.Over("ManifestBytes", most))
	}
	return l.readFile(name, most)
}

// readFile reads a whole file of at most limit bytes.
func (l layout) readFile(name string, limit int64) ([]byte, error) {
	b, err := l.openFile(name)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	if b.size > limit {
		return nil, image.Corruptf("%d bytes, over the limit of %d", b.size, limit)
	}
	return image.ReadBlob(io.NewSectionReader(b, 0, b.size), limit)
}

// blob is a file as an image.Blob.
type blob struct {
	io.ReaderAt
	io.Closer
	size int64
}

var _ image.Blob = (*blob)(nil)

// Size is the file's size when it was opened.
func (b *blob) Size() int64 { return b.size }

func (l layout) fileError(what string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return image.Corruptf("%s is not an OCI image layout: it has no %s", l.source, what)
	}
	return fmt.Errorf("%s: %w", l.source, fileError(what, err))
}

// fileError tells a layout that is wrong from a file that cannot be read. What
// the system refuses is the latter, but for the errors of links that go round in
// circles or through files; a link that leads outside is refused by package os.
func fileError(what string, err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) && errno != syscall.ELOOP && errno != syscall.ENOTDIR && errno != syscall.ENAMETOOLONG ||
		errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrClosed) {
		return fmt.Errorf("reading %s: %w", what, err)
	}
	return image.Corruptf("%s: %w", what, err)
}
