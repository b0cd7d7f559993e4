// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package overlaytest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// scratch is a directory on a file system that can hold layers.
type scratch struct {
	dir string
	// userXattrs tells whether files may have user.* attributes: tmpfs has them
	// since Linux 6.6.
	userXattrs bool

	mounted string // the tmpfs to unmount, empty if there is none
}

// close unmounts what newScratch mounted.
func (s *scratch) close() error {
	if s.mounted == "" {
		return nil
	}
	return unmount(s.mounted)
}

// newScratch looks for a place for layers: a tmpfs of its own below dir, or else
// dir itself. The error says why neither will do.
func newScratch(dir string) (*scratch, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("not root")
	}
	mem := filepath.Join(dir, "t")
	if err := os.Mkdir(mem, 0o755); err != nil {
		return nil, err
	}
	errTmpfs := unix.Mount("tmpfs", mem, "tmpfs", 0, "size=1g,mode=755")
	var onTmpfs *scratch
	if errTmpfs == nil {
		if onTmpfs, errTmpfs = tryScratch(mem); errTmpfs == nil {
			onTmpfs.mounted = mem
		} else {
			_ = unmount(mem)
		}
	}
	if onTmpfs != nil && onTmpfs.userXattrs {
		return onTmpfs, nil
	}
	onDisk, errDisk := tryScratch(dir)
	switch {
	case errDisk == nil && onTmpfs == nil:
		return onDisk, nil
	case errDisk == nil && onDisk.userXattrs:
		return onDisk, onTmpfs.close()
	case onTmpfs != nil:
		return onTmpfs, nil
	}
	return nil, fmt.Errorf("no place for overlayfs layers: tmpfs: %w; %s: %w", errTmpfs, dir, errDisk)
}

// tryScratch mounts an overlay on a directory, and makes a whiteout, an opaque
// directory and a user.* attribute.
func tryScratch(dir string) (*scratch, error) {
	s := &scratch{dir: dir}
	work := filepath.Join(dir, "try")
	defer os.RemoveAll(work)
	for _, d := range []string{"low/d", "up", "work", "m"} {
		if err := os.MkdirAll(filepath.Join(work, d), 0o755); err != nil {
			return nil, err
		}
	}
	m := filepath.Join(work, "m")
	if err := mountUpper([]string{filepath.Join(work, "low")}, filepath.Join(work, "up"), filepath.Join(work, "work"), m); err != nil {
		return nil, err
	}
	err := os.Remove(m + "/d")
	if err == nil {
		err = os.Mkdir(m+"/d", 0o755)
	}
	s.userXattrs = unix.Setxattr(m+"/d", "user.x", []byte("y"), 0) == nil
	if uerr := unmount(m); err == nil {
		err = uerr
	}
	if err != nil {
		return nil, err
	}
	t, err := ReadDir(filepath.Join(work, "up"))
	if err != nil {
		return nil, err
	}
	if t["d"] == nil || !t["d"].Opaque {
		return nil, errors.New("overlayfs made no opaque directory")
	}
	return s, nil
}

// overlayOptions are what both kinds of mount have in common: what is in the
// upper directory is all that the layer is.
const overlayOptions = "index=off,redirect_dir=off,metacopy=off"

// mountUpper mounts an overlay that is written to, lowest directory first.
func mountUpper(lower []string, upper, work, at string) error {
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s,%s", lowerdir(lower), upper, work, overlayOptions)
	err := unix.Mount("overlay", at, "overlay", 0, options+",volatile") // no waiting for the disk; since Linux 5.10
	if errors.Is(err, unix.EINVAL) {
		err = unix.Mount("overlay", at, "overlay", 0, options)
	}
	if err != nil {
		return fmt.Errorf("mounting overlayfs: %w", err)
	}
	return nil
}

// mountRead mounts layers for reading, lowest first. There must be two.
func mountRead(layers []string, at string) error {
	options := fmt.Sprintf("lowerdir=%s,%s", lowerdir(layers), overlayOptions)
	if err := unix.Mount("overlay", at, "overlay", unix.MS_RDONLY, options); err != nil {
		return fmt.Errorf("mounting overlayfs: %w", err)
	}
	return nil
}

// lowerdir is the mount option's value, which has the uppermost layer first.
func lowerdir(dirs []string) string {
	var b strings.Builder
	for i := len(dirs) - 1; i >= 0; i-- {
		b.WriteString(dirs[i])
		if i > 0 {
			b.WriteByte(':')
		}
	}
	return b.String()
}

// unmount waits a little for whom it finds there: a child process has all open
// files of its parent until it runs its program.
func unmount(at string) error {
	err := unix.Unmount(at, 0)
	for range 200 {
		if !errors.Is(err, unix.EBUSY) {
			break
		}
		time.Sleep(5 * time.Millisecond)
		err = unix.Unmount(at, 0)
	}
	if err != nil {
		return fmt.Errorf("unmounting: %w", err)
	}
	return nil
}

// readMerged mounts layers, lowest first, and reads what the kernel shows.
func readMerged(dir string, layers []string) (Tree, error) {
	m := filepath.Join(dir, "merged")
	empty := filepath.Join(dir, "empty")
	for _, d := range []string{m, empty} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	if err := mountRead(append([]string{empty}, layers...), m); err != nil {
		return nil, err
	}
	t, err := ReadDir(m)
	if uerr := unmount(m); err == nil {
		err = uerr
	}
	return t, err
}
