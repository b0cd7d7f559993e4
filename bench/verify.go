// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// contents is the filesystem in a tar: what each path is, in a hash.
type contents struct {
	entries int // in the tar, however often a path is named
	paths   map[string][sha256.Size]byte
}

// readContents reads a compressed tar. Of an entry it takes the type, mode,
// owner, device, link target and content. Hard links are what they lead to, so
// that it does not matter which name comes first. Times are left out, as is the
// root directory.
func readContents(name string) (*contents, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	stream, err := inflated(f)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	c := &contents{paths: map[string][sha256.Size]byte{}}
	entries := tar.NewReader(stream)
	for {
		h, err := entries.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", c.entries+1, err)
		}
		if err := c.add(h, entries); err != nil {
			return nil, fmt.Errorf("%s: %w", h.Name, err)
		}
	}
	_, err = io.Copy(io.Discard, stream) // the checksum is behind the last block
	return c, err
}

func (c *contents) add(h *tar.Header, data io.Reader) error {
	at := cleanName(h.Name)
	if at == "" {
		return nil
	}
	c.entries++
	if h.Typeflag == tar.TypeLink {
		c.paths[at] = c.paths[cleanName(h.Linkname)]
		return nil
	}
	sum := sha256.New()
	mode := h.Mode & 0o7777
	if h.Typeflag == tar.TypeSymlink {
		mode = 0o777 // tars disagree, no filesystem does
	}
	fmt.Fprintf(sum, "%c %o %d %d %d %d %q\n", h.Typeflag, mode, h.Uid, h.Gid, h.Devmajor, h.Devminor, h.Linkname)
	if _, err := io.Copy(sum, data); err != nil {
		return err
	}
	c.paths[at] = [sha256.Size]byte(sum.Sum(nil))
	return nil
}

func cleanName(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// difference is where two filesystems differ.
type difference struct{ missing, extra, changed []string }

// compareTo lists what differs in c, seen from another.
func (c *contents) compareTo(other *contents) difference {
	var d difference
	for _, p := range slices.Sorted(maps.Keys(other.paths)) {
		got, ok := c.paths[p]
		want := other.paths[p]
		switch {
		case !ok:
			d.missing = append(d.missing, p)
		case !bytes.Equal(got[:], want[:]):
			d.changed = append(d.changed, p)
		}
	}
	for _, p := range slices.Sorted(maps.Keys(c.paths)) {
		if _, ok := other.paths[p]; !ok {
			d.extra = append(d.extra, p)
		}
	}
	return d
}

// String is the difference in a cell: "same", or "-3 +1 ~2".
func (d difference) String() string {
	if len(d.missing)+len(d.extra)+len(d.changed) == 0 {
		return "same"
	}
	return fmt.Sprintf("-%d +%d ~%d", len(d.missing), len(d.extra), len(d.changed))
}

// details are the first few paths of each kind, one to a line.
func (d difference) details() []string {
	var lines []string
	for _, kind := range []struct {
		sign  string
		paths []string
	}{{"-", d.missing}, {"+", d.extra}, {"~", d.changed}} {
		for i, p := range kind.paths {
			if i == 4 {
				lines = append(lines, fmt.Sprintf("%s … and %d more", kind.sign, len(kind.paths)-i))
				break
			}
			lines = append(lines, kind.sign+" "+p)
		}
	}
	return lines
}
