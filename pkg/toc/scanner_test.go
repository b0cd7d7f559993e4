// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	. "github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// scanned is what became of a stream.
type scanned struct {
	entries  []toc.Entry
	warnings []image.Warning
	err      error
}

// scan scans a stream written in chunks of n bytes; 0 means in one.
func scan(stream []byte, n int, limits image.Limits) (s scanned) {
	sc := toc.NewScanner(limits)
	if n == 0 {
		n = max(1, len(stream))
	}
	for chunk := range slices.Chunk(stream, n) {
		if _, s.err = sc.Write(chunk); s.err != nil {
			return s
		}
	}
	s.entries, s.warnings, s.err = sc.Finish()
	return s
}

// lines are the entries, one to a line.
func (s scanned) lines() (lines []string) {
	for _, e := range s.entries {
		lines = append(lines, line(&e))
	}
	return lines
}

// rules are the numbers of the warnings.
func (s scanned) rules() (rules []int) {
	for _, w := range s.warnings {
		rules = append(rules, w.Rule)
	}
	return rules
}

// line is an entry's type and name, and what is not as tartest has it unless
// told otherwise.
func line(e *toc.Entry) string {
	var b strings.Builder
	add := func(when bool, format string, args ...any) {
		if when {
			fmt.Fprintf(&b, " "+format, args...)
		}
	}
	x := e.Extra
	if x == nil {
		x = &toc.Extra{}
	}
	const clock = "2006-01-02T15:04:05.999999999"
	usual := map[byte]uint16{'2': 0o777, '5': 0o755}[e.Type]
	fmt.Fprintf(&b, "%c %q", e.Type, e.Name)
	add(x.Link != "", "-> %q", x.Link)
	add(e.Size != 0, "size %d", e.Size)
	add(e.Mode != max(usual, 0o644), "%04o", e.Mode)
	add(e.UID != 0 || e.GID != 0, "%d:%d", e.UID, e.GID)
	add(x.Uname != "" || x.Gname != "", "%s:%s", x.Uname, x.Gname)
	add(e.Sec != Time || e.Nsec != 0, "@%d.%09d", e.Sec, e.Nsec)
	add(!x.AccessTime.IsZero(), "atime %s", x.AccessTime.Format(clock))
	add(!x.ChangeTime.IsZero(), "ctime %s", x.ChangeTime.Format(clock))
	add(x.Devmajor != 0 || x.Devminor != 0, "dev %d:%d", x.Devmajor, x.Devminor)
	for _, r := range x.Records {
		add(true, "%s=%q", r.Key, r.Value)
	}
	add(x.IsSparse, "sparse%v", x.Sparse)
	add(x.SparseHeader != 0, "map %d", x.SparseHeader)
	add(e.Flags&toc.Rewrite != 0, "rewrite")
	add(e.Flags&toc.Unpadded != 0, "unpadded")
	return b.String()
}

// patch replaces bytes of an entry's last header block, body bytes before the
// entry's end, and makes its checksum right again. Fields are those of POSIX
// pax, "ustar Interchange Format", and of the formats that share its block.
func patch(e Entry, body, at int, text string) Entry {
	b := Stream(e)
	h := b[len(b)-body-512:][:512]
	copy(h[at:], text)
	return Raw(string(b[:len(b)-body-512]) + string(sum(h)) + string(b[len(b)-body:]))
}

// sum makes the checksum of a header block right.
func sum(h []byte) []byte {
	copy(h[148:156], "        ")
	n := 0
	for _, c := range h {
		n += int(c)
	}
	copy(h[148:156], fmt.Sprintf("%06o\x00 ", n))
	return h
}

// tar is a stream of the entries and two zero blocks.
func tar(entries ...Entry) []byte { return Layer(entries...).Tar }

func rec(key, value string) Record       { return Record{Key: key, Value: value} }
func frag(offset, length int64) Fragment { return Fragment{Offset: offset, Length: length} }

