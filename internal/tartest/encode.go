// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package tartest

import (
	"fmt"
	"strconv"
	"strings"
)

const blockSize = 512

// Stream is the bytes of the entries one after the other, without the two zero
// blocks that end an archive.
func Stream(entries ...Entry) []byte {
	var b []byte
	for _, e := range entries {
		b = e.appendTo(b)
	}
	return b
}

// appendTo appends the entry: extension headers, header, body, padding.
func (e Entry) appendTo(b []byte) []byte {
	if e.raw != nil {
		return append(b, e.raw...)
	}
	if e.format == GNU {
		if len(e.link) > 100 {
			b = LongLink(e.link).appendTo(b)
		}
		if len(e.name) > 100 {
			b = LongName(e.name).appendTo(b)
		}
	}
	if records := e.extension(); len(records) > 0 {
		x := ExtensionHeader(records...)
		x.sec = 0
		b = x.appendTo(b)
	}
	b = append(b, e.header()...)
	b = append(b, e.body...)
	return append(b, make([]byte, -len(e.body)&(blockSize-1))...)
}

// extension is the PAX records that the entry needs: first those for fields
// that do not fit the header, then those the test asked for.
func (e Entry) extension() []Record {
	var rs []Record
	if e.format == PAX {
		add := func(needed bool, key, value string) {
			if needed {
				rs = append(rs, Record{key, value})
			}
		}
		number := func(v int64) string { return strconv.FormatInt(v, 10) }
		add(len(e.name) > 100 || e.nameInPAX, "path", e.name)
		add(len(e.link) > 100, "linkpath", e.link)
		add(!fits(e.uid, 7), "uid", number(e.uid))
		add(!fits(e.gid, 7), "gid", number(e.gid))
		add(e.nsec != 0, "mtime", fmt.Sprintf("%d.%09d", e.sec, e.nsec))
		add(e.nsec == 0 && !fits(e.sec, 11), "mtime", number(e.sec))
	}
	return append(rs, e.records...)
}

// header is the header block itself (POSIX pax, "ustar Interchange Format").
func (e Entry) header() []byte {
	h := make([]byte, blockSize)
	name, prefix := e.splitName()
	copy(h[0:100], name)
	number(h[100:108], e.mode)
	e.recorded(h[108:116], e.uid)
	e.recorded(h[116:124], e.gid)
	size := int64(len(e.body))
	if e.sized {
		size = e.size
	}
	number(h[124:136], size)
	e.recorded(h[136:148], e.sec)
	h[156] = e.typ
	copy(h[157:257], e.link)
	switch e.format {
	case GNU:
		copy(h[257:265], "ustar  \x00")
	case PAX, USTAR:
		copy(h[257:265], "ustar\x0000")
	}
	if e.format != V7 {
		copy(h[265:297], e.uname)
		copy(h[297:329], e.gname)
		number(h[329:337], e.major)
		number(h[337:345], e.minor)
		copy(h[345:500], prefix)
	}
	if e.sparse != nil {
		e.sparse.put(h)
	}
	e.checksum(h)
	return h
}

func (e Entry) checksum(h []byte) {
	copy(h[148:156], "        ")
	var sum int64
	for _, c := range h {
		sum += int64(c)
	}
	if e.spoilt {
		sum++
	}
	copy(h[148:156], fmt.Sprintf("%06o\x00 ", sum))
}

// splitName is what goes in the name field and in the prefix field.
func (e Entry) splitName() (name, prefix string) {
	name = e.name
	if len(name) <= 100 {
		return name, ""
	}
	if e.format == USTAR {
		for i := len(name) - 101; i < len(name)-1 && i <= 155; i++ {
			if name[i] == '/' {
				return name[i+1:], name[:i]
			}
		}
		panic("tartest: name does not fit ustar: " + name)
	}
	return name[:100], ""
}

// number writes v as octal digits with a NUL or, when they do not fit, as
// base-256.
func number(field []byte, v int64) {
	digits := len(field) - 1
	if fits(v, digits) {
		copy(field, fmt.Sprintf("%0*o\x00", digits, v))
		return
	}
	for i := digits; i >= 0; i-- {
		field[i] = byte(v)
		v >>= 8
	}
	field[0] |= 0x80
}

// recorded writes v as number does; in PAX style a record has what does not fit
// and the field is zero.
func (e Entry) recorded(field []byte, v int64) {
	if e.format == PAX && !fits(v, len(field)-1) {
		v = 0
	}
	number(field, v)
}

// fits reports whether v can be written with that many octal digits.
func fits(v int64, digits int) bool { return v >= 0 && v < 1<<(3*digits) }

// formatRecords writes PAX records: "%d %s=%s\n" with the length of the whole.
func formatRecords(records []Record) string {
	var b strings.Builder
	for _, r := range records {
		rest := " " + r.Key + "=" + r.Value + "\n"
		n := len(rest)
		for n != len(rest)+len(strconv.Itoa(n)) {
			n = len(rest) + len(strconv.Itoa(n))
		}
		b.WriteString(strconv.Itoa(n) + rest)
	}
	return b.String()
}

// oldSparse is the map of an old GNU sparse file, in its header.
type oldSparse struct {
	size      int64
	fragments []Fragment
}

// Fragment is a run of data in a sparse file.
type Fragment struct{ Offset, Length int64 }

// OldSparse is a GNU sparse file (type 'S') of the given size; data is the
// bytes of its fragments, four at most, one after the other.
func OldSparse(name string, size int64, data string, fragments ...Fragment) Entry {
	e := File(name, data).Type('S').GNU()
	e.sparse = &oldSparse{size, fragments}
	return e
}

// put writes the map where old GNU headers have it: four pairs at 386, then the
// flag for more, then the real size.
func (s *oldSparse) put(h []byte) {
	for i, f := range s.fragments {
		at := 386 + 24*i
		copy(h[at:], fmt.Sprintf("%011o\x00%011o\x00", f.Offset, f.Length))
	}
	copy(h[483:], fmt.Sprintf("%011o\x00", s.size))
}
