// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"fmt"
	"math"
	"strings"

	"github.com/seed-81b0d42e/flatten/internal/tartest"
)

// first begins what is said of the first entry, "f".
const first = layer1 + `entry "f" at byte \d+ of the tar: `

// numbers are numbers in headers that are too large, negative or none.
func numbers() []Input {
	var all []Input
	file := tartest.File("f", "")
	add := func(name, err string, e tartest.Entry) { all = append(all, refused(name, err, tartest.Layer(e))) }
	for _, c := range []struct {
		name string
		v    int64
		err  string
	}{
		{"2^63-1", math.MaxInt64, ratio},
		{"-1", -1, "negative size"},
		{"-2^63", math.MinInt64, "negative size"},
		{"exabyte", 1 << 60, ratio},
		{"2^63-512", math.MaxInt64 - 511, ratio},
	} {
		// The ratio is that of a blob of few bytes, so it is met first.
		add("size-"+c.name, first+"("+c.err+"|more than 1099511627776 uncompressed bytes)", file.Size(c.v))
	}
	add("size-2^63", layer1+`(entry "f" at )?byte 0 of the tar: size is not a number, or too large`, sizeField("\x80\x00\x00\x00\x80\x00\x00\x00\x00\x00\x00\x00"))
	add("size-2^95-1", layer1+`(entry "f" at )?byte 0 of the tar: size is not a number, or too large`, sizeField("\xbf"+strings.Repeat("\xff", 11)))
	add("size-letters", layer1+`(entry "f" at )?byte 0 of the tar: size is not a number, or too large`, sizeField("hello world!"))
	add("size-minus-octal", layer1+`(entry "f" at )?byte 0 of the tar: size is not a number, or too large`, sizeField("-0000000001\x00"))
	for _, v := range []string{"9223372036854775808", "-9223372036854775809", "1e9", "0x10", "99999999999999999999999999", "1_000", "NaN", " 5", "5 "} {
		add("pax-size-"+v, first+`bad value of PAX record "size"`, file.PAX("size", v))
	}
	add("pax-size--1", first+"negative size", file.PAX("size", "-1"))
	add("pax-size-2^63-1", first+"("+ratio+"|more than 1099511627776 uncompressed bytes)", file.PAX("size", "9223372036854775807"))
	for _, key := range []string{"uid", "gid"} {
		for _, v := range []string{"-1", "4294967295", "9223372036854775807", "-9223372036854775808"} {
			add("pax-"+key+"-"+v, first+key+` -?\d+ is out of range`, file.PAX(key, v))
		}
		add("pax-"+key+"-none", first+`bad value of PAX record "`+key+`"`, file.PAX(key, "root"))
	}
	for _, v := range []string{"1e9", "x", "1.x", "9223372036854775808", "--1", "1.-5"} {
		add("pax-mtime-"+v, first+`bad value of PAX record "mtime"`, file.PAX("mtime", v))
	}
	for _, v := range []string{"-9223372036854775808.999999999", "9223372036854775807.999999999"} {
		all = append(all, accepted("pax-mtime-"+v, "rule 115: containers set the epoch", []string{`f "" @0`}, tartest.Layer(file.PAX("mtime", v))))
	}
	add("device-2^32", first+`device number 4294967296:0 is out of range`, tartest.Char("f", 1<<32, 0).GNU())
	add("device--1", first+`device number 1:-1 is out of range`, tartest.Block("f", 1, -1).GNU())
	return group("numbers", all...)
}

