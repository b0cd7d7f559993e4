// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package whiteout merges the layers of an image: it says which entries of
// which layers are the filesystem that a container would see. It is a pure
// function over tables of contents; no byte of a file is looked at.
//
// # Terms
//
//   - A whiteout is an entry named ".wh.x": lower layers lose x in that folder.
//   - An opaque whiteout is an entry named ".wh..wh..opq": lower layers lose
//     all that they have in that folder.
//   - An implied directory is one that stands in the path of an entry without
//     an entry of its own.
//   - An inode is a file with all its names (hard links).
//
// # The model
//
// Each layer is replayed in order into a tree of its own. Names are cleaned
// lexically; symbolic links in the folders of a name are followed in that tree
// alone, as below a chroot. The last entry for a path counts. Whiteouts are
// kept beside the tree. A hard link is bound to the file that its target names
// when the link is read; if there is none yet, at the end of the layer.
//
// The layer is then laid over the union of those below it. Its whiteouts remove
// from that union first. A file replaces whatever was there; a directory with
// an entry brings its metadata; an implied directory keeps the lower
// directory's metadata but replaces anything lower that is not a directory.
//
//	layer 1   a/   a/x   b/   b/y   b/z
//	layer 2   a/.wh.x   b/.wh..wh..opq   b/new
//	view      a/   b/   b/new
//
// The numbered rules are in docs/semantics.md. The judge is the kernel's
// overlayfs, except where the OCI specification demands otherwise: rules 7, 8
// and 16.
//
// # Limits
//
// A path has at most 4095 bytes and a component 255, since Linux has no room
// for more. A path goes through at most 255 symbolic links.
package whiteout
