// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// parseChallenge finds the first challenge that can be answered in the values
// of WWW-Authenticate headers (RFC 9110, section 11.6.1). It returns nil when
// there is none.
func parseChallenge(values []string, insecure bool) *transport.Challenge {
	for _, value := range values {
		scheme, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
		switch strings.ToLower(scheme) {
		case "bearer", "basic":
			return &transport.Challenge{Scheme: scheme, Parameters: parseParameters(rest), Insecure: insecure}
		}
	}
	return nil
}

// parseParameters reads key=value and key="value" pairs between commas.
func parseParameters(s string) map[string]string {
	parameters := map[string]string{}
	for s != "" {
		key, rest, ok := strings.Cut(s, "=")
		if !ok {
			break
		}
		key = strings.ToLower(strings.Trim(key, " \t,"))
		var value string
		if quoted, isQuoted := strings.CutPrefix(rest, `"`); isQuoted {
			value, s = unquote(quoted)
		} else {
			value, s, _ = strings.Cut(rest, ",")
			value = strings.TrimSpace(value)
		}
		parameters[key] = value
	}
	return parameters
}

// unquote reads a quoted string up to its closing quote and returns what
// follows it.
func unquote(s string) (value, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:]
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), ""
}
