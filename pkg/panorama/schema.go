// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package panorama

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// A schema says what a value may be.
type schema interface {
	check(c *checker, v *value, path string)
}

// maxProblems is how many are listed of one document: finding the line of each
// takes a while in a large one.
const maxProblems = 100

// checker collects what is wrong with a document.
type checker struct {
	*document
	problems []string
}

// problems lists where a document breaks a schema, in the order of the text as
// far as it goes: "descriptor.json:6:9: runtimeDescriptor.entry: …".
func problems(d *document, s schema) []string {
	c := &checker{document: d}
	s.check(c, d.root, "")
	return c.problems
}

func (c *checker) reportf(v *value, path, format string, args ...any) {
	if len(c.problems) == maxProblems {
		return
	}
	text := fmt.Sprintf(format, args...)
	if path != "" {
		text = path + ": " + text
	}
	c.problems = append(c.problems, c.place(v.start)+": "+text)
}

// want reports a value of another kind than what is wanted.
func (c *checker) want(v *value, path string, kind byte, what string) bool {
	if v.kind != kind {
		c.reportf(v, path, "not %s", what)
	}
	return v.kind == kind
}

// join is the path of a key.
func join(path, key string) string {
	if !plainKey.MatchString(key) {
		key = image.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_]{1,64}$`)

// fields is an object.
type fields struct {
	of       map[string]schema
	required []string
	oneOf    []string          // at least one of these keys, unless empty
	needs    map[string]string // a key that is not there without another one
	open     bool              // other keys than those may be there
}

func (s fields) check(c *checker, v *value, path string) {
	if !c.want(v, path, kindObject, "an object") {
		return
	}
	for _, m := range v.members {
		of, ok := s.of[m.key]
		switch {
		case ok:
			of.check(c, m.value, join(path, m.key))
		case !s.open:
			known := slices.Sorted(maps.Keys(s.of))
			c.reportf(&value{start: m.at}, path, "no key %s belongs here, but %s", image.Quote(m.key), strings.Join(known, ", "))
		}
		if need, ok := s.needs[m.key]; ok && v.get(need) == nil {
			c.reportf(&value{start: m.at}, path, "%s needs %s beside it", m.key, need)
		}
	}
	for _, key := range s.required {
		if v.get(key) == nil {
			c.reportf(v, path, "%s is missing", key)
		}
	}
	if len(s.oneOf) > 0 && !slices.ContainsFunc(s.oneOf, func(key string) bool { return v.get(key) != nil }) {
		c.reportf(v, path, "%s is missing", strings.Join(s.oneOf, " or "))
	}
}

// array is an array whose items are all of one schema; least and most are
// numbers of items, most 0 for any.
type array struct {
	of          schema
	least, most int
}

func (s array) check(c *checker, v *value, path string) {
	if !c.want(v, path, kindArray, "an array") {
		return
	}
	if len(v.items) < s.least {
		c.reportf(v, path, "%d items, at least %d are needed", len(v.items), s.least)
	}
	if s.most > 0 && len(v.items) > s.most {
		c.reportf(v, path, "%d items, %d is the most", len(v.items), s.most)
	}
	for i, item := range v.items {
		s.of.check(c, item, fmt.Sprintf("%s[%d]", path, i))
	}
}

// text is a string. Lengths are in characters, most 0 for any.
type text struct {
	least, most int
	like        *regexp.Regexp
}

func (s text) check(c *checker, v *value, path string) {
	if !c.want(v, path, kindString, "a string") {
		return
	}
	str := c.str(v)
	switch n := utf8.RuneCountInString(str); {
	case n < s.least:
		c.reportf(v, path, "%d characters, at least %d are needed", n, s.least)
	case s.most > 0 && n > s.most:
		c.reportf(v, path, "%d characters, %d is the most", n, s.most)
	case s.like != nil && !s.like.MatchString(str):
		c.reportf(v, path, "%s does not match %s", image.Quote(str), s.like)
	}
}

// oneOf is a string that is one of a few.
type oneOf []string

func (s oneOf) check(c *checker, v *value, path string) {
	if v.kind != kindString || !slices.Contains(s, c.str(v)) {
		c.reportf(v, path, `not "%s"`, strings.Join(s, `" or "`))
	}
}

// boolean is true or false.
type boolean struct{}

func (boolean) check(c *checker, v *value, path string) {
	if v.kind != kindTrue && v.kind != kindFalse {
		c.reportf(v, path, "not true or false")
	}
}

// number is a number, from least to most where it is limited.
type number struct {
	integer     bool
	limited     bool
	least, most float64
}

func (s number) check(c *checker, v *value, path string) {
	if !c.want(v, path, kindNumber, "a number") {
		return
	}
	str := string(c.raw(v))
	if s.integer && !isInteger(str) {
		c.reportf(v, path, "not an integer")
		return
	}
	if f, _ := strconv.ParseFloat(str, 64); s.limited && (f < s.least || f > s.most) {
		c.reportf(v, path, "not from %.0f to %.0f", s.least, s.most)
	}
}

// isInteger reports whether a JSON number is whole, as 1.0 and 10e-1 are.
func isInteger(s string) bool {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(strings.TrimPrefix(s, "-")), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return true
	}
	e := 0
	if exponent != "" {
		var err error
		if e, err = strconv.Atoi(strings.TrimPrefix(exponent, "+")); err != nil {
			return !strings.HasPrefix(exponent, "-") // out of an int's range
		}
	}
	zeros := len(digits) - len(strings.TrimRight(digits, "0"))
	return e >= len(fraction)-zeros
}

// union is an object of one of several kinds, by the string under a key. Other,
// if there is one, is for any other string.
type union struct {
	key   string
	of    map[string]schema
	other schema
}

func (s union) check(c *checker, v *value, path string) {
	if !c.want(v, path, kindObject, "an object") {
		return
	}
	kind := v.get(s.key)
	of, ok := s.of[c.str(kind)]
	switch {
	case kind == nil:
		c.reportf(v, path, "%s is missing", s.key)
	case ok:
		of.check(c, v, path)
	case s.other != nil:
		s.other.check(c, v, path)
	default:
		oneOf(slices.Sorted(maps.Keys(s.of))).check(c, kind, join(path, s.key))
	}
}