// vectors are named by the cases of docs/semantics.md where there is one.
var vectors = []struct {
	name   string
	stream []byte
	want   []string // lines
	rules  []int    // warnings
	err    string   // part of the error, empty for none
}{
	// Entries as tools write them.
	{
		name: "all-types",
		stream: tar(Dir("d").Mode(0o1777), File("d/f", "hello").Owner(1, 2).Names("u", "g"), Link("l", "d/f"),
			Symlink("s", "../x"), Char("c", 1, 3), Block("b", 8, 0), Fifo("p")),
		want: []string{
			`5 "d/" 1777`, `0 "d/f" size 5 1:2 u:g`, `1 "l" -> "d/f"`, `2 "s" -> "../x"`,
			`3 "c" dev 1:3`, `4 "b" dev 8:0`, `6 "p"`,
		},
	},
	{name: "path-101", stream: tar(File(strings.Repeat("n", 101), "")), want: []string{`0 "` + strings.Repeat("n", 101) + `"`}},
	{
		name:   "ustar-prefix",
		stream: tar(File(strings.Repeat("d", 100)+"/"+strings.Repeat("n", 99), "1").USTAR()),
		want:   []string{`0 "` + strings.Repeat("d", 100) + "/" + strings.Repeat("n", 99) + `" size 1`},
	},
	{
		name:   "x-gnu-longname",
		stream: tar(Link(strings.Repeat("n", 300), strings.Repeat("t", 300)).GNU()),
		want:   []string{`1 "` + strings.Repeat("n", 300) + `" -> "` + strings.Repeat("t", 300) + `"`},
	},
	{name: "path-forms", stream: tar(File("./a", ""), File("/b", ""), File("x//../c", ""), File("..foo", ""), File("", "")),
		want: []string{`0 "./a"`, `0 "/b"`, `0 "x//../c"`, `0 "..foo"`, `0 ""`}},
	{name: "path-nonutf8", stream: tar(File("\xff\n\\", ""), File("\xfe", "").LongPAX()), want: []string{`0 "\xff\n\\"`, `0 "\xfe"`}},

	// 89, 90, 95, 96: names and targets.
	{name: "path-slash-file", stream: tar(File("x/", "1")), want: []string{`0 "x/" size 1 rewrite`}},
	{name: "path-slash-nulflag", stream: tar(File("x/", "").Type(0)), want: []string{`5 "x/" 0644 rewrite`}},
	{name: "path-nul-pax", stream: tar(File("f", "").PAX("path", "a\x00b")), err: `byte 0 of the tar: bad PAX record at byte 0`},
	{name: "symlink-abs", stream: tar(Symlink("s", "/a/../b//")), want: []string{`2 "s" -> "/a/../b//"`}},
	{name: "symlink-empty", stream: tar(Symlink("s", "")), err: `entry "s" at byte 0 of the tar: symbolic link without a target`},
	{name: "link-4095", stream: tar(Symlink("s", strings.Repeat("t", 4095))), want: []string{`2 "s" -> "` + strings.Repeat("t", 4095) + `"`}},
	{name: "link-5000", stream: tar(File("f", ""), Symlink("s", strings.Repeat("t", 5000))),
		err: `entry "s" at byte 6144 of the tar: target of a symbolic link has 5000 bytes`},

	// 97-100: extension headers.
	{name: "pax-global", stream: tar(GlobalHeader("g", rec("mtime", "5")), File("a", ""), GlobalHeader("g"), File("b", "")),
		want: []string{`0 "a"`, `0 "b"`}, rules: []int{97}},
	{name: "pax-global-between", stream: tar(ExtensionHeader(rec("path", "x")), LongName("y"), GlobalHeader("g"), File("a", "")),
		want: []string{`0 "a"`}, rules: []int{97}},
	{name: "pax-global-bad", stream: tar(GlobalHeader("g").Body("junk"), File("a", "")), err: "bad PAX record"},
	{name: "x-pax-path-size", stream: tar(File("f", "12345").Size(0).PAX("path", "p").PAX("size", "5").PAX("uid", "7").PAX("uname", "u")),
		want: []string{`0 "p" size 5 7:0 u:`}},
	{name: "x-pax-two-x", stream: tar(ExtensionHeader(rec("path", "p"), rec("gid", "5")), File("f", "").PAX("uid", "7")),
		want: []string{`0 "f" 7:0 rewrite`}},
	{name: "x-pax-then-L", stream: tar(ExtensionHeader(rec("path", "p")), LongName("l"), File("f", "")), want: []string{`0 "l" rewrite`}},
	{name: "x-L-then-pax", stream: tar(LongName("l"), File("f", "").PAX("path", "p")), want: []string{`0 "l" rewrite`}},
	{name: "x-two-L", stream: tar(LongName("l"), LongName("m"), File("f", "")), want: []string{`0 "m" rewrite`}},
	{name: "x-L-without-nul", stream: tar(File("", "l").Type('L').GNU(), File("f", "")), want: []string{`0 "l" rewrite`}},
	{name: "x-L-empty", stream: tar(LongName(""), File("f", "")), want: []string{`0 "f" rewrite`}},
	{name: "x-pax-trailing-no-entry", stream: tar(File("f", ""), ExtensionHeader(rec("path", "p"))), want: []string{`0 "f"`}},
	{name: "x-pax-twice-one-key", stream: tar(File("f", "").PAX("path", "p").PAX("path", "q")), want: []string{`0 "q" rewrite`}},
	{name: "x-pax-empty-value", stream: tar(File("f", "").PAX("path", "").PAX("comment", "")), want: []string{`0 "f" comment="" rewrite`}},
	{name: "x-pax-bad-number", stream: tar(File("f", "").PAX("uid", "1x")), err: `entry "f" at byte 1024 of the tar: bad value of PAX record "uid"`},
	{name: "x-pax-over-1MiB", stream: tar(File("f", "").PAX("comment", strings.Repeat("c", 1<<20))), err: "extension header of type 'x' has 1048593 bytes"},
	{name: "x-L-over-1MiB", stream: tar(LongName(strings.Repeat("c", 1<<20)), File("f", "")), err: "extension header of type 'L' has 1048577 bytes"},
	{name: "x-pax-empty", stream: tar(ExtensionHeader(), File("f", "")), want: []string{`0 "f"`}},

	// 101-108, 128: records.
	{name: "pax-xattr", stream: tar(File("f", "1").Xattr("user.k", "v").Xattr("security.capability", "\x01\x00\x00\x02")),
		want: []string{`0 "f" size 1 SCHILY.xattr.security.capability="\x01\x00\x00\x02" SCHILY.xattr.user.k="v"`}},
	{name: "x-xattr-nul-value", stream: tar(File("f", "").Xattr("user.k", "\x00")), want: []string{`0 "f" SCHILY.xattr.user.k="\x00"`}},
	{name: "x-xattr-empty", stream: tar(File("f", "").Xattr("user.k", "")), want: []string{`0 "f" SCHILY.xattr.user.k=""`}},
	{name: "x-xattr-64k", stream: tar(File("f", "").Xattr("user.k", strings.Repeat("v", 1<<16))),
		want: []string{`0 "f" SCHILY.xattr.user.k="` + strings.Repeat("v", 1<<16) + `"`}},
	{name: "x-xattr-70k", stream: tar(File("f", "").Xattr("user.k", strings.Repeat("v", 70000))), err: `extended attribute "user.k" has 70000 bytes`},
	{name: "x-pax-unknown-keys", stream: tar(File("f", "").PAX("comment", "c").PAX("MSWINDOWS.rawsd", "x").PAX("LIBARCHIVE.xattr.user.k", "dg")),
		want: []string{`0 "f" LIBARCHIVE.xattr.user.k="dg" MSWINDOWS.rawsd="x" comment="c"`}},

	// 110-118: modes, owners, times, devices.
	{name: "setuid", stream: tar(File("f", "").Mode(0o7755)), want: []string{`0 "f" 7755`}},
	{name: "mode-highbits", stream: tar(File("f", "").Mode(0o104755)), want: []string{`0 "f" 4755`}},
	{name: "mode-of-all-types", stream: tar(Dir("d").Mode(0o40755), Symlink("s", "t").Mode(0o120777), Link("l", "d").Mode(0o120777), Char("c", 1, 3).Mode(0o20644)),
		want: []string{`5 "d/"`, `2 "s" -> "t"`, `1 "l" -> "d" 0777`, `3 "c" dev 1:3`}},
	{name: "mode-of-another-type", stream: tar(File("f", "").Mode(0o40755), Dir("d").Mode(0o1040755), Link("l", "f").Mode(0o170644)),
		want: []string{`0 "f" 0755 rewrite`, `5 "d/" rewrite`, `1 "l" -> "f" rewrite`}},
	{name: "x-uname-only", stream: tar(File("f", "").Names("daemon", "daemon")), want: []string{`0 "f" daemon:daemon`}},
	{name: "uid-huge", stream: tar(File("f", "").Owner(1<<32-2, 1<<32-2)), want: []string{`0 "f" 4294967294:4294967294`}},
	{name: "uid-base256", stream: tar(File("f", "").Owner(3000000, 1<<32-2).GNU()), want: []string{`0 "f" 3000000:4294967294`}},
	{name: "uid-4294967295", stream: tar(File("f", "").Owner(1<<32-1, 0)), err: "uid 4294967295 is out of range"},
	{name: "uid-over32", stream: tar(File("f", "").Owner(0, 1<<32).GNU()), err: "gid 4294967296 is out of range"},
	{name: "uid-neg", stream: tar(File("f", "").Owner(-1, 0).GNU()), err: "uid -1 is out of range"},
	{name: "mtime-subsec", stream: tar(File("f", "").AtNano(5, 123456789)), want: []string{`0 "f" @5.123456789`}},
	{name: "x-mtime-ustar-subsec-pax999", stream: tar(File("f", "").PAX("mtime", "5.9999999999")), want: []string{`0 "f" @5.999999999`}},
	{name: "mtime-neg", stream: tar(File("f", "").PAX("mtime", "-1.5"), File("g", "").PAX("mtime", "-0.25")),
		want: []string{`0 "f" @-2.500000000`, `0 "g" @-1.750000000`}},
	{name: "x-mtime-gnu-neg", stream: tar(File("f", "").At(-100).GNU()), want: []string{`0 "f" @-100.000000000`}},
	{name: "mtime-huge", stream: tar(File("f", "").At(1 << 40)), want: []string{`0 "f" @1099511627776.000000000`}},
	{name: "x-atime-ctime", stream: tar(File("f", "").PAX("atime", "1.5").PAX("ctime", "2")),
		want: []string{`0 "f" atime 1970-01-01T00:00:01.5 ctime 1970-01-01T00:00:02`}},
	{name: "x-atime-gnu", stream: tar(patch(File("f", "").GNU(), 0, 345, "00000000001\x0000000000002\x00")),
		want: []string{`0 "f" atime 1970-01-01T00:00:01 ctime 1970-01-01T00:00:02`}},
	{name: "x-gnu-with-prefix", stream: tar(patch(File("f", "").GNU(), 0, 345, "pre/fix")), want: []string{`0 "pre/fix/f" rewrite`}},
	{name: "x-star", stream: tar(patch(patch(File("f", "").USTAR(), 0, 345, "dir"), 0, 476, "00000000001\x0000000000002\x00\x00\x00\x00\x00\x00\x00\x00\x00tar\x00")),
		want: []string{`0 "dir/f" atime 1970-01-01T00:00:01 ctime 1970-01-01T00:00:02 rewrite`}},
	{name: "dev-block00", stream: tar(Block("b", 0, 0)), want: []string{`4 "b"`}},
	{name: "x-dev-huge", stream: tar(Char("c", 1<<32, 0).GNU()), err: "device number 4294967296:0 is out of range"},
	{name: "x-dev-neg", stream: tar(Char("c", 0, -1).GNU()), err: "device number 0:-1 is out of range"},

	// 119-126: types and sizes.
	{name: "type-sockS", stream: tar(File("f", "").Type('s')), err: `entry "f" at byte 0 of the tar: entry type 's' is not one`},
	{name: "type-V", stream: tar(File("f", "").Type('V')), err: "entry type 'V'"},
	{name: "type-M", stream: tar(File("f", "").Type('M')), err: "entry type 'M'"},
	{name: "type-D", stream: tar(File("f", "").Type('D')), err: "entry type 'D'"},
	{name: "type-N", stream: tar(File("f", "").Type('N')), err: "entry type 'N'"},
	{name: "type-X", stream: tar(File("f", "").Type('X')), err: "entry type 'X'"},
	{name: "type-Z", stream: tar(File("f", "").Type('Z')), err: "entry type 'Z'"},
	{name: "type-contiguous", stream: tar(File("f", "1").Type('7')), want: []string{`0 "f" size 1 rewrite`}, rules: []int{121}},
	{name: "type-nul-reg", stream: tar(File("f", "1").Type(0).V7()), want: []string{`0 "f" size 1 rewrite`}},
	{name: "hl-with-size", stream: tar(Link("l", "f").Size(3)), err: `entry "l" at byte 0 of the tar: hard link with a size of 3 bytes`},
	{name: "dir-with-size", stream: tar(Dir("d").Size(512)), err: "directory with a size of 512 bytes"},
	{name: "symlink-with-size", stream: tar(Symlink("s", "t").PAX("size", "1")), err: "symbolic link with a size of 1 bytes"},
	{name: "dir-with-size-in-header-alone", stream: tar(Dir("d").Size(1).PAX("size", "0")), want: []string{`5 "d/" rewrite`}},
	{name: "x-nulflag-dir-with-size", stream: tar(File("d/", "").Type(0).Size(1)), err: "directory with a size of 1 bytes"},
	{name: "x-size-neg-b256", stream: tar(File("f", "").Size(-1)), err: `entry "f" at byte 0 of the tar: negative size`},
	{name: "x-size-neg-pax", stream: tar(File("f", "").PAX("size", "-1")), err: "negative size"},
	{name: "x-size-2^63", stream: tar(patch(File("f", ""), 0, 124, "\x80\x00\x00\x00\x80\x00\x00\x00\x00\x00\x00\x00")), err: "size is not a number, or too large"},
	{name: "x-size-exabytes", stream: tar(File("f", "").Size(1<<63 - 1)), err: "more than 1099511627776 uncompressed bytes"},
	{name: "x-bad-checksum", stream: tar(File("f", "").BadChecksum()), err: "byte 0 of the tar: no tar header: its checksum is wrong"},
	{name: "x-bad-number", stream: tar(patch(File("f", ""), 0, 100, "00008")), err: "mode is not a number"},
	{name: "x-digits-after-nul", stream: tar(patch(File("f", ""), 0, 108, "\x007")), want: []string{`0 "f" 229376:0 rewrite`}},
	{name: "x-junk-after-nul", stream: tar(patch(File("f", ""), 0, 108, "7\x00 9")), want: []string{`0 "f" 7:0 rewrite`}},
	{name: "x-digits-between-blanks", stream: tar(patch(File("f", ""), 0, 108, "   7   ")), want: []string{`0 "f" 7:0`}},
	{name: "x-base256-first-byte", stream: tar(patch(File("f", ""), 0, 136, "\x81\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")), err: "mtime is not a number"},
	{name: "x-base256-first-byte-uid", stream: tar(patch(File("f", ""), 0, 108, "\xfe\xff\xff\xff\xff\xff\xff\xff")), err: "uid -72057594037927937 is out of range"},
	{name: "x-gnu-realsize-of-whole-file", stream: tar(patch(File("f", "1").GNU(), 512, 483, "00000000009")), want: []string{`0 "f" size 1 rewrite`}},
	{name: "x-link-name-of-file", stream: tar(patch(File("f", ""), 0, 157, "t")), want: []string{`0 "f" rewrite`}},
	{name: "x-K-of-file", stream: tar(LongLink("t"), File("f", "")), want: []string{`0 "f" rewrite`}},
	{name: "x-v7-with-magic-of-none", stream: tar(patch(File("f", "").V7(), 0, 257, "ustat")), want: []string{`0 "f" rewrite`}},

	// 123, 124: sparse files.
	{name: "sparse-old", stream: tar(OldSparse("f", 20, "abcde", frag(2, 3), frag(10, 2)), File("g", "1")),
		want: []string{`0 "f" size 20 sparse[{2 3} {10 2}] rewrite`, `0 "g" size 1`}, rules: []int{123}},
	{name: "sparse-old-empty", stream: tar(OldSparse("f", 20, "")), want: []string{`0 "f" size 20 sparse[] rewrite`}, rules: []int{123}},
	{name: "sparse-old-extended", stream: tar(
		patch(OldSparse("f", 4000, "", frag(0, 1), frag(512, 1), frag(1024, 1), frag(1536, 1)).Size(5), 0, 482, "\x01"),
		Raw(fmt.Sprintf("%011o\x00%011o\x00%0488d", 2048, 1, 0)[:24]+strings.Repeat("\x00", 488)), Raw("abcde"+strings.Repeat("\x00", 507)), File("g", "1")),
		want: []string{`0 "f" size 4000 sparse[{0 1} {512 1} {1024 1} {1536 1} {2048 1}] rewrite`, `0 "g" size 1`}, rules: []int{123}},
	{name: "sparse-old-ustar", stream: tar(File("f", "").Type('S')), err: "without a GNU header"},
	{name: "sparse-old-overlap", stream: tar(OldSparse("f", 20, "abcd", frag(2, 2), frag(3, 2))), err: "overlap"},
	{name: "sparse-old-past-end", stream: tar(OldSparse("f", 20, "ab", frag(19, 2))), err: "past its end"},
	{name: "sparse-old-unreferenced", stream: tar(OldSparse("f", 20, "abc", frag(2, 2))), err: "take 2 bytes, but 3 are stored"},
	{name: "sparse-pax00", stream: tar(File("f", "abc").PAX("GNU.sparse.size", "10").PAX("GNU.sparse.numblocks", "2").
		PAX("GNU.sparse.offset", "0").PAX("GNU.sparse.numbytes", "1").PAX("GNU.sparse.offset", "4").PAX("GNU.sparse.numbytes", "2")),
		want: []string{`0 "f" size 10 sparse[{0 1} {4 2}] rewrite`}},
	{name: "sparse-pax01", stream: tar(File("x", "abc").PAX("GNU.sparse.name", "f").PAX("GNU.sparse.size", "10").PAX("GNU.sparse.numblocks", "3").
		PAX("GNU.sparse.map", "0,1,4,2,10,0").PAX("comment", "c")),
		want: []string{`0 "f" size 10 comment="c" sparse[{0 1} {4 2}] rewrite`}},
	{name: "sparse-pax10", stream: tar(sparse10("2\n0\n1\n4\n2\n", "abc"), File("g", "1")),
		want: []string{`0 "f" size 10 sparse[{0 1} {4 2}] map 512 rewrite`, `0 "g" size 1`}},
	{name: "sparse-pax10-two-blocks", stream: tar(sparse10("1\n"+strings.Repeat("0", 600)+"\n3\n", "abc")),
		want: []string{`0 "f" size 10 sparse[{0 3}] map 1024 rewrite`}},
	{name: "sparse-pax10-short", stream: tar(sparse10("3\n0\n1\n4\n2\n", "abc")), err: "ends in its map"},
	{name: "sparse-pax10-many", stream: tar(sparse10("9223372036854775807\n", "")), err: "bad number of fragments"},
	{name: "sparse-pax10-overflow", stream: tar(sparse10("1\n9223372036854775807\n1\n", "a")), err: "out of range"},
	{name: "sparse-pax-exabytes", stream: tar(File("f", "").PAX("GNU.sparse.major", "0").PAX("GNU.sparse.minor", "1").
		PAX("GNU.sparse.realsize", "9223372036854775807").PAX("GNU.sparse.numblocks", "0").PAX("GNU.sparse.map", "")),
		err: "more than 1099511627776 uncompressed bytes"},
	{name: "sparse-pax-dir", stream: tar(Dir("f").PAX("GNU.sparse.numblocks", "1").PAX("GNU.sparse.map", "0,0")), err: "no regular file"},
	{name: "sparse-pax-unknown", stream: tar(File("f", "abc").PAX("GNU.sparse.major", "2").PAX("GNU.sparse.realsize", "9")),
		want: []string{`0 "f" size 3 rewrite`}, rules: []int{124}},

	// 130-135: framing.
	{name: "eoa-none", stream: Stream(File("f", "1")), want: []string{`0 "f" size 1`}, rules: []int{130}},
	{name: "eoa-one-block", stream: Stream(File("f", "1"), Zeros(1)), want: []string{`0 "f" size 1`}, rules: []int{130}},
	{name: "eoa-garbage", stream: tar(File("f", "1"), Zeros(2), Raw("garbage that is no block"+strings.Repeat("x", 1000))), want: []string{`0 "f" size 1`}},
	{name: "eoa-concat", stream: tar(File("f", "1"), Zeros(2), Zeros(3), File("g", ""), File("h", "")), want: []string{`0 "f" size 1`}, rules: []int{132}},
	{name: "eoa-single-zero-mid", stream: tar(File("f", "1"), Zeros(1), File("g", "")), err: "byte 1536 of the tar: a single zero block"},
	{name: "eoa-unpadded", stream: Stream(File("f", "hello"))[:512+5], want: []string{`0 "f" size 5 unpadded`}, rules: []int{130}},
	{name: "eoa-unpadded-x", stream: Stream(File("f", ""), ExtensionHeader(rec("path", "p")))[:512+512+20], want: []string{`0 "f"`}, rules: []int{130}},
	{name: "trunc-mid-file", stream: Stream(File("f", "hello"))[:512+4], err: `entry "f" at byte 516 of the tar: the tar ends 1 bytes before the body does`},
	{name: "trunc-mid-header", stream: Stream(File("f", ""))[:511], err: "byte 511 of the tar: the tar ends in a header"},
	{name: "trunc-mid-zero", stream: tar(File("f", ""))[:512+512+1], err: "the tar ends in a header"},
	{name: "trunc-mid-x", stream: Stream(ExtensionHeader(rec("path", "p")))[:520], err: "the tar ends in an extension header"},
	{name: "empty-tar", stream: tar()},
	{name: "zero-bytes"},
	{name: "gzip-inside", stream: GzipBytes(make([]byte, 512)), err: "it is not a tar but gzip data: compressed twice"},
}

