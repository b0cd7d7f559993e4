// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package near

import (
	"slices"
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	long := strings.Repeat("n", maxName)
	list := []string{"passwd", "passwd-", "shadow", "group", "1.0", "1.1", "latest", "a", long, long + "n"}
	for name, want := range map[string]string{
		"paswd": "passwd", "passwrd": "passwd", "password": "passwd", "psaswd": "passwd", "Passwd": "passwd",
		"gruop": "group", "shadw": "shadow", "1.o": "1.0", "1.2": "1.0", "lastest": "latest", "latest2": "latest",
		"b": "", "xyz": "", "": "", "group.conf": "", long[1:]: long, long + "n": "", strings.Repeat("x", 1000): "",
	} {
		if got := Name(name, slices.Values(list)); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abcd", "badc", 2},
		{"kitten", "sitting", 3}, {"ca", "abc", 3},
	} {
		if got := distance(tt.a, tt.b); got != tt.want || distance(tt.b, tt.a) != got {
			t.Errorf("%q, %q: %d and %d, want %d", tt.a, tt.b, got, distance(tt.b, tt.a), tt.want)
		}
	}
}
