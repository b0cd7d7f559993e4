// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package verify reads a flattened file, once and to its end, and says what is
// wrong with it: whoever wrote it, and with nothing but the file at hand.
//
// # Terms
//
//   - A problem is one thing that is wrong, of a [Kind].
//   - A file is sound when it is what its name says and every reader finds the
//     same in it. It is clean when it also is as flatten writes it.
//
// # Rules of a sound file
//
//   - digest: the SHA-256 of the file is the one that its name states, or that the
//     caller expects.
//   - gzip: one member or several, each with the CRC and the size that its trailer
//     states, and behind the last nothing but zeros. A file named .tar is no gzip.
//   - tar: every header can be read (package toc), the stream ends in two zero
//     blocks, and behind them come only zeros. A path does not stand below what is
//     no directory. A hard link names a file that is in the archive.
//   - unsafe: no name is absolute or climbs out of the folder that the archive is
//     unpacked in, and none goes through a symbolic link of the archive.
//
// # Rules of a clean file
//
//   - name: the file is called <sha256>.tar.gz or <sha256>.tar, 64 lower-case
//     hexadecimal digits.
//   - clean: each path stands once; a directory stands before what is in it; a
//     hard link stands after the file that it names, which is not another link,
//     and has its mode, owner and time. Names are relative, without "./", "..", or
//     an empty component; those of directories end in a slash, no others do. There
//     is no entry for the root, no whiteout, no global header, no sparse file, and
//     no type that readers take differently. The stream ends with exactly two zero
//     blocks, the file with the last gzip member.
//
// These are rules 167 and 169 of docs/semantics.md. What keeps a file from being
// clean alone is [Kind.Minor]: others' tools write such files, and they can be
// unpacked. An archive by GNU tar, say, begins with "./" and ends with up to twenty
// zero blocks.
//
// # Limits
//
// Memory grows with the number of entries, not with their size. Of the problems
// the first 1000 are kept and the others counted. [image.Limits] hold but for Ratio:
// nothing is kept of what decompresses to much.
//
// # Example
//
//	sha256sum 5891b5b5….tar.gz | cut -c1-64     # prints the name
//	gzip -t 5891b5b5….tar.gz                    # but for what is behind the end
//	tar -tzf 5891b5b5….tar.gz                   # but for much
package verify
