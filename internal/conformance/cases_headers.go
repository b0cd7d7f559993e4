// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"strings"

	"github.com/seed-81b0d42e/flatten/internal/tartest"
)

// pax is the records of an extension header, keys and values in turn.
func pax(keyValue ...string) []tartest.Record {
	var rs []tartest.Record
	for i := 0; i < len(keyValue); i += 2 {
		rs = append(rs, tartest.Record{Key: keyValue[i], Value: keyValue[i+1]})
	}
	return rs
}

// extensionCases are rules 97 to 100: headers that speak of other headers.
var extensionCases = []Case{
	warns(97, "pax-global", tree(`a "1"`),
		layer(tartest.GlobalHeader("pax_global_header", pax("comment", "a commit")...), file("a", "1"))),
	warns(97, "pax-global-mtime", tree(`a "1"`, `b "2"`),
		layer(file("a", "1"), tartest.GlobalHeader("g", pax("mtime", "5", "uid", "7")...), file("b", "2"))),
	// Rule 97 warns of every global header; rule 98 adds nothing to that.
	accepts(98, "pax-global-deletes-file", tree(`a "1"`, `pax_global_header "0"`),
		layer(file("pax_global_header", "0")),
		layer(tartest.GlobalHeader("pax_global_header", pax("comment", "a commit")...), file("a", "1"))).also(97),
	accepts(99, "x-pax-path-size", tree(`f "hello" 7:0`, `s -> t`),
		layer(
			file("short", "hello").Size(0).PAX("path", "f").PAX("size", "5").PAX("uid", "7"),
			symlink("s", "x").PAX("linkpath", "t"))),
	accepts(99, "x-pax-two-x", tree(`two "1"`),
		layer(tartest.ExtensionHeader(pax("path", "one", "mtime", "5")...), file("f", "1").PAX("path", "two"))),
	accepts(99, "x-pax-then-L", tree(`gnu "1"`),
		layer(tartest.ExtensionHeader(pax("path", "pax")...), tartest.LongName("gnu"), file("f", "1"))),
	accepts(99, "rule-99-L-then-pax", tree(`gnu "1"`),
		layer(tartest.LongName("gnu"), file("f", "1").PAX("path", "pax"))),
	accepts(99, "x-pax-trailing-no-entry", tree(`a "1"`),
		layer(file("a", "1"), tartest.ExtensionHeader(pax("path", "b")...))),
	accepts(100, "x-gnu-longname", tree(path101+` "1"`, `d/`, `l == `+path101, `s -> `+path300),
		layer(dir("d"), file(path101, "1").GNU(), link("l", path101).GNU(), symlink("s", path300).GNU())),
}

// Values of extended attributes as the kernel stores them.
const (
	capability = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	acl        = "\x02\x00\x00\x00" + // user::rw-,user:1000:rw-,group::r--,mask::rw-,other::r--
		"\x01\x00\x06\x00\xff\xff\xff\xff" +
		"\x02\x00\x06\x00\xe8\x03\x00\x00" +
		"\x04\x00\x04\x00\xff\xff\xff\xff" +
		"\x10\x00\x06\x00\xff\xff\xff\xff" +
		"\x20\x00\x04\x00\xff\xff\xff\xff"
)

// xattrCases are rules 101 to 108: extended attributes. Rule 109 is rule 55.
var xattrCases = []Case{
	accepts(101, "pax-xattr", tree(fmt.Sprintf(`a "1" security.capability=%q user.k="v"`, capability)),
		layer(file("a", "1").Xattr("user.k", "v").Xattr("security.capability", capability))),
	accepts(101, "x-xattr-nul-value", tree(`a "1" user.k="\x00v\x00\n"`),
		layer(file("a", "1").Xattr("user.k", "\x00v\x00\n"))),
	accepts(102, "x-xattr-empty", tree(`a "1" user.k=""`),
		layer(file("a", "1").Xattr("user.k", ""))),
	accepts(103, "pax-xattr-libarchive-only", tree(`a "1"`),
		layer(file("a", "1").PAX("LIBARCHIVE.xattr.user.k", "dg"))),
	accepts(103, "pax-xattr-posix-acl", tree(`a "1"`),
		layer(file("a", "1").PAX("SCHILY.acl.access", "user::rw-,group::r--,other::r--"))),
	accepts(104, "x-xattr-acl", tree(fmt.Sprintf(`a "1" 0664 system.posix_acl_access=%q`, acl)),
		layer(file("a", "1").Mode(0o664).Xattr("system.posix_acl_access", acl))),
	accepts(105, "x-xattr-selinux", tree(`a "1" security.selinux="system_u:object_r:bin_t:s0\x00"`),
		layer(file("a", "1").Xattr("security.selinux", "system_u:object_r:bin_t:s0\x00"))),
	warns(106, "pax-xattr-trusted", tree(`a "1" user.k="v"`),
		layer(file("a", "1").Xattr("trusted.k", "v").Xattr("user.k", "v"))),
	warns(107, "pax-xattr-symlink", tree(`c char 1,3`, `s -> t security.k="v"`, `t "1"`),
		layer(
			file("t", "1"),
			symlink("s", "t").Xattr("user.k", "v").Xattr("security.k", "v"),
			char("c", 1, 3).Xattr("user.k", "v"))),
	accepts(108, "rule-108-xattr-64k", tree(fmt.Sprintf(`a "1" user.k=%q`, strings.Repeat("v", 1<<16))),
		layer(file("a", "1").Xattr("user.k", strings.Repeat("v", 1<<16)))),
	rejects(108, "x-xattr-70k", "user.k",
		layer(file("a", "1").Xattr("user.k", strings.Repeat("v", 70_000)))),
}

