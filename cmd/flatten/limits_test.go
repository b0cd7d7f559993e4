// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"reflect"
	"testing"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// Each limit that there is has one flag, which sets it and which its error names.
func TestLimitFlags(t *testing.T) {
	all := append(documentLimits[:len(documentLimits):len(documentLimits)], layerLimits...)
	fields := reflect.TypeFor[image.Limits]()
	if len(all) != fields.NumField() {
		t.Errorf("%d flags for %d limits", len(all), fields.NumField())
	}
	for _, l := range all {
		var limits image.Limits
		*l.get(&limits) = 7
		if got := reflect.ValueOf(limits).FieldByName(l.field); !got.IsValid() || got.Int() != 7 {
			t.Errorf("--%s does not set %s", l.flag, l.field)
		}
		err := image.Over(l.field, 7)
		if got, want := hint(err), "if the image is to be trusted, --"+l.flag+" raises the limit"; got != want {
			t.Errorf("%v: hint %q, want %q", err, got, want)
		}
	}
}

func TestParseLimit(t *testing.T) {
	for text, want := range map[string]int64{
		"1": 1, "1K": 1 << 10, "3M": 3 << 20, "1T": 1 << 40, "8388607T": 8388607 << 40,
		"": 0, "0": 0, "-1": 0, "K": 0, "1k": 0, "8388608T": 0, "1.5G": 0, "1KK": 0, "9223372036854775808": 0, "0K": 0,
	} {
		got, ok := parseLimit(text)
		if ok != (want != 0) || ok && got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, ok, want)
		}
	}
	for _, n := range []int64{1, 1000, 1024, 20_000_000, 64 << 20, 1 << 40, 1 << 50} {
		if got, ok := parseLimit(formatLimit(n)); !ok || got != n {
			t.Errorf("%d becomes %s and that %d", n, formatLimit(n), got)
		}
	}
}
