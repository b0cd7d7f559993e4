// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package tree finds paths in a merged filesystem, as a process would whose root
// directory is the root of the image.
//
// # Terms
//
//   - A path is text as a user gives it: with or without a leading slash, which
//     means the same, since the working directory is the root. "", "." and "/" are
//     the root.
//   - An index is one of View.Paths, or [Root].
//
// # Rules
//
// A path is resolved component by component. Symbolic links on the way are
// followed: an absolute target begins at the root, and ".." in the root is the
// root, so that no path leads out of the image. A link at the very end is followed
// only when that is asked for, or when a slash follows it. More than 40 links in
// one path are an error, as on Linux.
//
// A pattern is a path whose components may hold "*", "?" and "[a-z]", "[!a-z]" or
// "[^a-z]", which match within a component; "\" takes the meaning of the next
// character away. As in a shell, a name that begins with a dot is matched only by
// a pattern that does, and matches come in the order of their bytes. What exists
// under the pattern's own text is meant literally, as /usr/bin/[ is.
//
// # Example
//
//	usr/  usr/bin/  usr/bin/perl  usr/bin/perl5 -> perl  bin -> usr/bin
//
//	/bin/perl      usr/bin/perl
//	bin            bin, followed: usr/bin
//	bin/p*         bin/perl, bin/perl5
//	../../bin/     usr/bin
package tree
