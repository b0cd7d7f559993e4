// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package diff compares two merged filesystems path by path. It reads tables of
// contents; where only the bytes of two files can tell, it asks its caller.
//
// # Terms
//
//   - A path is added, deleted or changed: A, D and C, as Docker prints them.
//   - An aspect is one of the things that can differ in a path that both have:
//     see [Aspect].
//
// # Rules
//
// What is compared is what a container sees (package whiteout): not how headers
// spell it, in which order or in which layer entries stand.
//
//   - Two files have the same content when their bodies stand at the same place of
//     the same tar stream. They do not when their sizes differ. Otherwise their
//     bytes decide: see [SameContent].
//   - Modification times count when that is asked for. One without a fraction of a
//     second is compared to the second, since many tools drop it.
//   - Which names are hard links of one file counts when that is asked for: among
//     the paths that both filesystems have, so that a name which was added or
//     deleted does not make a change of the others.
//   - The mode of a symbolic link does not count, nor does the root directory.
//   - Where the type differs, only owner and extended attributes are compared further.
//
// Changes come in the order of a walk that visits the names in a folder in the
// order of their bytes, a folder before what is in it.
//
// # Docker's form
//
// "docker container diff" lists less of what is deleted and more of what is
// changed, and so does [Condense]:
//
//	all changes       condensed
//	                  C etc          something in it is changed
//	C etc/passwd      C etc/passwd
//	D srv             D srv
//	D srv/index                      goes with its folder
//	C var  (a file)   C var
//	D var/x                          went with its folder
//
// Over containerd's store, and over most of its own drivers, Docker compares the
// types, modes, owners and devices of two mounted trees, and of what is not a
// directory size and time. So a directory that a layer has an entry for, with
// nothing in it changed and its own mode and owner the same, is not listed, whatever
// its time: putting a file into it and taking it out again gives it a new one. A file
// that is written again with the very same bytes, metadata and time is not listed
// either. (With the overlay2 driver Docker looks into the upper directory of the
// overlay: it lists such a file, and not a directory in which files have merely
// changed.) Where the comparison is blind, at other bytes in a file of the same size
// and time, which reproducible builds make, and at extended attributes but for
// security.capability, this package sees a change.
package diff