// sparse10 is a sparse file "f" of 10 bytes in format 1.0.
func sparse10(text, data string) Entry {
	text += strings.Repeat("\x00", -len(text)&511)
	return File("GNUSparseFile.0/f", text+data).PAX("GNU.sparse.major", "1").PAX("GNU.sparse.minor", "0").
		PAX("GNU.sparse.name", "f").PAX("GNU.sparse.realsize", "10")
}

func TestScanner(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			got := scan(v.stream, 0, image.Limits{})
			if v.err != "" {
				wantError(t, got.err, v.err)
			} else if got.err != nil {
				t.Fatal(got.err)
			}
			if d := cmp.Diff(v.want, got.lines()); d != "" {
				t.Errorf("entries (-want +got):\n%s", d)
			}
			if d := cmp.Diff(v.rules, got.rules()); d != "" {
				t.Errorf("warnings (-want +got):\n%s", d)
			}
			checkStream(t, v.stream)
		})
	}
}

// wantError checks that err is an EntryError with a text, and corrupt.
func wantError(t *testing.T, err error, text string) {
	t.Helper()
	var entry *toc.EntryError
	switch {
	case err == nil:
		t.Fatalf("no error, want %q", text)
	case !errors.As(err, &entry), !errors.Is(err, image.ErrCorrupt):
		t.Errorf("%v is not a corrupt EntryError", err)
	}
	if !strings.Contains(err.Error(), text) {
		t.Errorf("error %q, want %q", err, text)
	}
}

