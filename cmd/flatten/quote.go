// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// quoteTTY is a name as GNU ls prints it to a terminal in a UTF-8 locale
// (--quoting-style=shell-escape): a shell that reads it gets the name. also are
// further characters that want quotes.
func quoteTTY(name, also string) string {
	switch {
	case !wantsQuotes(name, also):
		return name
	case strings.Contains(name, "'") && fitsDoubleQuotes(name):
		return `"` + name + `"`
	}
	return quoteShell(name)
}

// quotePipe is a name for a reader that takes lines: as it is, unless a control
// character in it would end or change the line, or it begins like a quoted one.
func quotePipe(name, _ string) string {
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	if strings.IndexFunc(name, control) < 0 && !strings.HasPrefix(name, "'") {
		return name
	}
	return quoteShell(name)
}

// quoteShell puts a name between single quotes, what cannot be printed between
// $' and '.
func quoteShell(name string) string {
	var b strings.Builder
	b.WriteByte('\'')
	dollar := false // within $'…'
	for len(name) > 0 {
		r, n := utf8.DecodeRuneInString(name)
		part := name[:n]
		name = name[n:]
		switch {
		case part == "'":
			b.WriteString(`'\''`)
			dollar = false
		case printable(r, n):
			if dollar {
				b.WriteString(`''`)
			}
			b.WriteString(part)
			dollar = false
		default:
			if !dollar {
				b.WriteString(`'$'`)
			}
			escape(&b, part)
			dollar = true
		}
	}
	b.WriteByte('\'')
	return b.String()
}

// printable reports whether a rune of n bytes, decoded from a name, can be shown:
// a few that GNU ls shows cannot, such as those that change the direction of
// writing.
func printable(r rune, n int) bool {
	return unicode.IsPrint(r) && (r != utf8.RuneError || n > 1)
}

// escape writes bytes as $'…' has them.
func escape(b *strings.Builder, part string) {
	for i := range len(part) {
		if at := strings.IndexByte("\a\b\f\n\r\t\v", part[i]); at >= 0 {
			b.WriteByte('\\')
			b.WriteByte("abfnrtv"[at])
		} else {
			fmt.Fprintf(b, `\%03o`, part[i])
		}
	}
}

// special are the characters that a shell takes for something else anywhere in
// a word, to GNU ls's mind.
const special = " !\"$&'()*;<=>?[\\^`|"

func wantsQuotes(name, also string) bool {
	if name == "" || name == "{" || name == "}" || name[0] == '#' || name[0] == '~' ||
		strings.ContainsAny(name, special+also) {
		return true
	}
	for i, r := range name {
		if !printable(r, width(name[i:])) {
			return true
		}
	}
	return false
}

// fitsDoubleQuotes reports whether a name with a single quote in it can be put
// between double quotes, where it is easier to read.
func fitsDoubleQuotes(name string) bool {
	for i, r := range name {
		switch {
		case !printable(r, width(name[i:])):
			return false
		case r == ' ' || r == '\'' || (r == '#' || r == '~') && i == 0:
		case strings.ContainsRune(special+"{}#~", r):
			return false
		}
	}
	return true
}

// width is how many bytes the first rune of s takes.
func width(s string) int {
	_, n := utf8.DecodeRuneInString(s)
	return n
}
