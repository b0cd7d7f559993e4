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

	// Inode is the index in View.Inodes of the file that this path is a name
	// of, or -1 when it is the file's only name ever.
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
