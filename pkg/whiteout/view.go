// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package whiteout

import (
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// View is the one filesystem that a stack of layers adds up to.
type View struct {
	// Layers are the merged layers, lowest first.
	Layers []*toc.Layer

	// Paths are the surviving paths. A directory stands before what is in it;
	// there is no other order. The root itself is not among them.
	Paths []Path

	// Inodes are the files that have, or had, more than one name.
	Inodes []Inode

	// Root is the topmost layer's entry for the root directory, its Name empty;
	// nil when no layer has one.
	Root *Path

	// Warnings are what the rules tolerate, lowest layer first.
	Warnings []image.Warning
}

// Path is one surviving path.
type Path struct {
	// Name is the path: relative, clean, without a trailing slash.
	Name string

	// At is the entry that the path's metadata comes from: its own, or for a
	// directory that the topmost layers only imply, that of a lower layer.
	// Implied when no layer has an entry for it.
	At Position

	// First is where the path first appears. It differs from At only for a
	// directory: the lowest layer's entry that named or implied it.
	First Position

	// Parent is the index in View.Paths of the directory that holds it, -1 for
	// the root.
	Parent int32

	// Inode is the index in View.Inodes of the file that this path is a name
	// of, or -1 when it is the file's only name ever. A directory has one only
	// to hold extended attributes that are not those of its entry.
	Inode int32

	// GID is the group of an implied directory: that of a parent with the
	// set-group-ID bit, otherwise 0. Not set for others.
	GID uint32

	// Dir reports whether the path is a directory.
	Dir bool
}

// Position names an entry: an index in View.Layers and one in its Entries.
type Position struct{ Layer, Entry int32 }

// Implied is the position of a directory for which no layer has an entry.
var Implied = Position{-1, -1}

// Linked reports whether the path is one of several names of a file, now or
// before.
func (p *Path) Linked() bool { return p.Inode >= 0 && !p.Dir }

// Inode is a file with its hard links.
type Inode struct {
	// Body is the entry that holds the file's content, and its type.
	Body Position

	// Meta is the entry whose owner, mode and time the file has: the last
	// header of any of its names (rule 55).
	Meta Position

	// Xattrs are the file's extended attributes when they are not simply those
	// of Body's header; nil otherwise. Keys carry toc.XattrPrefix.
	Xattrs []toc.Record

	// Names is the number of surviving paths.
	Names int32
}

// Entry is the entry at p.
func (v *View) Entry(p Position) *toc.Entry {
	return &v.Layers[p.Layer].Entries[p.Entry]
}

// Attributes are what a path looks like in a container.
type Attributes struct {
	Type     byte // toc.TypeReg to toc.TypeFifo, never toc.TypeLink
	Mode     uint16
	UID, GID uint32

	// Sec and Nsec are the modification time, clamped to what containers set:
	// 0 for a time before 1970 or after 2262 (rule 115).
	Sec  int64
	Nsec int32

	// Size is the size of a regular file in bytes.
	Size int64

	// Link is the target of a symbolic link.
	Link string

	Devmajor, Devminor uint32

	// Xattrs are the extended attributes, sorted; keys carry toc.XattrPrefix.
	Xattrs []toc.Record
}

// Content is the entry that holds a path's content and type: its own, or for a
// name of a file with several names that of the file. Implied for a directory
// without an entry.
func (v *View) Content(p *Path) Position {
	if p.Inode >= 0 {
		return v.Inodes[p.Inode].Body
	}
	return p.At
}

// Attributes returns what a path looks like. An implied directory is 0755, owned
// by root or by the group of a set-group-ID parent, and as old as the epoch
// (rule 80).
func (v *View) Attributes(p *Path) Attributes {
	at := v.Content(p)
	if at == Implied {
		return Attributes{Type: toc.TypeDir, Mode: 0o755, GID: p.GID}
	}
	body, meta := v.Entry(at), v.Entry(at)
	if p.Inode >= 0 {
		meta = v.Entry(v.Inodes[p.Inode].Meta)
	}
	a := Attributes{
		Type: body.Type, Mode: meta.Mode, UID: meta.UID, GID: meta.GID,
		Size: body.Size, Link: body.Link(),
	}
	a.Sec, a.Nsec = ClampTime(meta.Sec, meta.Nsec)
	if body.Type == toc.TypeSymlink {
		a.Mode = 0o777 // Linux keeps no other for a link
	}
	if x := body.Extra; x != nil {
		a.Devmajor, a.Devminor = x.Devmajor, x.Devminor
	}
	a.Xattrs = v.xattrs(p, body)
	return a
}

func (v *View) xattrs(p *Path, body *toc.Entry) []toc.Record {
	if p.Inode < 0 || v.Inodes[p.Inode].Xattrs == nil {
		return xattrs(body)
	}
	var kept []toc.Record
	for _, r := range v.Inodes[p.Inode].Xattrs {
		if refusal(body.Type, r.Key) == 0 {
			kept = append(kept, r)
		}
	}
	return kept
}

// The last time that fits into a count of nanoseconds, in the year 2262.
const (
	maxSec  = (1<<63 - 1) / 1_000_000_000
	maxNsec = (1<<63 - 1) % 1_000_000_000
)

// ClampTime is how containers treat a modification time that is out of range:
// as the epoch (rule 115).
func ClampTime(sec int64, nsec int32) (int64, int32) {
	if sec < 0 || sec > maxSec || sec == maxSec && nsec > maxNsec {
		return 0, 0
	}
	return sec, nsec
}