// fieldCases are rules 110 to 118: modes, owners, times, device numbers.
var fieldCases = []Case{
	accepts(110, "setuid", tree(`a "1" 4755`, `b "2" 2755`, `t/ 1777`),
		layer(file("a", "1").Mode(0o4755), file("b", "2").Mode(0o2755), dir("t").Mode(0o1777))),
	accepts(110, "setuid-nonroot", tree(`a "1" 6755 1000:1000`),
		layer(file("a", "1").Mode(0o6755).Owner(1000, 1000))),
	accepts(110, "mode-highbits", tree(`a "1" 4755`, `d/`),
		layer(file("a", "1").Mode(0o104755), dir("d").Mode(0o40755))),
	accepts(111, "x-uname-only", tree(`a "1" (daemon:daemon)`),
		layer(file("a", "1").Names("daemon", "daemon"))).canonical(`a "1"`),
	accepts(112, "uid-huge", tree(`a "1" 4294967294:4294967294`),
		layer(file("a", "1").Owner(1<<32-2, 1<<32-2))),
	accepts(112, "uid-base256", tree(`a "1" 3000000:4294967294`),
		layer(file("a", "1").Owner(3_000_000, 1<<32-2).GNU())),
	rejects(113, "uid-4294967295", `"a"`,
		layer(file("a", "1").Owner(1<<32-1, 0))),
	rejects(113, "uid-over32", `"a"`,
		layer(file("a", "1").Owner(1<<32+5, 0))),
	rejects(113, "uid-neg", `"a"`,
		layer(file("a", "1").Owner(-1, 0).GNU())),
	rejects(113, "rule-113-gid-4294967295", `"a"`,
		layer(file("a", "1").Owner(0, 1<<32-1))),
	accepts(114, "mtime-subsec", tree(`a "1" @5.123456789`),
		layer(file("a", "1").AtNano(5, 123_456_789))),
	accepts(114, "x-mtime-ustar-subsec-pax999", tree(`a "1" @5.999999999`),
		layer(file("a", "1").At(5).PAX("mtime", "5.999999999"))),
	accepts(115, "mtime-neg", tree(`a "1" @0`),
		layer(file("a", "1").At(-5))),
	accepts(115, "rule-115-mtime-neg-subsec", tree(`a "1" @0`),
		layer(file("a", "1").PAX("mtime", "-0.5"))),
	accepts(115, "x-mtime-gnu-neg", tree(`a "1" @0`),
		layer(file("a", "1").At(-5).GNU())),
	accepts(115, "mtime-huge", tree(`a "1" @0`, `b "2" @9223372035`),
		layer(file("a", "1").At(9_300_000_000), file("b", "2").At(9_223_372_035))),
	accepts(115, "mtime-zero", tree(`a "1" @0`),
		layer(file("a", "1").At(0))),
	accepts(116, "rule-116-atime-ctime", tree(`a "1" {atime=5} {ctime=6.5}`),
		layer(file("a", "1").PAX("atime", "5").PAX("ctime", "6.5"))).canonical(`a "1"`),
	accepts(117, "dev-char", tree(`b block 8,1 0660`, `c char 1,3 0666`, `p fifo 0600`),
		layer(char("c", 1, 3).Mode(0o666), tartest.Block("b", 8, 1).Mode(0o660), tartest.Fifo("p").Mode(0o600))),
	accepts(117, "dev-block00", tree(`b block 0,0`),
		layer(tartest.Block("b", 0, 0))),
	rejects(118, "x-dev-huge", `"c"`,
		layer(char("c", 1<<33, 0).GNU())),
}

// The sparse file of the cases below: 512 bytes, a hole, 512 bytes, a hole.
const sparseSize = 3000

