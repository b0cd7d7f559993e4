// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package overlaytest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"sort"
	"time"

	"golang.org/x/sys/unix"
)

// A container changes the files below a directory at random. Every path is
// opened below that directory without following a symbolic link, as links
// point anywhere. An operation that is refused leaves things as they are.
type container struct {
	r    *rand.Rand
	dir  string
	root int // the directory, opened
	user bool

	// What there is, as it was when last looked at: kinds by path, and the
	// paths in byte order.
	kind  map[string]uint32
	paths []string
	dirs  []string
}

// runContainer does n operations below dir.
func runContainer(r *rand.Rand, dir string, n int, userXattrs bool) error {
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(root)
	c := &container{r: r, dir: dir, root: root, user: userXattrs}
	for i := range n {
		if i%5 == 0 {
			if err := c.look(); err != nil {
				return err
			}
		}
		c.step()
	}
	return nil
}

// look lists what there is.
func (c *container) look() error {
	c.kind, c.paths, c.dirs = map[string]uint32{}, nil, []string{""}
	if err := c.lookIn(""); err != nil {
		return err
	}
	sort.Strings(c.paths)
	sort.Strings(c.dirs)
	return nil
}

func (c *container) lookIn(dir string) error {
	list, err := os.ReadDir(c.dir + "/" + dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		p := path.Join(dir, e.Name())
		var st unix.Stat_t
		if err := unix.Lstat(c.dir+"/"+p, &st); errors.Is(err, unix.ENOENT) {
			continue
		} else if err != nil {
			return err
		}
		c.kind[p] = st.Mode & unix.S_IFMT
		c.paths = append(c.paths, p)
		if e.IsDir() {
			c.dirs = append(c.dirs, p)
			if err := c.lookIn(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// at opens the directory that holds a path and calls f with it and the last
// name.
func (c *container) at(p string, f func(dir int, name string) error) error {
	dir, name := path.Split(p)
	if dir == "" {
		return f(c.root, name)
	}
	fd, err := unix.Openat2(c.root, dir, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return f(fd, name)
}

// is returns the type of a path, which may have changed since look.
func is(dir int, name string) uint32 {
	var st unix.Stat_t
	if unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return 0
	}
	return st.Mode & unix.S_IFMT
}

// newPath is a path that may not exist yet, in a directory that does.
func (c *container) newPath() string {
	p := path.Join(pick(c.r, c.dirs...), randomName(c.r))
	if len(p) > 2000 {
		return randomName(c.r)
	}
	return p
}

// oldPath is a path that exists, if there is one.
func (c *container) oldPath() string {
	if len(c.paths) == 0 {
		return "a"
	}
	return pick(c.r, c.paths...)
}

// step does one operation.
func (c *container) step() {
	steps := []struct {
		weight int
		do     func()
	}{
		{14, c.create}, {8, c.mkdir}, {6, c.change}, {3, c.chmod}, {3, c.chown}, {3, c.touch}, {4, c.xattr},
		{4, c.symlink}, {6, c.link}, {3, c.mknod}, {6, c.remove}, {4, c.removeAll}, {6, c.rename}, {5, c.replace},
	}
	total := 0
	for _, s := range steps {
		total += s.weight
	}
	n := c.r.IntN(total)
	for _, s := range steps {
		if n -= s.weight; n < 0 {
			s.do()
			return
		}
	}
}

func (c *container) create() { c.createAt(c.newPath()) }

func (c *container) createAt(p string) {
	data, mode := randomContent(c.r), randomMode(c.r)&0o777
	_ = c.at(p, func(dir int, name string) error {
		return write(dir, name, unix.O_CREAT|unix.O_EXCL, mode, data)
	})
}

// write opens a regular file and writes to it.
func write(dir int, name string, flags int, mode uint32, data []byte) error {
	fd, err := unix.Openat(dir, name, flags|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), name)
	_, err = f.Write(data)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// mkdir makes a directory, most often an ordinary one.
func (c *container) mkdir() { c.mkdirAt(c.newPath()) }

func (c *container) mkdirAt(p string) {
	mode := uint32(0o755)
	if chance(c.r, 4) {
		mode = randomMode(c.r)
	}
	_ = c.at(p, func(dir int, name string) error {
		if err := unix.Mkdirat(dir, name, 0o755); err != nil {
			return err
		}
		return unix.Fchmodat(dir, name, mode, 0)
	})
}

// change writes to a file that exists.
func (c *container) change() {
	data, how, size := randomContent(c.r), c.r.IntN(3), c.r.Int64N(6000)
	_ = c.at(c.oldPath(), func(dir int, name string) error {
		if is(dir, name) != unix.S_IFREG {
			return nil
		}
		switch how {
		case 0:
			return write(dir, name, unix.O_TRUNC, 0, data)
		case 1:
			return write(dir, name, unix.O_APPEND, 0, data)
		}
		fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Ftruncate(fd, size)
	})
}

func (c *container) chmod() {
	mode := randomMode(c.r)
	_ = c.at(c.oldPath(), func(dir int, name string) error {
		if is(dir, name) == unix.S_IFLNK {
			return nil
		}
		return unix.Fchmodat(dir, name, mode, 0)
	})
}

func (c *container) chown() {
	uid, gid := randomOwner(c.r), randomOwner(c.r)
	_ = c.at(c.oldPath(), func(dir int, name string) error {
		return unix.Fchownat(dir, name, uid, gid, unix.AT_SYMLINK_NOFOLLOW)
	})
}

func (c *container) touch() {
	sec, nsec := randomTime(c.r)
	_ = c.at(c.oldPath(), func(dir int, name string) error {
		return setTime(dir, name, sec, nsec)
	})
}

// setTime sets the modification time of what a name stands for, not of what it
// links to.
func setTime(dir int, name string, sec, nsec int64) error {
	ts, err := unix.TimeToTimespec(time.Unix(sec, nsec))
	if err != nil {
		return err
	}
	return unix.UtimesNanoAt(dir, name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}

// xattr sets an extended attribute or removes one.
func (c *container) xattr() {
	key, value := randomXattr(c.r, c.user)
	remove := chance(c.r, 5)
	_ = c.at(c.oldPath(), func(dir int, name string) error {
		p := fmt.Sprintf("/proc/self/fd/%d/%s", dir, name)
		if remove {
			return unix.Lremovexattr(p, key)
		}
		return unix.Lsetxattr(p, key, []byte(value), 0)
	})
}

func (c *container) symlink() {
	target := randomTarget(c.r, c.paths)
	_ = c.at(c.newPath(), func(dir int, name string) error {
		return unix.Symlinkat(target, dir, name)
	})
}

// link gives a second name to what exists, which may be in a lower layer.
func (c *container) link() {
	from, to := c.oldPath(), c.newPath()
	_ = c.at(from, func(fromDir int, fromName string) error {
		return c.at(to, func(dir int, name string) error {
			return unix.Linkat(fromDir, fromName, dir, name, 0)
		})
	})
}

func (c *container) mknod() {
	kind := pick[uint32](c.r, unix.S_IFIFO, unix.S_IFIFO, unix.S_IFCHR, unix.S_IFBLK, unix.S_IFSOCK)
	mode := randomMode(c.r) & 0o777
	number := unix.Mkdev(pick[uint32](c.r, 1, 5, 8, 255, 256, 4095), pick[uint32](c.r, 0, 1, 3, 255, 256, 65536, 1<<20-1))
	if kind == unix.S_IFIFO || kind == unix.S_IFSOCK {
		number = 0
	}
	_ = c.at(c.newPath(), func(dir int, name string) error {
		return unix.Mknodat(dir, name, kind|mode, int(number))
	})
}

// remove removes a file or an empty directory.
func (c *container) remove() {
	_ = c.at(c.oldPath(), func(dir int, name string) error {
		if is(dir, name) == unix.S_IFDIR {
			return unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
		}
		return unix.Unlinkat(dir, name, 0)
	})
}

func (c *container) removeAll() { c.removeTree(c.oldPath()) }

// removeTree removes a path with all that is below it.
func (c *container) removeTree(p string) {
	for i := len(c.paths) - 1; i >= 0; i-- { // what is in a directory comes after it
		q := c.paths[i]
		if q != p && (len(q) <= len(p) || q[:len(p)+1] != p+"/") {
			continue
		}
		_ = c.at(q, func(dir int, name string) error {
			if is(dir, name) == unix.S_IFDIR {
				return unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
			}
			return unix.Unlinkat(dir, name, 0)
		})
	}
}

// rename moves a file or directory over what may exist. Overlayfs refuses to
// move a directory that a lower layer has.
func (c *container) rename() {
	from, to := c.oldPath(), c.newPath()
	if chance(c.r, 2) {
		to = c.oldPath()
	}
	flags := uint(0)
	if chance(c.r, 5) {
		flags = unix.RENAME_EXCHANGE
	}
	_ = c.at(from, func(fromDir int, fromName string) error {
		return c.at(to, func(dir int, name string) error {
			return unix.Renameat2(fromDir, fromName, dir, name, flags)
		})
	})
}

// replace puts something new in the place of what exists, often of another type.
func (c *container) replace() {
	p := c.oldPath()
	c.removeTree(p)
	switch c.r.IntN(4) {
	case 0:
		c.createAt(p)
	case 1:
		target := randomTarget(c.r, c.paths)
		_ = c.at(p, func(dir int, name string) error { return unix.Symlinkat(target, dir, name) })
	default:
		c.mkdirAt(p)
		c.createAt(path.Join(p, randomName(c.r)))
	}
}
