// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

const (
	maxMembers   = 1 << 17
	maxNameBytes = 64 << 20
	maxHops      = 40

	// maxName is the longest name that a member can be found by, and maxSteps the
	// most parts of names and links that are followed to it: real ones are far
	// shorter, and many long ones would take long.
	maxName  = 1024
	maxSteps = 128
)

// member is a regular file or a symbolic link in a tar file.
type member struct {
	offset, size int64
	link         string // target of a symbolic link, else empty
}

// tarFS is a tar file as a file system, without directories.
//
// Invariant: a name in members is clean, relative and has no "..".
type tarFS struct {
	r       io.ReaderAt
	members map[string]member
	limits  image.Limits
}

var _ fs.StatFS = (*tarFS)(nil)

// index reads the headers of a tar file.
func index(ctx context.Context, r io.ReaderAt, size int64, limits image.Limits) (*tarFS, error) {
	t := &tarFS{r: r, members: map[string]member{}, limits: limits.WithDefaults()}
	section := io.NewSectionReader(r, 0, size)
	err := scan(section, func(h *tar.Header, name string) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch h.Typeflag {
		case tar.TypeReg, tar.TypeCont:
			// The reader takes whole blocks: after a header comes the body.
			offset, err := section.Seek(0, io.SeekCurrent)
			if err != nil {
				return err
			}
			if h.Size > size-offset {
				return image.Corruptf("member %s of %d bytes at offset %d: the archive ends at %d", image.Quote(h.Name), h.Size, offset, size)
			}
			t.members[name] = member{offset: offset, size: h.Size}
		case tar.TypeSymlink:
			if len(h.Linkname) <= maxName {
				t.members[name] = member{link: h.Linkname}
			}
			if h.Linkname == "" {
				return image.Corruptf("member %s: symbolic link without a target", image.Quote(h.Name))
			}
		case tar.TypeLink:
			target, ok := t.members[clean(h.Linkname)]
			if !ok {
				return image.Corruptf("member %s: hard link to %s, which is not before it in the archive", image.Quote(h.Name), image.Quote(h.Linkname))
			}
			t.members[name] = target
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// clean makes a member's name relative; it is empty for one that climbs or is too
// long.
func clean(name string) string {
	if len(name) > maxName {
		return ""
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return ""
		}
	}
	return path.Clean("/" + name)[1:]
}

// scan calls visit for each member whose name can be used, with that name.
func scan(r io.Reader, visit func(h *tar.Header, name string) error) error {
	tr := tar.NewReader(r)
	last, members, nameBytes := "", 0, 0
	for {
		h, err := tr.Next()
		switch {
		case err == io.EOF && members == 0:
			return image.Corruptf("a tar file without members")
		case err == io.EOF:
			return nil
		case err != nil && !errors.Is(err, tar.ErrInsecurePath):
			return asCorrupt("tar header after member "+image.Quote(last), err)
		}
		last = h.Name
		members++
		nameBytes += len(h.Name) + len(h.Linkname)
		switch {
		case members > maxMembers:
			return image.Corruptf("more than %d members, the limit", maxMembers)
		case nameBytes > maxNameBytes:
			return image.Corruptf("more than %d bytes of member names, the limit", maxNameBytes)
		case isSparse(h):
			return image.Corruptf("member %s is sparse, which is not supported in an archive", image.Quote(h.Name))
		}
		if name := clean(h.Name); name != "" {
			if err := visit(h, name); err != nil {
				return err
			}
		}
	}
}

func isSparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// asCorrupt tells a file that is wrong from one that cannot be read, which the
// system says.
func asCorrupt(what string, err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) || errors.Is(err, fs.ErrClosed) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, image.ErrCorrupt) {
		return fmt.Errorf("%s: %w", what, err)
	}
	return image.Corruptf("%s: %w", what, err)
}

// has reports whether there is a member of this name.
func (t *tarFS) has(name string) bool {
	_, ok := t.members[name]
	return ok
}

var (
	errOutside = errors.New("leads outside the archive")
	errCircle  = fmt.Errorf("more than %d symbolic links to follow", maxHops)
	errLong    = fmt.Errorf("more than %d bytes or %d parts to follow", maxName, maxSteps)
)

// find returns the regular file that a name leads to.
func (t *tarFS) find(name string) (member, error) {
	if strings.HasPrefix(name, "/") {
		return member{}, errOutside
	}
	if len(name) > maxName {
		return member{}, errLong
	}
	todo, at, hops := strings.Split(name, "/"), "", 0
	for steps := 0; len(todo) > 0; steps++ {
		if steps == maxSteps {
			return member{}, errLong
		}
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if at == "" {
				return member{}, errOutside
			}
			at = parent(at)
			continue
		}
		at = path.Join(at, part)
		m, ok := t.members[at]
		if !ok || m.link == "" {
			continue
		}
		if hops++; hops > maxHops {
			return member{}, errCircle
		}
		if strings.HasPrefix(m.link, "/") {
			return member{}, errOutside
		}
		at = parent(at)
		todo = append(strings.Split(m.link, "/"), todo...)
	}
	m, ok := t.members[at]
	if !ok {
		return member{}, fs.ErrNotExist
	}
	return m, nil
}

func parent(name string) string {
	i := strings.LastIndexByte(name, '/')
	return name[:max(i, 0)]
}

// section is a member's bytes. It is an image.Blob that needs no closing.
type section struct{ *io.SectionReader }

var _ image.Blob = section{}

func (section) Close() error { return nil }

func (t *tarFS) section(m member) section {
	return section{io.NewSectionReader(t.r, m.offset, m.size)}
}

// Open opens a regular file. Its links have been followed.
func (t *tarFS) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	m, err := t.find(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return file{t.section(m), fileInfo{path.Base(name), m.size}}, nil
}

// Stat describes a regular file.
func (t *tarFS) Stat(name string) (fs.FileInfo, error) {
	f, err := t.Open(name)
	if err != nil {
		return nil, err
	}
	return f.Stat()
}

// file is an open member.
type file struct {
	section
	info fileInfo
}

func (f file) Stat() (fs.FileInfo, error) { return f.info, nil }

// fileInfo describes a member as far as anybody asks.
type fileInfo struct {
	name string
	size int64
}

func (i fileInfo) Name() string     { return i.name }
func (i fileInfo) Size() int64      { return i.size }
func (fileInfo) Mode() fs.FileMode  { return 0o444 }
func (fileInfo) ModTime() time.Time { return time.Time{} }
func (fileInfo) IsDir() bool        { return false }
func (fileInfo) Sys() any           { return nil }
