// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package overlaytest

import (
	"archive/tar"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// unpacker unpacks the entries of one layer into a directory of its own, as
// containerd's overlay snapshotter does, and refuses what that refuses.
type unpacker struct {
	dir   string
	lower Tree // what the layers below add up to

	times   map[string][2]int64 // of directories with an entry, set at the end
	implied map[string]*Node    // directories without one: what they are if nothing lower shows through
	white   map[string]bool     // paths that were whited out
	opaque  map[string]bool     // directories that were made opaque, "" being the root
}

func newUnpacker(dir string, lower Tree) *unpacker {
	return &unpacker{
		dir: dir, lower: lower,
		times: map[string][2]int64{}, implied: map[string]*Node{}, white: map[string]bool{}, opaque: map[string]bool{},
	}
}

// errRefused is what an engine would not unpack.
var errRefused = errors.New("refused")

// on is where a path of the layer lies.
func (u *unpacker) on(p string) string { return u.dir + "/" + p }

// kind is the type of what a path of the layer is, 0 if there is nothing.
func (u *unpacker) kind(p string) uint32 {
	if p == "" {
		return unix.S_IFDIR
	}
	return is(unix.AT_FDCWD, u.on(p))
}

// resolve follows the symbolic links of a path, the last name included, inside
// the layer. What does not exist stays as it is.
func (u *unpacker) resolve(p string) (string, error) {
	todo := strings.Split(p, "/")
	at := ""
	for hops := 0; len(todo) > 0; {
		name := todo[0]
		todo = todo[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			at = strings.TrimPrefix(path.Dir("/"+at), "/")
			continue
		}
		next := path.Join(at, name)
		if u.kind(next) != unix.S_IFLNK {
			at = next
			continue
		}
		if hops++; hops > 200 {
			return "", fmt.Errorf("%w: a loop of symbolic links", errRefused)
		}
		target, err := os.Readlink(u.on(next))
		if err != nil {
			return "", err
		}
		if strings.HasPrefix(target, "/") {
			at = ""
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return at, nil
}

// place is where an entry's name leads: its parents resolved, its last name not.
// Empty for the root.
func (u *unpacker) place(name string) (string, error) {
	clean := path.Clean("/" + name)
	dir, base := path.Split(clean)
	at, err := u.resolve(dir)
	if err != nil || base == "" {
		return at, err
	}
	return path.Join(at, base), nil
}

// parents makes the directories that lead to a path.
func (u *unpacker) parents(p string) error {
	dir := path.Dir(p)
	if dir == "." || u.kind(dir) == unix.S_IFDIR {
		return nil
	}
	if u.kind(dir) != 0 {
		return fmt.Errorf("%w: %q is no directory", errRefused, dir)
	}
	if err := u.parents(dir); err != nil {
		return err
	}
	return u.makeImplied(dir)
}

// makeImplied makes a directory that has no entry so far, with the owner of the
// lower one if there is one. Its group may be its parent's, as the kernel has it at this
// moment.
func (u *unpacker) makeImplied(dir string) error {
	at := u.on(dir)
	if err := os.Mkdir(at, 0o755); err != nil {
		return err
	}
	if err := unix.Chmod(at, 0o755); err != nil { // without the bit that comes with the group
		return err
	}
	var st unix.Stat_t
	if err := unix.Lstat(at, &st); err != nil {
		return err
	}
	u.implied[dir] = &Node{Type: typeDir, Mode: 0o755, UID: st.Uid, GID: st.Gid}
	if low := u.lower[dir]; low != nil && low.Type == typeDir {
		return setOwner(at, low)
	}
	return nil
}

// setOwner gives a directory the owner and mode of a node.
func setOwner(at string, n *Node) error {
	if err := os.Lchown(at, int(n.UID), int(n.GID)); err != nil {
		return err
	}
	return unix.Chmod(at, n.Mode)
}

// apply unpacks one entry.
func (u *unpacker) apply(e *entry) error {
	p, err := u.place(e.Name)
	if err != nil || p == "" || e.Typeflag == tar.TypeXGlobalHeader {
		return err
	}
	if strings.HasPrefix(p, ".wh..wh.") && p != opaqueName {
		return nil // aufs keeps its books here
	}
	if err := u.parents(p); err != nil {
		return err
	}
	if done, err := u.whiteout(p); done || err != nil {
		return err
	}
	if was := u.kind(p); was != 0 && !(was == unix.S_IFDIR && e.Typeflag == typeDir) {
		u.forget(p)
		if err := os.RemoveAll(u.on(p)); err != nil {
			return err
		}
	}
	if err := u.create(p, e); err != nil {
		return err
	}
	return u.meta(p, e)
}

// forget drops what is known of a path and what is below it, but for markers:
// they are about the layers below.
func (u *unpacker) forget(p string) {
	for q := range u.times {
		if q == p || strings.HasPrefix(q, p+"/") {
			delete(u.times, q)
		}
	}
	for q := range u.implied {
		if q == p || strings.HasPrefix(q, p+"/") {
			delete(u.implied, q)
		}
	}
}

// whiteout applies a marker, and tells whether the path is one.
func (u *unpacker) whiteout(p string) (bool, error) {
	dir, base := path.Split(p)
	rest, ok := strings.CutPrefix(base, whiteoutPrefix)
	if !ok {
		return false, nil
	}
	dir = strings.TrimSuffix(dir, "/")
	if base == opaqueName {
		u.opaque[dir] = true
		return true, nil
	}
	if rest == "" || rest == "." || rest == ".." {
		return true, fmt.Errorf("%w: no whiteout", errRefused)
	}
	hidden := path.Join(dir, rest)
	u.white[hidden] = true
	return true, unix.Mknod(u.on(hidden), unix.S_IFCHR, 0)
}

// create makes what the entry is, without its owner and mode.
func (u *unpacker) create(p string, e *entry) error {
	at := u.on(p)
	switch e.Typeflag {
	case typeReg:
		return os.WriteFile(at, e.body, 0o600)
	case typeDir:
		delete(u.implied, p)
		if u.kind(p) == unix.S_IFDIR {
			return nil
		}
		return os.Mkdir(at, 0o755)
	case typeSymlink:
		return os.Symlink(e.Linkname, at)
	case typeChar:
		if e.Devmajor == 0 && e.Devminor == 0 {
			u.white[p] = true
		}
		return unix.Mknod(at, unix.S_IFCHR, int(unix.Mkdev(uint32(e.Devmajor), uint32(e.Devminor))))
	case typeBlock:
		return unix.Mknod(at, unix.S_IFBLK, int(unix.Mkdev(uint32(e.Devmajor), uint32(e.Devminor))))
	case typeFifo:
		return unix.Mkfifo(at, 0o600)
	case tar.TypeLink:
		return u.link(p, e.Linkname)
	}
	return fmt.Errorf("%w: type %q", errRefused, e.Typeflag)
}

// link makes a hard link to what the layer itself has.
func (u *unpacker) link(p, target string) error {
	to, err := u.place(target)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Lstat(u.on(to), &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0 {
		return fmt.Errorf("%w: a hard link to a whiteout", errRefused)
	}
	return os.Link(u.on(to), u.on(p))
}

// meta gives what was created its owner, attributes, mode and time. For a hard
// link this changes the file that has the other names too.
func (u *unpacker) meta(p string, e *entry) error {
	at := u.on(p)
	if err := os.Lchown(at, e.Uid, e.Gid); err != nil {
		return err
	}
	kind := u.kind(p)
	if err := u.replaceXattrs(p, e); err != nil {
		return err
	}
	if kind != unix.S_IFLNK {
		if err := unix.Chmod(at, uint32(e.Mode)&0o7777); err != nil {
			return err
		}
	}
	sec, nsec := e.ModTime.Unix(), int64(e.ModTime.Nanosecond())
	if sec < 0 {
		sec, nsec = 0, 0
	}
	if kind == unix.S_IFDIR {
		u.times[p] = [2]int64{sec, nsec}
	}
	return setTime(unix.AT_FDCWD, at, sec, nsec)
}

// replaceXattrs sets the entry's extended attributes. Those of the trusted
// namespace are an engine's own, and what the kernel refuses is left out.
func (u *unpacker) replaceXattrs(p string, e *entry) error {
	for k, v := range e.PAXRecords {
		key, ok := strings.CutPrefix(k, xattrPrefix)
		if !ok || strings.HasPrefix(key, "trusted.") {
			continue
		}
		err := unix.Lsetxattr(u.on(p), key, []byte(v), 0)
		if err != nil && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ENOTSUP) {
			return fmt.Errorf("xattr %q: %w", key, err)
		}
	}
	return nil
}

// finish settles what depends on the whole layer: directories that are implied,
// opaque or both whited out and made, and times.
func (u *unpacker) finish() error {
	if err := u.restoreMarkers(); err != nil {
		return err
	}
	t, err := ReadDir(u.dir)
	if err != nil {
		return err
	}
	for p := range u.opaque {
		if p != "" && t[p] != nil && t[p].Type == typeDir {
			t[p].Opaque = true
			if err := unix.Lsetxattr(u.on(p), overlayPrefix+"opaque", []byte("y"), 0); err != nil {
				return err
			}
		}
	}
	for _, p := range t.names() {
		if u.implied[p] != nil && t[p].Type == typeDir {
			if err := u.imply(t, p); err != nil {
				return err
			}
		}
	}
	for p, at := range u.times {
		if err := setTime(unix.AT_FDCWD, u.on(p), at[0], at[1]); err != nil {
			return err
		}
	}
	return nil
}

// restoreMarkers makes every marker count, whatever became of its place since: a
// directory that is also whited out is opaque, and what a replaced directory
// hid is hidden again.
func (u *unpacker) restoreMarkers() error {
	for p := range u.white {
		switch {
		case u.kind(p) == unix.S_IFDIR:
			u.opaque[p] = true
		case u.kind(p) == 0 && u.shows(p) != nil && u.parents(p) == nil:
			if err := unix.Mknod(u.on(p), unix.S_IFCHR, 0); err != nil {
				return err
			}
		}
	}
	for p := range u.opaque {
		low := u.shows(p)
		if p != "" && u.kind(p) == 0 && low != nil && low.Type == typeDir && u.parents(p) == nil {
			if err := u.makeImplied(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// shows is the lower node at p, nil when it is below a directory that the layer
// made opaque.
func (u *unpacker) shows(p string) *Node {
	for dir := path.Dir(p); ; dir = path.Dir(dir) {
		if dir == "." {
			dir = ""
		}
		if u.opaque[dir] {
			return nil
		}
		if dir == "" {
			return u.lower[p]
		}
	}
}

// imply gives an implied directory the metadata of the lower one that shows
// through, or what the rules say for none (80): the whole layer has been read now,
// and an opaque directory may have cut off the lower one.
func (u *unpacker) imply(t Tree, p string) error {
	low := (&scribe{lower: u.lower, raw: t}).below(p)
	if u.opaque[""] {
		low = nil
	}
	if low == nil {
		low = u.implied[p]
	}
	for k, v := range low.Xattrs {
		if err := unix.Lsetxattr(u.on(p), k, []byte(v), 0); err != nil {
			return err
		}
	}
	u.times[p] = [2]int64{low.Sec, low.Nsec}
	return setOwner(u.on(p), low)
}