func TestScannerLimits(t *testing.T) {
	two := tar(File("abc", "1"), File("def", "1"))
	long := tar(File(strings.Repeat("n", 200), "1"))
	holes := tar(OldSparse("f", 1<<30, "a", frag(0, 1)))
	for _, c := range []struct {
		name   string
		stream []byte
		limits image.Limits
		over   string
	}{
		{"entries", two, image.Limits{Entries: 1}, "Entries"},
		{"entries-ok", two, image.Limits{Entries: 2}, ""},
		{"size", two, image.Limits{Size: int64(len(two)) - 1}, "Size"},
		{"size-ok", two, image.Limits{Size: int64(len(two))}, ""},
		{"size-announced", tar(File("f", "").Size(1 << 20)), image.Limits{Size: 1 << 20}, "Size"},
		{"size-of-holes", holes, image.Limits{Size: 1 << 30}, "Size"},
		{"size-of-holes-ok", holes, image.Limits{Size: 1<<30 + 2048}, ""},
		{"header-bytes", long, image.Limits{HeaderBytes: 71}, "HeaderBytes"},
		{"header-bytes-ok", long, image.Limits{HeaderBytes: 72}, ""},
		{"fragments", tar(sparse10("2\n0\n1\n4\n2\n", "abc")), image.Limits{HeaderBytes: 176 + 64 + 64 + 1 - 128 - 1}, "HeaderBytes"},
		{"fragments-ok", tar(sparse10("2\n0\n1\n4\n2\n", "abc")), image.Limits{HeaderBytes: 176 + 64 + 64 + 1 - 128}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := scan(c.stream, 0, c.limits).err
			if c.over == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantError(t, err, "more than ")
			var limit *image.LimitError
			if !errors.As(err, &limit) || limit.Limit != c.over {
				t.Errorf("error %v, want one of limit %s", err, c.over)
			}
		})
	}
}

