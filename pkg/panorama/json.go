// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package panorama

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// MaxDocument is the largest JSON file that is read, in bytes.
const MaxDocument = 4 << 20

// document is a JSON text whose values know where they stand in it, so that it
// can be edited without being written anew.
type document struct {
	name string // the file, for errors
	text []byte
	root *value
}

// value is a JSON value.
type value struct {
	kind       byte // of kindObject to kindNull
	start, end int  // its bytes in the text
	members    []member
	items      []*value
}

// The kinds of values. Numbers, true, false and null need no more than a name.
const (
	kindObject = '{'
	kindArray  = '['
	kindString = '"'
	kindNumber = '0'
	kindTrue   = 't'
	kindFalse  = 'f'
	kindNull   = 'n'
)

// member is a key of an object and its value.
type member struct {
	key   string // unescaped
	at    int    // where the key begins
	value *value
}

// get is the value of a key, nil when v is no object or does not have it.
func (v *value) get(key string) *value {
	if v == nil {
		return nil
	}
	for i := range v.members {
		if v.members[i].key == key {
			return v.members[i].value
		}
	}
	return nil
}

// is reports whether a value, which may be nil, is of a kind.
func (v *value) is(kind byte) bool { return v != nil && v.kind == kind }

// parse reads a JSON text of which no two readers can think differently: one
// value, in UTF-8, no key twice in one object.
func parse(name string, text []byte) (*document, error) {
	if len(text) > MaxDocument {
		return nil, fmt.Errorf("%s: %d bytes, more than the %d that are read", name, len(text), MaxDocument)
	}
	return parseAny(name, text)
}

// parseAny is parse for a text of any length.
func parseAny(name string, text []byte) (*document, error) {
	d := &document{name: name, text: text}
	if i := invalidUTF8(text); i >= 0 {
		return nil, d.errorf(i, "not UTF-8")
	}
	var raw json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		at := len(text)
		if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) && syntax.Offset > 0 {
			at = int(syntax.Offset) - 1
		}
		return nil, d.errorf(at, "%v", err)
	}
	p := parser{document: d}
	d.root = p.value()
	return d, p.err
}

// invalidUTF8 is where the text stops to be UTF-8, -1 when it does not.
func invalidUTF8(text []byte) int {
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// errorf is an error that names file, line and column, both from 1; a column is
// a byte.
func (d *document) errorf(at int, format string, args ...any) error {
	return fmt.Errorf("%s: %w", d.place(at), fmt.Errorf(format, args...))
}

// place is where an offset is: "package.json:3:7".
func (d *document) place(at int) string {
	before := d.text[:min(at, len(d.text))]
	line := bytes.Count(before, []byte("\n")) + 1
	return fmt.Sprintf("%s:%d:%d", d.name, line, len(before)-bytes.LastIndexByte(before, '\n'))
}

// str is the text of a string, empty for anything else.
func (d *document) str(v *value) string {
	if !v.is(kindString) {
		return ""
	}
	return d.unquote(v.start, v.end)
}

func (d *document) unquote(start, end int) string {
	var s string
	if err := json.Unmarshal(d.text[start:end], &s); err != nil {
		panic("internal error: " + err.Error())
	}
	return s
}

// raw is a value's bytes.
func (d *document) raw(v *value) []byte { return d.text[v.start:v.end] }

// strings calls do for every string that is a value, not a key.
func (d *document) strings(v *value, do func(string)) {
	if v.kind == kindString {
		do(d.str(v))
	}
	for _, m := range v.members {
		d.strings(m.value, do)
	}
	for _, item := range v.items {
		d.strings(item, do)
	}
}

// parser walks a text that is known to be valid JSON.
type parser struct {
	*document
	pos int
	err error // of the first key that occurs twice
}

// space skips white space.
func (p *parser) space() {
	for p.pos < len(p.text) && bytes.IndexByte([]byte(" \t\r\n"), p.text[p.pos]) >= 0 {
		p.pos++
	}
}

// token skips white space and one byte, which it returns.
func (p *parser) token() byte {
	p.space()
	p.pos++
	return p.text[p.pos-1]
}

func (p *parser) value() *value {
	p.space()
	v := &value{kind: p.text[p.pos], start: p.pos}
	switch v.kind {
	case kindObject:
		p.object(v)
	case kindArray:
		p.array(v)
	case kindString:
		p.skipString()
	default:
		if v.kind == '-' || '0' <= v.kind && v.kind <= '9' {
			v.kind = kindNumber
		}
		for p.pos < len(p.text) && bytes.IndexByte([]byte(" \t\r\n,]}"), p.text[p.pos]) < 0 {
			p.pos++
		}
	}
	v.end = p.pos
	return v
}

func (p *parser) object(v *value) {
	seen := map[string]bool{}
	p.pos++
	if p.space(); p.text[p.pos] == '}' {
		p.pos++
		return
	}
	for {
		p.space()
		m := member{at: p.pos}
		p.skipString()
		m.key = p.unquote(m.at, p.pos)
		if seen[m.key] && p.err == nil {
			p.err = image.WithHint(p.errorf(m.at, "the key %s stands twice in one object", image.Quote(m.key)),
				"which one counts depends on the reader; remove one of them")
		}
		seen[m.key] = true
		p.token() // the colon
		m.value = p.value()
		v.members = append(v.members, m)
		if p.token() == '}' {
			return
		}
	}
}

func (p *parser) array(v *value) {
	p.pos++
	if p.space(); p.text[p.pos] == ']' {
		p.pos++
		return
	}
	for {
		v.items = append(v.items, p.value())
		if p.token() == ']' {
			return
		}
	}
}

func (p *parser) skipString() {
	for p.pos++; p.text[p.pos] != '"'; p.pos++ {
		if p.text[p.pos] == '\\' {
			p.pos++
		}
	}
	p.pos++
}
