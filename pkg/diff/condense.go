// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package diff

import "strings"

// Condense brings changes, as Compare returns them, into Docker's form: what was
// in a directory that was deleted, or is none any more, is left out, and a
// directory that something has changed in is listed.
func Condense(changes []Change) []Change {
	listed := make(map[string]*Change, len(changes))
	for i := range changes {
		listed[changes[i].Path] = &changes[i]
	}
	var out []Change
	for _, c := range changes {
		folder := folderOf(c.Path)
		if c.Kind == Deleted {
			if f := listed[folder]; f != nil && (f.Kind == Deleted || f.Aspects&Type != 0) {
				continue
			}
		}
		out = appendFolders(out, listed, folder)
		out = append(out, c)
	}
	return out
}

// appendFolders appends a folder, those around it first, unless it is listed.
func appendFolders(out []Change, listed map[string]*Change, folder string) []Change {
	if folder == "" || listed[folder] != nil {
		return out
	}
	out = appendFolders(out, listed, folderOf(folder))
	f := Change{Kind: Changed, Path: folder, Old: -1, New: -1}
	listed[folder] = &f
	return append(out, f)
}

// folderOf is the path of the folder that a path stands in, empty for the root.
func folderOf(path string) string {
	return path[:max(0, strings.LastIndexByte(path, '/'))]
}
