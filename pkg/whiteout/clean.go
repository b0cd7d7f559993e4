// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package whiteout

import (
	"path"
	"strings"
)

// maxName is the longest name that Linux can store (limits.h: NAME_MAX).
const maxName = 255

// cleaned is a name of an entry as a path below the root.
type cleaned struct {
	path    string // relative, clean, empty for the root
	dotdot  bool   // the name had a ".." component
	escaped bool   // a ".." climbed above the root and was clamped
}

// clean turns a stored name into a path below the root: lexically, as every
// engine does (rule 53). The result is a substring of name whenever name is
// clean but for "./" or "/" in front and a slash behind.
func clean(name string) cleaned {
	p := strings.TrimLeft(name, "/")
	for strings.HasPrefix(p, "./") {
		p = strings.TrimLeft(p[2:], "/")
	}
	p = strings.TrimRight(p, "/")
	if p == "." {
		return cleaned{}
	}
	if !untidy(p) {
		return cleaned{path: p}
	}
	depth, c := 0, cleaned{}
	for part := range strings.SplitSeq(p, "/") {
		switch part {
		case "", ".":
		case "..":
			c.dotdot = true
			if depth--; depth < 0 {
				c.escaped, depth = true, 0
			}
		default:
			depth++
		}
	}
	c.path = path.Clean("/" + p)[1:]
	return c
}

// untidy reports whether p, which neither begins nor ends with a slash, holds
// an empty, "." or ".." component.
func untidy(p string) bool {
	start := 0
	for i := 0; i <= len(p); i++ {
		if i < len(p) && p[i] != '/' {
			continue
		}
		switch p[start:i] {
		case "", ".", "..":
			return p != ""
		}
		start = i + 1
	}
	return false
}

// split cuts a clean path into its folder and its last component.
func split(p string) (dir, base string) {
	i := strings.LastIndexByte(p, '/')
	if i < 0 {
		return "", p
	}
	return p[:i], p[i+1:]
}