// An entry's headers are bounded even where each one is.
func TestScannerHeaders(t *testing.T) {
	var b []byte
	x := Stream(ExtensionHeader(rec("comment", strings.Repeat("c", 1<<20-20))))
	for range 9 {
		b = append(b, x...)
	}
	wantError(t, scan(append(b, tar(File("f", ""))...), 0, image.Limits{}).err, "headers of 94")
}

func TestScannerWarningsAreBounded(t *testing.T) {
	var entries []Entry
	for range 1010 {
		entries = append(entries, File("f", "").Type('7'))
	}
	got := scan(tar(entries...), 0, image.Limits{})
	if n := len(got.warnings); got.err != nil || n != 1001 {
		t.Fatalf("%d warnings, error %v", n, got.err)
	}
	if last := got.warnings[1000]; !strings.HasPrefix(last.Text, "10 more warnings") {
		t.Errorf("last warning is %q", last.Text)
	}
}

// Owners, labels and keys that many entries have alike are kept once.
func TestScannerSharesExtras(t *testing.T) {
	label := func(e Entry) Entry { return e.Names("root", "root").Xattr("security.selinux", "label") }
	got := scan(tar(label(File("a", "")), label(File("b", "")), File("c", "").Names("root", "root")), 0, image.Limits{})
	if got.err != nil {
		t.Fatal(got.err)
	}
	a, b, c := got.entries[0].Extra, got.entries[1].Extra, got.entries[2].Extra
	if a != b || a == c {
		t.Errorf("extras %p %p %p: the first two should be one", a, b, c)
	}
	if s := unsafe.Sizeof(toc.Entry{}); unsafe.Sizeof(uintptr(0)) == 8 && s != 72 {
		t.Errorf("an entry takes %d bytes, not the 72 that the documentation says", s)
	}
}

// A scanner that failed takes nothing more.
func TestScannerErrorIsSticky(t *testing.T) {
	s := toc.NewScanner(image.Limits{})
	_, err := s.Write(tar(File("f", "").BadChecksum()))
	if n, again := s.Write(tar(File("f", ""))); n != 0 || again != err {
		t.Errorf("wrote %d bytes, error %v, want %v", n, again, err)
	}
	if _, _, again := s.Finish(); again != err {
		t.Errorf("finish: %v, want %v", again, err)
	}
}
