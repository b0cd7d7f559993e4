// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package overlaytest

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// entry is one entry of a layer's tar.
type entry struct {
	tar.Header
	body []byte
}

// String is the entry on one line.
func (e *entry) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-9s %q %04o %d:%d %s", typeName(e.Typeflag), e.Name, e.Mode, e.Uid, e.Gid,
		timeString(e.ModTime.Unix(), int64(e.ModTime.Nanosecond())))
	if e.Linkname != "" {
		fmt.Fprintf(&b, " -> %q", e.Linkname)
	}
	if e.Typeflag == typeChar || e.Typeflag == typeBlock {
		fmt.Fprintf(&b, " %d:%d", e.Devmajor, e.Devminor)
	}
	if len(e.body) > 0 {
		fmt.Fprintf(&b, " %d bytes", len(e.body))
	}
	keys := make([]string, 0, len(e.PAXRecords))
	for k := range e.PAXRecords {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		fmt.Fprintf(&b, " %s=%s", k, excerpt([]byte(e.PAXRecords[k])))
	}
	return fmt.Sprintf("%s [%s]", b.String(), e.Format)
}

// layer is one layer of an image under test.
type layer struct {
	dir     string  // what the tar unpacks to, as overlayfs wants it
	entries []entry // what the tar holds, in order
	how     string  // who wrote it and how it is compressed
	tar     []byte
	blob    []byte

	// bottom cuts off all layers below: the layer's root is opaque.
	bottom bool
}

// String lists the layer.
func (l *layer) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", l.how)
	for i := range l.entries {
		fmt.Fprintf(&b, "    %s\n", l.entries[i].String())
	}
	return b.String()
}

// header makes the header of a node under a name.
func header(name string, n *Node) tar.Header {
	h := tar.Header{
		Typeflag: n.Type, Name: name, Mode: int64(n.Mode), Uid: int(n.UID), Gid: int(n.GID),
		ModTime: time.Unix(n.Sec, n.Nsec), Linkname: n.Link,
		Devmajor: int64(n.Major), Devminor: int64(n.Minor), Format: tar.FormatPAX,
	}
	if n.Type == typeReg {
		h.Size = int64(len(n.Data))
	}
	for k, v := range n.Xattrs {
		setRecord(&h, xattrPrefix+k, v)
	}
	return h
}

func setRecord(h *tar.Header, key, value string) {
	if h.PAXRecords == nil {
		h.PAXRecords = map[string]string{}
	}
	h.PAXRecords[key] = value
}

// chooseFormat gives a header a format at random. Only PAX can carry extended
// attributes and parts of a second.
func chooseFormat(r *rand.Rand, h *tar.Header, formats []tar.Format) {
	h.Format = tar.FormatPAX
	if len(h.PAXRecords) > 0 || h.ModTime.Nanosecond() != 0 {
		return
	}
	if f := pick(r, formats...); fits(*h, f) {
		h.Format = f
	}
}

// fits tells whether a format can carry a header.
func fits(h tar.Header, f tar.Format) bool {
	h.Format = f
	return tar.NewWriter(io.Discard).WriteHeader(&h) == nil
}

// writeTar writes the entries as a tar.
func writeTar(entries []entry) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := range entries {
		h := entries[i].Header
		if err := w.WriteHeader(&h); err != nil {
			return nil, fmt.Errorf("entry %q: %w", h.Name, err)
		}
		if _, err := w.Write(entries[i].body); err != nil {
			return nil, fmt.Errorf("entry %q: %w", h.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
