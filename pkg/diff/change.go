// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package diff

import "strings"

// Kind is what became of a path, by the letter that Docker prints.
type Kind byte

const (
	Added   Kind = 'A'
	Changed Kind = 'C'
	Deleted Kind = 'D'
)

func (k Kind) String() string { return string(k) }

// Aspect is a set of things in which two paths differ.
type Aspect uint16

const (
	Type       Aspect = 1 << iota // file, directory, symbolic link, …
	Mode                          // permissions, setuid, setgid, sticky
	Owner                         // uid, gid
	Content                       // of a regular file, its size included
	Target                        // of a symbolic link
	Device                        // major and minor number
	Xattrs                        // extended attributes
	HardLink                      // the file that it is another name of
	Time                          // modification time
	allAspects = iota
)

// names are those of the aspects, lowest bit first.
var names = [allAspects]string{
	"type", "mode", "owner", "content", "target", "device", "xattrs", "hardLink", "time",
}

// Names are the names of the aspects in the set: "type", "mode", "owner",
// "content", "target", "device", "xattrs", "hardLink", "time".
func (a Aspect) Names() []string {
	var list []string
	for i, name := range names {
		if a&(1<<i) != 0 {
			list = append(list, name)
		}
	}
	return list
}

func (a Aspect) String() string { return strings.Join(a.Names(), ", ") }

// Change is one path that differs.
type Change struct {
	Kind Kind

	// Path is relative and clean, without a trailing slash.
	Path string

	// Old and New are the path's indexes in View.Paths of the two filesystems, -1
	// in the one that does not have it. Both are -1 for a directory that is listed
	// for what is in it: see [Condense].
	Old, New int32

	// Aspects are what differs in a changed path, 0 for others and for a directory
	// that is listed for what is in it.
	Aspects Aspect

	// OldLink and NewLink say of a HardLink what the path is another name of: the
	// first of the file's names that both filesystems have, empty when that is the
	// path itself.
	OldLink, NewLink string
}

// String is the change on one line, as Docker prints it: "C /etc/passwd".
func (c Change) String() string { return c.Kind.String() + " /" + c.Path }
