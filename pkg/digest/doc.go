// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package digest writes files that are named by the SHA-256 of their bytes.
//
// A file is written beside its place under a temporary name and hashed on the
// way. Publishing syncs it, renames it to "<hex digest><suffix>" and syncs the
// folder, so a file under a final name is whole and on disk, always:
//
//	sha256sum 5891b5b5….tar.gz | cut -c1-64     # prints the name
//
// Temporary files are named ".flatten-*.tmp". Their writer holds a lock on them
// for as long as it lives; [Create] removes those of the same folder whose
// writer does not live any more, so that not even kill -9 leaves rubbish for
// longer than until the next run. Where the system has no such locks (Windows),
// an open file cannot be removed, which is as good.
//
// Two writers of the same bytes to the same folder both succeed: the second
// rename replaces a file by an identical one.
package digest
