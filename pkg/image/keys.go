// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"encoding/json"
	"slices"
	"strings"
)

// CheckKeys fails for JSON that has a key twice in one object. What that means is
// a matter of opinion (RFC 8259 section 4): Go takes the last, others the first,
// and of two lists Go mixes the elements, so that what was looked at would not be
// what runs. Names of fields also count as the same when they differ in case
// alone, as they do for Go; names that users choose, of labels and annotations, do
// not. raw has been parsed before.
func CheckKeys(raw []byte) error {
	var open []*object // nil for an array
	var in *object
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '{', '[':
			in = in.open(raw[i])
			open = append(open, in)
		case '}', ']':
			open = open[:len(open)-1]
			in = nil
			if len(open) > 0 {
				in = open[len(open)-1]
			}
		case ',':
			in.value()
		case '"':
			text, n := cutString(raw[i:])
			if err := in.name(text); err != nil {
				return err
			}
			i += n - 1
		}
	}
	return nil
}

// cutString returns the string at the start of b and how long it is there.
func cutString(b []byte) (text []byte, n int) {
	escaped := false
	for n = 1; n < len(b) && b[n] != '"'; n++ {
		if b[n] == '\\' {
			escaped = true
			n++
		}
	}
	if !escaped {
		return b[1:n], n + 1
	}
	var s string
	_ = json.Unmarshal(b[:n+1], &s) // it has been parsed before
	return []byte(s), n + 1
}

// object is an object that is being read.
type object struct {
	keys    map[string]bool
	key     string // of the value that comes next, when inValue
	inValue bool
	free    bool // its names are chosen by users
}

// open begins a value that is an object or an array.
func (o *object) open(delim byte) *object {
	free := false
	if o != nil {
		free = o.free || slices.Contains(mapFields, strings.ToLower(o.key))
	}
	if delim == '[' {
		return nil
	}
	return &object{keys: map[string]bool{}, free: free}
}

// mapFields are the fields whose values are objects with names of the user's.
var mapFields = []string{"annotations", "labels", "volumes", "exposedports", "onbuild"}

// value ends a value: a name comes next.
func (o *object) value() {
	if o != nil {
		o.inValue = false
	}
}

// name takes a string, which is a name or a value.
func (o *object) name(text []byte) error {
	if o == nil || o.inValue {
		return nil
	}
	s := string(text)
	same := s
	if !o.free {
		same = strings.ToLower(s)
	}
	if o.keys[same] {
		return Corruptf("the JSON key %s occurs twice: readers differ on which one counts", Quote(s))
	}
	o.keys[same] = true
	o.key, o.inValue = s, true
	return nil
}
