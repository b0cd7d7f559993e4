// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package overlaytest

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// overlayPrefix begins the extended attributes that overlayfs keeps for itself.
const overlayPrefix = "trusted.overlay."

// ReadDir reads the tree below a directory: what is mounted there, or a layer as
// it lies on disk. Sockets are left out, as no tar can hold one.
func ReadDir(root string) (Tree, error) {
	t := Tree{}
	files := map[uint64][]string{}
	if err := readDir(t, files, root, ""); err != nil {
		return nil, err
	}
	setGroups(t, files)
	return t, nil
}

func readDir(t Tree, files map[uint64][]string, root, dir string) error {
	list, err := os.ReadDir(root + "/" + dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		name := e.Name()
		if dir != "" {
			name = dir + "/" + name
		}
		var st unix.Stat_t
		if err := unix.Lstat(root+"/"+name, &st); err != nil {
			if errors.Is(err, unix.ENOENT) {
				continue // a phantom: overlayfs lists a whiteout in a directory that it does not merge
			}
			return fmt.Errorf("lstat %q: %w", name, err)
		}
		n, err := readNode(root+"/"+name, &st)
		if err != nil {
			return err
		}
		if n == nil {
			continue
		}
		t[name] = n
		if n.Type == typeDir {
			if err := readDir(t, files, root, name); err != nil {
				return err
			}
		} else if !n.whiteout() { // overlayfs hard-links its whiteouts
			files[st.Ino] = append(files[st.Ino], name)
		}
	}
	return nil
}

// readNode reads all of one path. Nil for a socket.
func readNode(path string, st *unix.Stat_t) (*Node, error) {
	n := &Node{
		Mode: st.Mode & 0o7777, UID: st.Uid, GID: st.Gid,
		Sec: int64(st.Mtim.Sec), Nsec: int64(st.Mtim.Nsec),
	}
	var err error
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		n.Type = typeReg
		n.Data, err = os.ReadFile(path)
	case unix.S_IFLNK:
		n.Type = typeSymlink
		n.Link, err = os.Readlink(path)
	case unix.S_IFDIR:
		n.Type = typeDir
	case unix.S_IFIFO:
		n.Type = typeFifo
	case unix.S_IFCHR, unix.S_IFBLK:
		n.Type = typeChar
		if st.Mode&unix.S_IFMT == unix.S_IFBLK {
			n.Type = typeBlock
		}
		n.Major, n.Minor = unix.Major(st.Rdev), unix.Minor(st.Rdev)
	default:
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	n.Xattrs, err = readXattrs(path)
	if err != nil {
		return nil, fmt.Errorf("xattrs of %q: %w", path, err)
	}
	for k, v := range n.Xattrs {
		if strings.HasPrefix(k, overlayPrefix) {
			n.Opaque = n.Opaque || k == overlayPrefix+"opaque" && v == "y"
			delete(n.Xattrs, k)
		}
	}
	return n, nil
}

func readXattrs(path string) (map[string]string, error) {
	m := map[string]string{}
	size, err := unix.Llistxattr(path, nil)
	if errors.Is(err, unix.ENOTSUP) || err == nil && size == 0 {
		return m, nil
	}
	if err != nil {
		return nil, err
	}
	list := make([]byte, size)
	if size, err = unix.Llistxattr(path, list); err != nil || size == 0 {
		return m, err // overlayfs counts its own before it hides them
	}
	value := make([]byte, 1<<16)
	for key := range strings.SplitSeq(strings.TrimSuffix(string(list[:size]), "\x00"), "\x00") {
		n, err := unix.Lgetxattr(path, key, value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		m[key] = string(value[:n])
	}
	return m, nil
}
