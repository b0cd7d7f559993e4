// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package digest

import (
	"strings"

	"github.com/opencontainers/go-digest"
)

// FromName returns the digest and the suffix of the name of a file, without its
// folder: what Publish has made it of. ok is false for a name that does not begin
// with a digest, 64 lower-case hexadecimal digits that nothing or a dot follows.
func FromName(name string) (d digest.Digest, suffix string, ok bool) {
	hex, suffix := name, ""
	if i := strings.IndexByte(name, '.'); i >= 0 {
		hex, suffix = name[:i], name[i:]
	}
	d = digest.NewDigestFromEncoded(digest.SHA256, hex)
	if d.Validate() != nil {
		return "", "", false
	}
	return d, suffix, true
}
