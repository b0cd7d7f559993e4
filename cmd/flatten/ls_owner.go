// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
	"github.com/seed-81b0d42e/flatten/pkg/tree"
	"github.com/seed-81b0d42e/flatten/pkg/whiteout"
)

// maxOwners bounds the size of an /etc/passwd that is read, in bytes.
const maxOwners = 4 << 20

// owners are the names that an image gives its users and groups. The zero value
// has none.
type owners struct{ users, groups map[uint32]string }

// read reads the image's /etc/passwd and /etc/group, where it has them.
func (o *owners) read(ctx context.Context, m *flatten.Merged, t *tree.Tree) error {
	into := map[whiteout.Position]*map[uint32]string{}
	var files []whiteout.Position
	for name, names := range map[string]*map[uint32]string{"etc/passwd": &o.users, "etc/group": &o.groups} {
		id, err := t.Find(name, true)
		if err != nil || t.Dir(id) {
			continue
		}
		at := m.View.Content(&m.View.Paths[id])
		if e := m.View.Entry(at); e.Type != toc.TypeReg || e.Size > maxOwners {
			continue
		}
		into[at] = names
		files = append(files, at)
	}
	return m.Contents(ctx, flatten.Options{}, files, func(at whiteout.Position, write func(io.Writer) error) error {
		var b bytes.Buffer
		err := write(&b)
		*into[at] = parseOwners(b.String())
		return err
	})
}

// parseOwners reads lines "name:password:number:…" (passwd(5), group(5)). The
// first name of a number counts. What could not be printed is no name.
func parseOwners(text string) map[uint32]string {
	names := map[uint32]string{}
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(f) < 3 || f[0] == "" || len(f[0]) > 64 || strings.ContainsFunc(f[0], func(r rune) bool { return r == ' ' || !printable(r, 2) }) {
			continue
		}
		n, err := strconv.ParseUint(f[2], 10, 32)
		if err != nil || !utf8.ValidString(f[0]) {
			continue
		}
		if _, known := names[uint32(n)]; !known {
			names[uint32(n)] = f[0]
		}
	}
	return names
}

// user is a user's name, or else the number.
func (o *owners) user(id uint32) (name string, isNumber bool) { return ownerName(o.users, id) }

// group is a group's name, or else the number.
func (o *owners) group(id uint32) (name string, isNumber bool) { return ownerName(o.groups, id) }

func ownerName(names map[uint32]string, id uint32) (string, bool) {
	if name, ok := names[id]; ok {
		return name, false
	}
	return strconv.FormatUint(uint64(id), 10), true
}
