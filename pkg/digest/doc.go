// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package digest writes files that are named by the SHA-256 of their bytes, and
// hashes what is read to compare it with such a name.
//
// A file is written beside its place under a temporary name and hashed on the
// way. Publishing syncs it, renames it to "<hex digest><suffix>" and syncs the
// folder, so a file under a final name is whole and on disk, always:
//
//	sha256sum 5891b5b5….tar.gz | cut -c1-64     # prints the name
//
// Two writers of the same bytes to the same folder both succeed: the second
// rename replaces a file by an identical one. What a killed run leaves is
// removed by the next one in the same folder.
package digest
