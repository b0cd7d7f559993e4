// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package tartest lets tests write image layers as the domain reads:
//
//	tartest.Image(
//		tartest.Layer(tartest.Dir("a"), tartest.File("a/x", "1")),
//		tartest.Layer(tartest.Whiteout("a/x")).Gzip(),
//	)
//
// and read what became of them as a list of lines:
//
//	a/
//	a/y "2" 0600 1000:1000
//
// # Writing
//
// An [Entry] is one entry of a tar stream, changed by methods that return the
// changed entry: File("f", "1").Mode(0600).Xattr("user.k", "v"). Headers are
// laid out here, byte by byte, and not by archive/tar, which refuses to write
// much of what a hostile or merely old layer holds: lying sizes, NULs in names,
// flags that no standard knows, bad checksums. [Raw] adds any bytes at all.
//
// A [Blob] is a tar stream and the bytes that store it, so that a test may
// compress, cut or spoil them.
//
// # Reading
//
// [Read] reads a flattened tar with archive/tar, an implementation that is not
// the one under test, and checks the output contract on the way (rules 167 to
// 169 of docs/semantics.md).
package tartest

import (
	"fmt"
	"strings"
)

// Time is the modification time of every entry that does not set another, in
// seconds since the epoch.
const Time = 1_000_000_000

// Entry is one entry of a tar stream.
type Entry struct {
	raw       []byte // instead of all below
	name      string
	link      string
	typ       byte
	mode      int64
	uid, gid  int64
	uname     string
	gname     string
	sec       int64
	nsec      int64
	major     int64
	minor     int64
	body      string
	size      int64 // what the header says when sized
	sized     bool
	records   []Record
	format    Format
	spoilt    bool
	nameInPAX bool
	sparse    *oldSparse
}

// Record is one PAX record.
type Record struct{ Key, Value string }

// Format is a style of tar header.
type Format uint8

const (
	PAX   Format = iota // ustar, with an 'x' header for what does not fit
	USTAR               // ustar alone, long names split into prefix and name
	GNU                 // 'L' and 'K' headers for long names, base-256 numbers
	V7                  // no magic, no owner names
)

func entry(typ byte, name, link string, mode int64, body string) Entry {
	return Entry{typ: typ, name: name, link: link, mode: mode, body: body, sec: Time}
}

// File is a regular file with mode 0644.
func File(name, body string) Entry { return entry('0', name, "", 0o644, body) }

// Dir is a directory with mode 0755. Its name gets a trailing slash.
func Dir(name string) Entry {
	return entry('5', strings.TrimSuffix(name, "/")+"/", "", 0o755, "")
}

// Symlink is a symbolic link at name.
func Symlink(name, target string) Entry { return entry('2', name, target, 0o777, "") }

// Link is a hard link at name to the file called target.
func Link(name, target string) Entry { return entry('1', name, target, 0o644, "") }

// Char is a character device.
func Char(name string, major, minor int64) Entry {
	return entry('3', name, "", 0o644, "").Device(major, minor)
}

// Block is a block device.
func Block(name string, major, minor int64) Entry {
	return entry('4', name, "", 0o644, "").Device(major, minor)
}

// Fifo is a named pipe.
func Fifo(name string) Entry { return entry('6', name, "", 0o644, "") }

// Whiteout is the marker that removes name from the layers below.
func Whiteout(name string) Entry {
	i := strings.LastIndexByte(name, '/') + 1
	return File(name[:i]+".wh."+name[i:], "")
}

// Opaque is the marker that hides what the layers below have in dir; the root
// is "".
func Opaque(dir string) Entry {
	if dir == "" {
		return File(".wh..wh..opq", "")
	}
	return File(dir+"/.wh..wh..opq", "")
}

// Raw is any bytes in the place of an entry.
func Raw(bytes string) Entry { return Entry{raw: []byte(bytes)} }

// Zeros is n blocks of zeros in the place of an entry.
func Zeros(n int) Entry { return Entry{raw: make([]byte, n*blockSize)} }

// ExtensionHeader is an 'x' header of its own, which changes the entry that
// follows it.
func ExtensionHeader(records ...Record) Entry {
	e := entry('x', "PaxHeaders/x", "", 0o644, formatRecords(records))
	e.format = USTAR
	return e
}

// GlobalHeader is a 'g' header with the given name.
func GlobalHeader(name string, records ...Record) Entry {
	e := entry('g', name, "", 0o644, formatRecords(records))
	e.format = USTAR
	return e
}

// LongName is a GNU 'L' header of its own, which names the entry that follows.
func LongName(name string) Entry { return gnuLong('L', name) }

// LongLink is a GNU 'K' header of its own, which gives the entry that follows
// its link target.
func LongLink(target string) Entry { return gnuLong('K', target) }

func gnuLong(typ byte, s string) Entry {
	e := entry(typ, "././@LongLink", "", 0, s+"\x00")
	e.sec = 0
	return e.GNU()
}

// Mode sets the mode field, all of it: bits beyond 07777 as well.
func (e Entry) Mode(m int64) Entry { e.mode = m; return e }

// Owner sets the numeric owner and group.
func (e Entry) Owner(uid, gid int64) Entry { e.uid, e.gid = uid, gid; return e }

// Names sets the owner's and the group's name.
func (e Entry) Names(uname, gname string) Entry { e.uname, e.gname = uname, gname; return e }

// At sets the modification time in seconds since the epoch.
func (e Entry) At(sec int64) Entry { e.sec, e.nsec = sec, 0; return e }

// AtNano sets the modification time to the nanosecond.
func (e Entry) AtNano(sec, nsec int64) Entry { e.sec, e.nsec = sec, nsec; return e }

// Device sets the device number.
func (e Entry) Device(major, minor int64) Entry { e.major, e.minor = major, minor; return e }

// Xattr adds an extended attribute.
func (e Entry) Xattr(key, value string) Entry { return e.PAX("SCHILY.xattr."+key, value) }

// PAX adds a PAX record to the entry's 'x' header.
func (e Entry) PAX(key, value string) Entry {
	e.records = append(e.records[:len(e.records):len(e.records)], Record{key, value})
	return e
}

// Type sets the type flag and leaves all else.
func (e Entry) Type(typ byte) Entry { e.typ = typ; return e }

// Named sets the name as stored, for what the constructors would tidy.
func (e Entry) Named(name string) Entry { e.name = name; return e }

// Body sets the bytes behind the header, for types that have none.
func (e Entry) Body(body string) Entry { e.body = body; return e }

// Size makes the header state a size that is not the body's.
func (e Entry) Size(n int64) Entry { e.size, e.sized = n, true; return e }

// USTAR chooses headers without extensions; PAX is the default.
func (e Entry) USTAR() Entry { e.format = USTAR; return e }

// GNU chooses GNU headers.
func (e Entry) GNU() Entry { e.format = GNU; return e }

// V7 chooses headers without magic or owner names.
func (e Entry) V7() Entry { e.format = V7; return e }

// LongPAX puts the name in a PAX record though it would fit the header.
func (e Entry) LongPAX() Entry { e.nameInPAX = true; return e }

// BadChecksum makes the header's checksum wrong.
func (e Entry) BadChecksum() Entry { e.spoilt = true; return e }

// String is the entry's type and name, for messages.
func (e Entry) String() string {
	if e.raw != nil {
		return fmt.Sprintf("%d raw bytes", len(e.raw))
	}
	return fmt.Sprintf("%c %q", e.typ, e.name)
}
