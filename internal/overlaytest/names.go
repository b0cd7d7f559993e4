// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package overlaytest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
)

// pick chooses one of a list.
func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// chance is true once in n.
func chance(r *rand.Rand, n int) bool { return r.IntN(n) == 0 }

// plainNames are few, so that layers meet on the same paths.
var plainNames = []string{"a", "b", "c", "d", "e", "f", "lib", "usr", "bin", "etc"}

// oddNames are names that programs stumble over.
var oddNames = []string{
	"with space", " ", "new\nline", "tab\t", "\x01\x7f", "back\\slash", "quote\"'", "*", "~", "$HOME", "-", "--", "-rf",
	"..foo", "...", "....", ".hidden", "x.", "c:d", "c:", "a=b", "@LongLink", "pax_global_header", "PaxHeaders.0",
	"GNUSparseFile.0", "12 path=x\n", "wh.x", ".wh", "x.wh.y", ".w", "\xff\xfe", "\xc3", "h\xe9llo", "ünïcode", "e\u0301", "é", "日本語",
	"A", "a.", strings.Repeat("n", 98), strings.Repeat("n", 99), strings.Repeat("n", 100), strings.Repeat("n", 101),
	strings.Repeat("p", 155), strings.Repeat("é", 100), strings.Repeat("l", 240), strings.Repeat("m", 255),
}

// randomName is a name for a new path.
func randomName(r *rand.Rand) string {
	switch r.IntN(10) {
	case 0, 1:
		return pick(r, oddNames...)
	case 2:
		return fmt.Sprintf("n%d", r.IntN(50))
	}
	return pick(r, plainNames...)
}

// randomTarget is a target for a symbolic link. existing may be nil.
func randomTarget(r *rand.Rand, existing []string) string {
	if len(existing) > 0 && chance(r, 2) {
		p := pick(r, existing...)
		return pick(r, p, "/"+p, "../"+p, "./"+p, p+"/", "../../../"+p)
	}
	return pick(r, "a", "../b", "/", ".", "..", "/etc/passwd", "../../../../../etc/passwd", "nowhere", "/nowhere/at/all", "usr/lib",
		"with space", "new\nline", "\xff", strings.Repeat("t/", 80), strings.Repeat("u", 101), strings.Repeat("v/", 700), "..foo", "c:d", "//x//", "a/./b")
}

// randomContent is the content of a file.
func randomContent(r *rand.Rand) []byte {
	size := pick(r, 0, 0, 1, 5, 100, 511, 512, 513, 1000, 1024, 4096, 5000, 20000)
	if chance(r, 40) {
		size = pick(r, 70_000, 131_072, 300_001)
	}
	b := make([]byte, size)
	switch r.IntN(4) {
	case 0: // cannot be compressed
		for i := range b {
			b[i] = byte(r.Uint32())
		}
	case 1: // looks like a tar header
		copy(b, "a\x00")
		if size > 300 {
			copy(b[257:], "ustar\x0000root")
		}
	case 2: // text
		b = bytes.Repeat([]byte(fmt.Sprintf("line %d\n", r.IntN(1000))), size/6+1)[:size]
	}
	return b
}

// randomMode is a mode without the type.
func randomMode(r *rand.Rand) uint32 {
	if chance(r, 4) {
		return uint32(r.IntN(0o10000))
	}
	return pick[uint32](r, 0o644, 0o755, 0o600, 0o4755, 0o2755, 0o1777, 0o6711, 0, 0o7777)
}

// randomOwner is a user or group number.
func randomOwner(r *rand.Rand) int {
	id := pick[int64](r, 0, 0, 0, 1, 1000, 65534, 2097151, 2097152, 1<<31-1, 1<<31, 1<<32-2)
	if int64(int(id)) != id {
		return 1 << 30 // more than an int can hold here
	}
	return int(id)
}

// randomTime is a modification time before the present.
func randomTime(r *rand.Rand) (sec, nsec int64) {
	sec = r.Int64N(1_700_000_000)
	if chance(r, 10) {
		sec = pick[int64](r, 0, 1, -1, -1_000_000_000, 1<<31-1, 1<<31, 1<<32, 1<<33, 1<<33+5)
	}
	return sec, pick(r, 0, 0, 1, 500_000_000, 999_999_999, 123_456_789, r.Int64N(1_000_000_000))
}

// capability is a security.capability attribute: version 2, cap_net_raw
// effective and permitted, with a few bits at random.
func capability(r *rand.Rand) string {
	return "\x01\x00\x00\x02" + string([]byte{byte(r.Uint32()), 0x20}) + strings.Repeat("\x00", 14)
}

// randomXattr is an extended attribute. user tells whether user.* will do.
func randomXattr(r *rand.Rand, user bool) (key, value string) {
	if !user || chance(r, 4) {
		if chance(r, 3) {
			return "security.custom", "x"
		}
		return "security.capability", capability(r)
	}
	key = pick(r, "user.a", "user.b", "user.é", "user.with space", "user.mime_type", "user.overlay.opaque", "user."+strings.Repeat("k", 200))
	value = pick(r, "", "y", "with\x00zero", "line\nline\n", "\xff\xfe", "1 a=b\n", strings.Repeat("v", 3000))
	return key, value
}
