// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseChallenge(t *testing.T) {
	tests := []struct {
		values []string
		want   string // scheme and parameters, sorted by fmt
	}{
		{nil, ""},
		{[]string{""}, ""},
		{[]string{"Negotiate"}, ""},
		{[]string{`Basic realm="x"`}, "Basic map[realm:x]"},
		{[]string{"Negotiate", ` bearer realm="https://a/token", service="s" ,scope="repository:x:pull,push"`},
			"bearer map[realm:https://a/token scope:repository:x:pull,push service:s]"},
		{[]string{`Bearer realm=https://a/token?b=c,service=s`}, "Bearer map[realm:https://a/token?b=c service:s]"},
		{[]string{`Bearer REALM="a\"b\\c",error="invalid_token"`}, `Bearer map[error:invalid_token realm:a"b\c]`},
		{[]string{`Bearer realm="never closed, scope=x`}, "Bearer map[realm:never closed, scope=x]"},
		{[]string{"Bearer"}, "Bearer map[]"},
		{[]string{"Bearer realm"}, "Bearer map[]"},
	}
	for _, test := range tests {
		got := ""
		if c := parseChallenge(test.values, false); c != nil {
			got = fmt.Sprint(c.Scheme, " ", c.Parameters)
		}
		if got != test.want {
			t.Errorf("%q: %s, want %s", test.values, got, test.want)
		}
	}
}

// Whatever parameters are written come back when they are read.
func FuzzParseChallenge(f *testing.F) {
	f.Add("https://a/token", "repository:x:pull,push", `Bearer realm="https://a/token",service="s"`)
	f.Add(`a"b\c`, "", `Basic realm=x, , =,"`)
	f.Add("", " ", `Bearer a=b="c\`)
	f.Fuzz(func(t *testing.T, realm, scope, odd string) {
		parseChallenge([]string{odd}, false)
		quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace
		c := parseChallenge([]string{`Bearer realm="` + quote(realm) + `",scope="` + quote(scope) + `"`}, true)
		if c == nil {
			t.Fatal("no challenge")
		}
		// The value as a whole is trimmed, its parameters are not.
		if c.Parameters["realm"] != realm || c.Parameters["scope"] != scope {
			t.Errorf("read %q, want realm %q and scope %q", c.Parameters, realm, scope)
		}
	})
}

// What is read of a Content-Range is what it says.
func FuzzContentRange(f *testing.F) {
	for _, seed := range []string{"bytes 0-9/10", "bytes 5-9/*", "bytes */10", "bytes 1-2/3/4", "bytes -1-2/3", "", "bytes 99999999999999999999-1/2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		first, total, err := contentRange(value)
		if err != nil {
			return
		}
		if first < 0 || total < -1 {
			t.Fatalf("%q: first %d, total %d", value, first, total)
		}
		size := fmt.Sprint(total)
		if total == -1 {
			size = "*"
		}
		again, sameTotal, err := contentRange(fmt.Sprintf("bytes %d-%d/%s", first, first, size))
		if err != nil || again != first || sameTotal != total {
			t.Errorf("%q: %d, %d; printed and read again %d, %d, %v", value, first, total, again, sameTotal, err)
		}
	})
}

// A registry's message is one short printable line.
func FuzzMessage(f *testing.F) {
	f.Add(`{"errors":[{"code":"DENIED","message":"no"}]}`)
	f.Add(`{"errors":[{"code":"\u001b[31m","message":""}]}`)
	f.Add(`{"errors":[{}]}`)
	f.Add("[")
	f.Fuzz(func(t *testing.T, body string) {
		got := shorten(messageIn([]byte(body)))
		if utf8.RuneCountInString(got) > maxErrorMessage+1 || strings.ContainsAny(got, "\n\r\x1b\x00") {
			t.Errorf("message %q", got)
		}
	})
}

// Waits that a registry asks for are never negative.
func FuzzRetryAfter(f *testing.F) {
	f.Add("7", "")
	f.Add("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:30 GMT")
	f.Add("-1", "yesterday")
	f.Fuzz(func(t *testing.T, after, date string) {
		h := http.Header{"Retry-After": {after}, "Date": {date}}
		if d := retryAfter(h); d < 0 {
			t.Errorf("%q, %q: %v", after, date, d)
		}
	})
}
