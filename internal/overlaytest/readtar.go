// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package overlaytest

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// xattrPrefix begins the PAX records that are extended attributes.
const xattrPrefix = "SCHILY.xattr."

// ReadTar reads a tar that flatten wrote and checks what every output promises:
// each path once, with a clean name that ends in a slash if and only if it is a
// directory; a directory before what is in it and a file before its hard links;
// no whiteouts, no global headers and no root entry; two blocks of zeros and
// nothing else at the end.
func ReadTar(r io.Reader) (Tree, error) { return readTar(r, true) }

// ReadLooseTar reads any tar whose entries have distinct names. Whiteouts are
// entries as any other, the root is left out.
func ReadLooseTar(r io.Reader) (Tree, error) { return readTar(r, false) }

func readTar(r io.Reader, strict bool) (Tree, error) {
	t := Tree{}
	primary := map[string]string{} // name: the name that carries the file
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		if strict {
			if err := checkEntry(t, h, name); err != nil {
				return nil, fmt.Errorf("entry %q: %w", h.Name, err)
			}
		} else if name == "" || h.Typeflag == tar.TypeXGlobalHeader {
			continue
		} else if t[name] != nil {
			return nil, fmt.Errorf("entry %q: twice", h.Name)
		}
		if err := addEntry(t, primary, h, name, tr); err != nil {
			return nil, fmt.Errorf("entry %q: %w", h.Name, err)
		}
	}
	linkGroups(t, primary)
	if strict {
		if n, err := io.Copy(io.Discard, r); err != nil || n != 0 {
			return nil, fmt.Errorf("%d bytes behind the end of the archive (%v)", n, err)
		}
	}
	return t, nil
}

// checkEntry checks what an entry of an output promises by itself and in its
// place.
func checkEntry(t Tree, h *tar.Header, name string) error {
	want := name
	if h.Typeflag == tar.TypeDir {
		want += "/"
	}
	switch {
	case !strings.ContainsRune("0123456", rune(h.Typeflag)):
		return fmt.Errorf("type %q", h.Typeflag)
	case name == "":
		return errors.New("the root has an entry")
	case h.Name != want:
		return fmt.Errorf("not clean, want %q", want)
	case t[name] != nil:
		return errors.New("twice")
	case strings.HasPrefix(path.Base(name), ".wh.") && h.Typeflag != tar.TypeDir: // rule 24
		return errors.New("a whiteout")
	}
	if dir := path.Dir(name); dir != "." && (t[dir] == nil || t[dir].Type != typeDir) {
		return errors.New("no directory stands before it")
	}
	return nil
}

// addEntry adds one entry to the tree.
func addEntry(t Tree, primary map[string]string, h *tar.Header, name string, body io.Reader) error {
	if h.Typeflag == tar.TypeLink {
		to := strings.TrimPrefix(path.Clean("/"+h.Linkname), "/")
		if t[to] == nil {
			return fmt.Errorf("a hard link to %q, which does not stand before it", h.Linkname)
		}
		if first, ok := primary[to]; ok {
			to = first
		}
		primary[name] = to
		t[name] = t[to]
		return nil
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	n := &Node{
		Type: h.Typeflag, Mode: uint32(h.Mode) & 0o7777, UID: uint32(h.Uid), GID: uint32(h.Gid),
		Sec: h.ModTime.Unix(), Nsec: int64(h.ModTime.Nanosecond()),
		Data: data, Xattrs: map[string]string{},
	}
	switch h.Typeflag {
	case typeSymlink:
		n.Link, n.Mode = h.Linkname, 0o777
	case typeChar, typeBlock:
		n.Major, n.Minor = uint32(h.Devmajor), uint32(h.Devminor)
	case tar.TypeGNUSparse:
		n.Type = typeReg
	}
	for k, v := range h.PAXRecords {
		if key, ok := strings.CutPrefix(k, xattrPrefix); ok {
			n.Xattrs[key] = v
		}
	}
	t[name] = n
	return nil
}

// linkGroups gives every name of a file a node of its own and sets the groups.
func linkGroups(t Tree, primary map[string]string) {
	groups := map[string][]string{}
	for name, first := range primary {
		if groups[first] == nil {
			groups[first] = []string{first}
		}
		groups[first] = append(groups[first], name)
	}
	files := map[uint64][]string{}
	for _, names := range groups {
		files[uint64(len(files))] = names
	}
	setGroups(t, files)
}
