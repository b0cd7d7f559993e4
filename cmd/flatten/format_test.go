// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"testing"
)

// What a terminal would act on is escaped, in a way that JSON understands.
func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "",
		"plain\ttext\n":          "plain\ttext\n",
		"grüße, 世界 🎉":            "grüße, 世界 🎉",
		"\x1b[31mred\x00\x7f\r":  `\u001b[31mred\u0000\u007f\u000d`,
		"\u009b2J":               `\u009b2J`,
		"\u202egnp.exe":          `\u202egnp.exe`,
		"\U000e0041":             `\udb40\udc41`,
		"bad\xff\xfe":            `bad\xff\xfe`,
		"\ufffd is a character":  "\ufffd is a character",
		`\u001b as it is, "too"`: `\u001b as it is, "too"`,
	} {
		if got := visible(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for _, s := range []string{"\x1b\u0085\u202e\U000e0041", "a\"b\\\u2028<&>", "世界"} {
		text, err := marshalJSON(s, "")
		var back string
		if err != nil || json.Unmarshal([]byte(text), &back) != nil || back != s {
			t.Errorf("%q: %s is %q, %v", s, text, back, err)
		}
	}
	if got, want := cell("a\tb\nc\x1b"), `a b\nc\u001b`; got != want {
		t.Errorf("cell %q, want %q", got, want)
	}
}
