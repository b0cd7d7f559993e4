// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package panorama

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// edit replaces the bytes of a text from start up to end.
type edit struct {
	start, end int
	text       string
}

func (e edit) apply(text []byte) []byte {
	return slices.Concat(text[:e.start], []byte(e.text), text[e.end:])
}

// editor changes a document step by step, each step on what the one before left.
type editor struct {
	*document
	edits []edit
}

// do carries an edit out. No value of the document before may be used after.
func (ed *editor) do(e edit) {
	changed, err := parseAny(ed.name, e.apply(ed.text))
	if err != nil {
		panic("internal error: " + err.Error())
	}
	ed.document = changed
	ed.edits = append(ed.edits, e)
}

// set makes the value of a key a string, in place or as a new last member.
func (ed *editor) set(o *value, key, text string) {
	switch old := o.get(key); {
	case old == nil:
		ed.do(ed.appendMember(o, key, text))
	case !old.is(kindString) || ed.str(old) != text:
		ed.do(edit{old.start, old.end, quote(text)})
	}
}

// object is an object to be written: fields in their order. A field's value is a
// string, a bool, words, an object or a list.
type object []field

type field struct {
	key   string
	value any
}

type list []object

type words []string

// style is how a document is laid out.
type style struct {
	newline string // empty: all on one line
	unit    string // of indentation
	colon   string // between key and value
	comma   string // between values on one line
}

// style looks at how a document is laid out, so that what is added looks like
// the rest.
func (d *document) style() style {
	s := style{unit: "    ", colon: ": "}
	text := d.raw(d.root)
	if i := bytes.IndexByte(text, '\n'); i > 0 && text[i-1] == '\r' {
		s.newline = "\r\n"
	} else if i >= 0 {
		s.newline = "\n"
	}
	if colon, ok := d.colon(d.root); ok {
		s.colon = colon
	}
	s.comma = ", "
	if !strings.HasSuffix(s.colon, " ") {
		s.comma = ","
	}
	if len(d.root.members) > 0 {
		outer, inner := d.indent(d.root.start), d.indent(d.root.members[0].at)
		if unit, ok := strings.CutPrefix(inner, outer); ok && unit != "" {
			s.unit = unit
		}
	}
	return s
}

// colon is what stands between the first key and value that are on one line.
func (d *document) colon(v *value) (string, bool) {
	for _, m := range v.members {
		key := parser{document: d, pos: m.at}
		key.skipString()
		if between := string(d.text[key.pos:m.value.start]); !strings.Contains(between, "\n") {
			return between, true
		}
		if colon, ok := d.colon(m.value); ok {
			return colon, true
		}
	}
	for _, item := range v.items {
		if colon, ok := d.colon(item); ok {
			return colon, true
		}
	}
	return "", false
}

// indent is the white space that the line of an offset begins with.
func (d *document) indent(at int) string {
	line := d.text[bytes.LastIndexByte(d.text[:at], '\n')+1 : at]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

// quote is a string as JSON writes it.
func quote(s string) string {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic("internal error: " + err.Error())
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// render writes a value whose first line is indented so already.
func (s style) render(v any, indent string) string {
	switch v := v.(type) {
	case string:
		return quote(v)
	case bool:
		if v {
			return "true"
		}
		return "false"
	case words:
		parts := make([]string, len(v))
		for i, word := range v {
			parts[i] = quote(word)
		}
		return s.enclose("[", parts, "]", indent)
	case object:
		parts := make([]string, len(v))
		for i, f := range v {
			parts[i] = quote(f.key) + s.colon + s.render(f.value, indent+s.unit)
		}
		return s.enclose("{", parts, "}", indent)
	case list:
		parts := make([]string, len(v))
		for i, item := range v {
			parts[i] = s.render(item, indent+s.unit)
		}
		return s.enclose("[", parts, "]", indent)
	}
	panic("internal error: a value of another type")
}

// enclose puts values between brackets, one on a line where there are lines.
func (s style) enclose(opening string, parts []string, closing, indent string) string {
	if len(parts) == 0 {
		return opening + closing
	}
	if s.newline == "" {
		return opening + strings.Join(parts, s.comma) + closing
	}
	inner := s.newline + indent + s.unit
	return opening + inner + strings.Join(parts, ","+inner) + s.newline + indent + closing
}

// appendItem adds an item to the end of an array.
func (d *document) appendItem(array *value, item object) edit {
	starts := make([]int, len(array.items))
	for i, v := range array.items {
		starts[i] = v.start
	}
	end := 0
	if n := len(array.items); n > 0 {
		end = array.items[n-1].end
	}
	return d.extend(array, starts, end, func(s style, indent string) string { return s.render(item, indent) })
}

// appendMember adds a member to the end of an object.
func (d *document) appendMember(o *value, key string, v any) edit {
	starts := make([]int, len(o.members))
	for i, m := range o.members {
		starts[i] = m.at
	}
	end := 0
	if n := len(o.members); n > 0 {
		end = o.members[n-1].value.end
	}
	return d.extend(o, starts, end, func(s style, indent string) string {
		return quote(key) + s.colon + s.render(v, indent)
	})
}

// extend adds a part to an array or object whose parts begin at starts and the
// last of which ends at end. It stands from its predecessor as that one does
// from what is before it.
func (d *document) extend(v *value, starts []int, end int, render func(style, string) string) edit {
	s := d.style()
	n := len(starts)
	if n == 0 {
		indent := d.indent(v.start)
		text := ""
		if s.newline == "" {
			text = render(s, "")
		} else {
			text = s.newline + indent + s.unit + render(s, indent+s.unit) + s.newline + indent
		}
		return edit{v.start + 1, v.end - 1, text}
	}
	last := starts[n-1]
	gap := string(d.text[bytes.LastIndexAny(d.text[:last], ",[{")+1 : last])
	if n == 1 && !strings.Contains(gap, "\n") {
		gap = strings.TrimPrefix(s.comma, ",")
	}
	return edit{end, end, "," + gap + render(s, d.indent(last))}
}