// sizeField is a file "f" whose size field has these bytes.
func sizeField(field string) tartest.Entry {
	b := tartest.Stream(tartest.File("f", ""))
	copy(b[124:136], field)
	copy(b[148:156], "        ")
	sum := 0
	for _, c := range b[:512] {
		sum += int(c)
	}
	copy(b[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return tartest.Raw(string(b))
}

// headers are extension headers and names that are too long or malformed.
func headers() []Input {
	file := tartest.File("f", "")
	x := func(body string) tartest.Entry { return tartest.File("PaxHeaders/x", body).Type('x').USTAR() }
	bad := layer1 + `byte 0 of the tar: bad PAX record at byte \d+ of its header`
	var all []Input
	add := func(name, err string, entries ...tartest.Entry) {
		all = append(all, refused(name, err, tartest.Layer(entries...)))
	}
	for i, body := range []string{
		"x", "5", "0 a=b\n", "-9 path=x\n", "99999999999999999999 path=x\n", "11 path=abcde\n", "9 path=x\nrest",
		"4 a\n", "6 =xx\n", "9 pa\x00h=x\n", "10 path=x\x00\n", "11 path=a\nb\n ", " 9 path=x\n", "9\tpath=x\n",
	} {
		add(fmt.Sprintf("pax-record-%02d", i+1), bad, x(body), file)
	}
	add("pax-header-over-1-MiB", layer1+`byte 0 of the tar: extension header of type 'x' has \d+ bytes, more than 1048576`, x(strings.Repeat("x", 1<<20+1)), file)
	add("pax-header-of-exabytes", layer1+`byte 0 of the tar: extension header of type 'x' has \d+ bytes, more than 1048576`, x("").Size(1<<62), file)
	add("pax-header-negative", layer1+`entry "PaxHeaders/x" at byte 0 of the tar: negative size`, x("").Size(-1), file)
	add("global-header-of-exabytes", layer1+`byte 0 of the tar: extension header of type 'g' has \d+ bytes, more than 1048576`, x("").Type('g').Size(1<<62), file)
	add("long-name-over-1-MiB", layer1+`byte 0 of the tar: extension header of type 'L' has \d+ bytes, more than 1048576`, tartest.LongName(strings.Repeat("n", 1<<20)), file)
	add("long-link-over-1-MiB", layer1+`byte 0 of the tar: extension header of type 'K' has \d+ bytes, more than 1048576`, tartest.LongLink(strings.Repeat("n", 1<<20)), file)
	path := func(n int) string { return strings.Repeat("n/", n/2) }
	long := `merging: layer 1: entry ".*"… at offset 0: `
	add("name-of-64-KiB", long+`the path is 65535 bytes long, more than the 4095 bytes that a path may have \(rule 94\)`, tartest.File(path(64<<10), "1"))
	add("name-of-64-KiB-in-GNU", long+`the path is 65535 bytes long, more than the 4095 bytes that a path may have \(rule 94\)`, tartest.File(path(64<<10), "1").GNU())
	add("component-of-64-KiB", long+`the path is 65536 bytes long, more than the 4095 bytes that a path may have \(rule 94\)`, tartest.File(strings.Repeat("n", 64<<10), "1"))
	add("component-of-256", long+`the last component is 256 bytes long, Linux has at most 255 \(rule 94\)`, tartest.File(strings.Repeat("n", 256), "1"))
	add("folder-of-256", long+`a component is 256 bytes long, Linux has at most 255 \(rule 94\)`, tartest.File(strings.Repeat("n", 256)+"/x", "1"))
	add("many-headers-of-1-MiB", layer1+`entry "f" at byte \d+ of the tar: headers of \d+ bytes, more than 8388608`,
		append(repeat(x(record("comment", strings.Repeat("c", 1<<20-100))), 9), file)...)
	all = append(all, accepted("a-header-of-1-MiB", "rule 128, and no more than archive/tar takes", []string{`f "" {comment=` + strings.Repeat("c", 1<<20-100) + `}`},
		tartest.Layer(x(record("comment", strings.Repeat("c", 1<<20-100))), file)))
	add("attribute-over-64-KiB", first+`extended attribute "user.x" has 65537 bytes, Linux takes 65536 at most`, file.Xattr("user.x", strings.Repeat("x", 1<<16+1)))
	add("name-that-a-terminal-obeys", layer1+`entry "\\x1b\]0;owned\\a\\x1b\[2J" at byte 0 of the tar: negative size`, tartest.File("\x1b]0;owned\a\x1b[2J", "").Size(-1))
	add("name-of-lines", `merging: layer 1: entry "a\\nflatten: done/\\r" at offset 512: .*\(rule 44\)`, tartest.File("a\nflatten: done", ""), tartest.File("a\nflatten: done/\r", ""))
	add("checksum", layer1+`byte 0 of the tar: no tar header: its checksum is wrong`, file.BadChecksum())
	for _, typ := range "8VMDNAIX" {
		add("type-"+string(typ), first+`entry type '.' is not one that a layer can hold`, file.Type(byte(typ)))
	}
	return group("headers", all...)
}

func record(key, value string) string {
	rest := " " + key + "=" + value + "\n"
	n := len(rest)
	for n != len(rest)+len(fmt.Sprint(n)) {
		n = len(rest) + len(fmt.Sprint(n))
	}
	return fmt.Sprint(n) + rest
}

func repeat(e tartest.Entry, n int) []tartest.Entry {
	list := make([]tartest.Entry, n)
	for i := range list {
		list[i] = e
	}
	return list
}

// sparse are sparse maps that overflow, overlap, lie or claim exabytes.
func sparse() []Input {
	frag := func(offset, length int64) tartest.Fragment { return tartest.Fragment{Offset: offset, Length: length} }
	var all []Input
	add := func(name, err string, e tartest.Entry) { all = append(all, refused(name, first+err, tartest.Layer(e))) }
	old := func(size int64, data string, frags ...tartest.Fragment) tartest.Entry {
		return tartest.OldSparse("f", size, data, frags...)
	}
	add("sparse-past-its-end", "fragment of a sparse file lies past its end", old(10, "ab", frag(9, 2)))
	add("sparse-overlap", "fragments of a sparse file overlap or are not in order", old(10, "abcd", frag(0, 2), frag(1, 2)))
	add("sparse-out-of-order", "fragments of a sparse file overlap or are not in order", old(10, "abcd", frag(5, 2), frag(0, 2)))
	add("sparse-stores-more", "fragments of a sparse file take 1 bytes, but 2 are stored", old(10, "ab", frag(0, 1)))
	add("sparse-stores-less", "fragments of a sparse file take 3 bytes, but 2 are stored", old(10, "ab", frag(0, 3)))
	add("sparse-8-GiB-of-hole", ratio, old(8<<30-1, "a", frag(0, 1)))
	pax := func(size, count, frags string) tartest.Entry {
		return tartest.File("f", "").PAX("GNU.sparse.major", "0").PAX("GNU.sparse.minor", "1").
			PAX("GNU.sparse.size", size).PAX("GNU.sparse.numblocks", count).PAX("GNU.sparse.map", frags)
	}
	add("sparse-exabytes", "("+ratio+"|more than 1099511627776 uncompressed bytes)", pax("9223372036854775807", "0", ""))
	add("sparse-two-terabytes", "("+ratio+"|more than 1099511627776 uncompressed bytes)", pax("2199023255552", "0", ""))
	add("sparse-negative-size", "negative size of a sparse file", pax("-1", "0", ""))
	add("sparse-bad-size", "bad size of a sparse file", pax("1e9", "0", ""))
	add("sparse-offset-overflows", "fragment of a sparse file is out of range", pax("9223372036854775807", "1", "9223372036854775807,1"))
	add("sparse-negative-length", "fragment of a sparse file is out of range", pax("10", "1", "5,-5"))
	add("sparse-negative-offset", "fragment of a sparse file is out of range", pax("10", "1", "-5,5"))
	add("sparse-number-overflows", "bad number in a sparse map", pax("10", "1", "9223372036854775808,1"))
	add("sparse-count-lies", "sparse map does not have the 5 fragments it should", pax("10", "5", "0,1"))
	add("sparse-count-of-exabytes", `sparse map does not have the \d+ fragments it should`, pax("10", "9223372036854775807", "0,1"))
	add("sparse-count-negative", "bad number of fragments of a sparse file", pax("10", "-1", "0,1"))
	body := func(size, text string) tartest.Entry {
		return tartest.File("f", text+strings.Repeat("\x00", 512-len(text)%512)).PAX("GNU.sparse.major", "1").PAX("GNU.sparse.minor", "0").
			PAX("GNU.sparse.realsize", size).PAX("GNU.sparse.name", "f")
	}
	add("sparse-text-count-of-exabytes", "bad number of fragments of a sparse file", body("10", "9223372036854775807\n"))
	add("sparse-text-without-lines", "(the body of a sparse file ends in its map|bad number .*)", body("10", strings.Repeat("9", 600)))
	add("sparse-text-letters", "bad number of fragments of a sparse file", body("10", "x\n"))
	add("sparse-text-ends", "the body of a sparse file ends in its map", body("10", "3\n0\n1\n"))
	add("sparse-text-too-long", "map of a sparse file is longer than 1048576 bytes", body("10", "100000\n"+strings.Repeat("0\n0\n", 100)+strings.Repeat("0", 1<<20)))
	add("sparse-directory", "sparse map of an entry that is no regular file", tartest.Dir("f").Named("f").PAX("GNU.sparse.major", "1").PAX("GNU.sparse.minor", "0"))
	add("sparse-of-another-format", "sparse file of type 'S' without a GNU header", tartest.File("f", "").Type('S').USTAR())
	all = append(all, later(refused("sparse-a-million-fragments", layer1+`entry "f" at byte \d+ of the tar: more than 67108864 bytes of names and records`), func() []tartest.Blob {
		var map01 strings.Builder
		for i := range 80_000 {
			fmt.Fprintf(&map01, "%d,1,", 2*i)
		}
		e := tartest.File("f", strings.Repeat("x", 80_000)).PAX("GNU.sparse.major", "0").PAX("GNU.sparse.minor", "1").
			PAX("GNU.sparse.size", "160000").PAX("GNU.sparse.numblocks", "80000").PAX("GNU.sparse.map", strings.TrimSuffix(map01.String(), ","))
		return []tartest.Blob{tartest.Layer(repeat(e, 14)...).Gzip()}
	}))
	return group("sparse files", all...)
}

// bodies are entries with bodies where none may be.
func bodies() []Input {
	var all []Input
	for _, e := range []struct {
		name  string
		entry tartest.Entry
	}{
		{"hard link", tartest.Link("f", "t")},
		{"symbolic link", tartest.Symlink("f", "t")},
		{"character device", tartest.Char("f", 1, 3)},
		{"block device", tartest.Block("f", 1, 3)},
		{"directory", tartest.Dir("f").Named("f")},
		{"fifo", tartest.Fifo("f")},
	} {
		name := "body-of-a-" + strings.ReplaceAll(e.name, " ", "-")
		err := first + e.name + ` with a size of -?\d+ bytes: readers differ on where the next entry begins`
		hidden := string(tartest.Stream(tartest.File("hidden", "")))
		all = append(all,
			refused(name, err, tartest.Layer(e.entry.Body(hidden))),
			refused(name+"-negative", err, tartest.Layer(e.entry.Size(-512))),
			refused(name+"-of-exabytes", err, tartest.Layer(e.entry.PAX("size", "9223372036854775807"))))
	}
	return group("bodies", all...)
}
