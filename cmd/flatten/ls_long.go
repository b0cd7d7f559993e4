// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed-81b0d42e/flatten/pkg/toc"
	"github.com/seed-81b0d42e/flatten/pkg/tree"
	"github.com/seed-81b0d42e/flatten/pkg/whiteout"
)

// long makes the columns of ls -l.
type long struct {
	owners *owners
	now    time.Time
	full   bool // the time to the nanosecond
	human  bool // sizes in powers of 1024
	tty    bool
}

// columns are what ls -l prints before a name.
type columns struct {
	mode, links, user, group, size, major, minor, time string
	userIsNumber, groupIsNumber                        bool
}

func (l *long) columns(t *tree.Tree, id int32) columns {
	a := attributes(t, id)
	c := columns{mode: modeString(&a), links: strconv.Itoa(linkCount(t, id))}
	c.user, c.userIsNumber = l.owners.user(a.UID)
	c.group, c.groupIsNumber = l.owners.group(a.GID)
	switch a.Type {
	case toc.TypeChar, toc.TypeBlock:
		c.major, c.minor = strconv.Itoa(int(a.Devmajor)), strconv.Itoa(int(a.Devminor))
	case toc.TypeSymlink:
		c.size = l.size(int64(len(a.Link)))
	default:
		c.size = l.size(a.Size)
	}
	c.time = l.time(time.Unix(a.Sec, int64(a.Nsec)))
	return c
}

// size is a size in bytes, or as GNU ls -h has it: rounded up, with a digit
// behind the point below 10.
func (l *long) size(n int64) string {
	if !l.human || n < 1024 {
		return strconv.FormatInt(n, 10)
	}
	size, unit := uint64(n), uint64(1024)
	for i, name := range "KMGTPE" {
		tenths := size/unit*10 + (size%unit*10+unit-1)/unit
		switch whole := (size + unit - 1) / unit; {
		case tenths < 100:
			return fmt.Sprintf("%d.%d%c", tenths/10, tenths%10, name)
		case whole < 1024 || i == 5:
			return fmt.Sprintf("%d%c", whole, name)
		}
		unit *= 1024
	}
	return ""
}

// time is a time as GNU ls prints it: without the year when it lies in the last
// half of a year.
func (l *long) time(t time.Time) string {
	const halfYear = 31556952 / 2 * time.Second
	switch {
	case l.full:
		return t.Format("2006-01-02 15:04:05.000000000 -0700")
	case t.After(l.now) || !t.After(l.now.Add(-halfYear)):
		return t.Format("Jan _2  2006")
	}
	return t.Format("Jan _2 15:04")
}

// modeString is type and permissions, such as "-rwsr-xr-x".
func modeString(a *whiteout.Attributes) string {
	const types = "-hlcbdp" // by the digit of a tar entry's type
	b := []byte{types[a.Type-'0']}
	for i, c := range "rwxrwxrwx" {
		if a.Mode&(0o400>>i) == 0 {
			c = '-'
		}
		b = append(b, byte(c))
	}
	for i, c := range map[int]byte{3: 's', 6: 's', 9: 't'} {
		if a.Mode&(0o4000>>(i/3-1)) == 0 {
			continue
		}
		if b[i] == '-' {
			c -= 'a' - 'A'
		}
		b[i] = c
	}
	return string(b)
}

// columnWidths are the widest of a block's columns.
type columnWidths struct{ links, user, group, size, major, minor int }

func (w *columnWidths) add(c *columns) {
	w.links = max(w.links, len(c.links))
	w.user = max(w.user, utf8.RuneCountInString(c.user))
	w.group = max(w.group, utf8.RuneCountInString(c.group))
	w.size = max(w.size, len(c.size))
	w.major = max(w.major, len(c.major))
	w.minor = max(w.minor, len(c.minor))
	if c.major != "" {
		w.size = max(w.size, w.major+w.minor+len(", "))
	}
}

// line is the columns and a space.
func (w *columnWidths) line(c *columns) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %*s ", c.mode, w.links, c.links)
	pad := func(text string, width int, number bool) {
		if number {
			fmt.Fprintf(&b, "%*s ", width, text)
		} else {
			fmt.Fprintf(&b, "%-*s ", width, text)
		}
	}
	pad(c.user, w.user, c.userIsNumber)
	pad(c.group, w.group, c.groupIsNumber)
	if c.major != "" {
		fmt.Fprintf(&b, "%*s, %*s", w.size-w.minor-len(", "), c.major, w.minor, c.minor)
	} else {
		fmt.Fprintf(&b, "%*s", w.size, c.size)
	}
	b.WriteString(" " + c.time + " ")
	return b.String()
}
