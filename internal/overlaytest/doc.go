// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package overlaytest holds the judgement of the Linux kernel: it makes random
// images, mounts their layers with overlayfs and compares what the kernel shows
// with what flatten writes.
//
// # Two kinds of image
//
//   - An engine image is made as an engine makes one. An overlay is mounted over
//     the layers so far, random file operations run in it, and its upper
//     directory is written as a tar the way Docker and containerd do: a 0:0
//     character device becomes ".wh.name", an opaque directory holds
//     ".wh..wh..opq", names of one inode become hard links. How it is written
//     differs from layer to layer: order, name prefixes, header formats, parents
//     that are left out, the program that writes the tar, compression.
//   - A hostile image is made of tars that no engine writes but every engine
//     runs: entries twice, directories implied or named late, symbolic links as
//     parents, names with "..". Each is unpacked into a directory of its own by
//     the rules of containerd's overlay snapshotter, and what that would refuse
//     is left out of the tar.
//
// # What the kernel cannot judge
//
// The kernel sees directories, not tars, so that a few rules of
// docs/semantics.md are applied to the directories before they are mounted:
//
//   - A directory that a layer only implies has the owner, mode, time and
//     extended attributes of the lower one, or root:root 0755 and the epoch when
//     there is none (rules 79, 80 and 82). An engine would leave the time of
//     unpacking in it.
//   - A time before the epoch is the epoch (rule 115).
//   - A marker counts for the whole layer, where unpacking would forget it when
//     its place is taken later: a directory that its own layer also whites out
//     is opaque (rules 7 and 36). An opaque root ends the stack, where the kernel
//     would ignore the mark (rule 16).
//   - The root directory is not compared (rule 83).
//
// Layers are mounted with index=off, as Docker does: what another name of a
// lower hard link was changed to in an upper layer stays a file of its own. That
// is also all that a tar of the upper directory can say. In the read-only mount
// two names are one file when they have the same inode number, which is that of
// the real file as all layers lie on one file system.
//
// # Running
//
//	go test ./internal/overlaytest                    # the fixed seeds
//	go test ./internal/overlaytest -v -seed 17        # one seed, its layers printed
//	go test ./internal/overlaytest -seed 1000 -seeds 5000
//
// The test needs root and overlayfs and says so when it is skipped.
package overlaytest