var (
	sparseData    = strings.Repeat("a", 512) + strings.Repeat("b", 512)
	sparseContent = strings.Repeat("a", 512) + strings.Repeat("\x00", 1536) +
		strings.Repeat("b", 512) + strings.Repeat("\x00", sparseSize-2560)
	sparseTree = tree("f " + tartest.Content(sparseContent))
)

// sparseText is the map of PAX sparse format 1.0, at the start of the body.
const sparseText = "2\n0\n512\n2048\n512\n"

// flagCases are rules 119 to 129: types that are odd, sizes that lie, content
// that is to be left alone.
var flagCases = []Case{
	rejects(119, "type-sockS", `"a"`, layer(file("a", "").Type('s'))),
	rejects(120, "type-V", `"a"`, layer(file("a", "").Type('V'))),
	rejects(120, "type-M", `"a"`, layer(file("a", "").Type('M'))),
	rejects(120, "type-D", `"a"`, layer(file("a", "").Type('D'))),
	rejects(120, "type-N", `"a"`, layer(file("a", "").Type('N'))),
	rejects(120, "type-X", `"a"`, layer(file("a", "").Type('X'))),
	rejects(120, "type-Z", `"a"`, layer(file("a", "").Type('Z'))),
	warns(121, "type-contiguous", tree(`a "1"`), layer(file("a", "1").Type('7'))),
	accepts(122, "type-nul-reg", tree(`a "1"`), layer(file("a", "1").Type(0).V7())),
	warns(123, "sparse-old", sparseTree,
		layer(tartest.OldSparse("f", sparseSize, sparseData,
			tartest.Fragment{Offset: 0, Length: 512}, tartest.Fragment{Offset: 2048, Length: 512}))),
	accepts(124, "sparse-pax00", sparseTree,
		layer(file("f", sparseData).PAX("GNU.sparse.size", "3000").PAX("GNU.sparse.numblocks", "2").
			PAX("GNU.sparse.offset", "0").PAX("GNU.sparse.numbytes", "512").
			PAX("GNU.sparse.offset", "2048").PAX("GNU.sparse.numbytes", "512"))),
	accepts(124, "sparse-pax01", sparseTree,
		layer(file("GNUSparseFile.0/f", sparseData).PAX("GNU.sparse.size", "3000").
			PAX("GNU.sparse.numblocks", "2").PAX("GNU.sparse.map", "0,512,2048,512").
			PAX("GNU.sparse.name", "f"))),
	accepts(124, "sparse-pax10", sparseTree,
		layer(file("GNUSparseFile.0/f", sparseText+strings.Repeat("\x00", 512-len(sparseText))+sparseData).
			PAX("GNU.sparse.major", "1").PAX("GNU.sparse.minor", "0").
			PAX("GNU.sparse.name", "f").PAX("GNU.sparse.realsize", "3000"))),
	warns(124, "rule-124-unknown-version", tree(`f "stored"`),
		layer(file("f", "stored").PAX("GNU.sparse.major", "9").PAX("GNU.sparse.minor", "0"))),
	rejects(125, "dir-with-size", `"d/"`,
		layer(dir("d").Body("hello"), file("a", "1"))),
	rejects(125, "symlink-with-size", `"s"`,
		layer(symlink("s", "t").Body("hello"), file("a", "1"))),
	rejects(126, "x-size-neg-b256", "size",
		layer(file("a", "").Size(-5))),
	rejects(126, "x-bad-checksum", "checksum",
		layer(file("a", "1"), file("b", "2").BadChecksum())),
	rejects(127, "x-windows-layer", "windows",
		layer(dir("Files"), file("Files/a.txt", "1"), dir("Hives"))).with(func(c *Case) { c.OS = "windows" }),
	accepts(128, "rule-128-records", tree(
		`a "1" {LIBARCHIVE.creationtime=5} {MSWINDOWS.rawsd=AQ==} {VENDOR.key=value} {comment=hello}`),
		layer(file("a", "1").PAX("comment", "hello").PAX("MSWINDOWS.rawsd", "AQ==").
			PAX("LIBARCHIVE.creationtime", "5").PAX("VENDOR.key", "value"))).canonical(`a "1"`),
	accepts(129, "x-dockerenv-etc", tree(
		`.dockerenv ""`, `dev/`, `dev/null char 1,3 0666`, `etc/`, `etc/hosts "127.0.0.1 x\n"`,
		`proc/`, `proc/version "Linux"`, `sys/`),
		layer(file(".dockerenv", ""), dir("dev"), char("dev/null", 1, 3).Mode(0o666), dir("etc"),
			file("etc/hosts", "127.0.0.1 x\n"), dir("proc"), file("proc/version", "Linux"), dir("sys"))),
}
