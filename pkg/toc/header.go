// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
	"time"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

const blockSize = 512

// block is one header block of a tar stream.
type block [blockSize]byte

var zeroBlock block

func isZero(b []byte) bool { return bytes.Equal(b, zeroBlock[:len(b)]) }

// field is a part of a header block: its first byte and its length.
type field struct{ at, n int }

// The fields of the formats. V7 has the first nine; the others share the next
// six and part company behind them (POSIX.1-1988 ustar; GNU tar manual, "Basic
// Tar Format"; star(4)).
var (
	nameField     = field{0, 100}
	modeField     = field{100, 8}
	uidField      = field{108, 8}
	gidField      = field{116, 8}
	sizeField     = field{124, 12}
	mtimeField    = field{136, 12}
	checksumField = field{148, 8}
	typeField     = field{156, 1}
	linkField     = field{157, 100}

	magicField    = field{257, 6}
	versionField  = field{263, 2}
	unameField    = field{265, 32}
	gnameField    = field{297, 32}
	devmajorField = field{329, 8}
	devminorField = field{337, 8}

	prefixField = field{345, 155} // ustar
	ustarUnused = field{500, 12}

	gnuAtimeField    = field{345, 12}
	gnuCtimeField    = field{357, 12}
	gnuUnused        = field{369, 143} // but for sparse files and further volumes
	gnuSparseField   = field{386, 4*24 + 1}
	gnuRealSizeField = field{483, 12}

	starPrefixField  = field{345, 131}
	starAtimeField   = field{476, 12}
	starCtimeField   = field{488, 12}
	starTrailerField = field{508, 4}
)

func (b *block) bytes(f field) []byte { return b[f.at : f.at+f.n] }

// text is the field up to its first NUL.
func (b *block) text(f field) []byte { return cString(b.bytes(f)) }

// cString is b up to its first NUL.
func cString(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}

// format is the layout of a header block.
type format uint8

const (
	formatV7    format = iota // no magic that is known
	formatUSTAR               // POSIX ustar and pax
	formatGNU
	formatSTAR // what star wrote before POSIX.1-1988
)

// format tells the layout by the magic values.
func (b *block) format() format {
	switch string(b.bytes(magicField)) {
	case "ustar\x00":
		if string(b.bytes(starTrailerField)) == "tar\x00" {
			return formatSTAR
		}
		return formatUSTAR
	case "ustar ":
		if string(b.bytes(versionField)) == " \x00" {
			return formatGNU
		}
	}
	return formatV7
}

// checksum tells whether the block's checksum is right, and whether it is odd:
// the sum of signed bytes, as SunOS had it. The field itself counts as blanks.
func (b *block) checksum() (ok, odd bool) {
	stored, odd, ok := octal(b.bytes(checksumField))
	if !ok {
		return false, false
	}
	sum := b.sum()
	for _, c := range b.bytes(checksumField) {
		sum += ' ' - int64(c)
	}
	if stored == sum {
		return true, odd
	}
	for i, c := range b {
		if c >= 0x80 && (i < checksumField.at || i >= checksumField.at+checksumField.n) {
			sum -= 256
		}
	}
	return stored == sum, true
}

// sum adds up the bytes of the block, eight at a time: the even and the odd
// ones in four lanes of 16 bits each, which 64 words cannot overflow.
func (b *block) sum() int64 {
	const even = 0x00ff00ff00ff00ff
	var lanes uint64
	for i := 0; i < blockSize; i += 8 {
		w := binary.LittleEndian.Uint64(b[i : i+8])
		lanes += w&even + w>>8&even
	}
	return int64(lanes&0xffff + lanes>>16&0xffff + lanes>>32&0xffff + lanes>>48)
}

// octal parses a field of octal digits between blanks and NULs; a field without
// a digit is 0. It is odd when something follows a NUL: for many readers a NUL
// ends the field.
func octal(b []byte) (v int64, odd, ok bool) {
	for len(b) > 0 && isBlank(b[0]) {
		odd = odd || b[0] == 0
		b = b[1:]
	}
	if len(b) == 0 {
		return 0, false, true
	}
	for len(b) > 0 && isBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	digits := cString(b)
	for _, c := range digits {
		if c < '0' || c > '7' {
			return 0, false, false
		}
		v = v<<3 | int64(c-'0') // at most 12 digits: 36 bits
	}
	return v, odd || len(digits) < len(b), true
}

func isBlank(c byte) bool { return c == ' ' || c == 0 }

// base256 parses a field that is a big-endian two's complement number, its first
// bit set as a mark (GNU tar manual, "Extensions").
func base256(b []byte) (v int64, ok bool) {
	v = int64(b[0]&0x7f) << 57 >> 57 // bit 6 is the sign
	for _, c := range b[1:] {
		if v > math.MaxInt64>>8 || v < math.MinInt64>>8 {
			return 0, false
		}
		v = v<<8 | int64(c)
	}
	return v, true
}

// number parses a field in either notation. GNU tar takes base 256 only with
// nothing in the first byte but mark and sign.
func number(b []byte) (v int64, odd, ok bool) {
	if b[0]&0x80 != 0 {
		v, ok = base256(b)
		return v, b[0] != 0x80 && b[0] != 0xff, ok
	}
	return octal(b)
}

// header is what a header block says, and once the extension headers before it
// are applied, what they all say. Its texts are parts of the block or of the
// scanner's buffers, valid until the scanner moves on.
type header struct {
	name, link, uname, gname []byte

	size, mode, uid, gid int64
	devmajor, devminor   int64
	mtime, atime, ctime  stamp

	typ    byte
	format format

	// odd: see [Rewrite].
	odd bool
}

// stamp is a point in time; set tells one at the epoch from none.
type stamp struct {
	sec  int64
	nsec int32
	set  bool
}

// time is s as Extra has it.
func (s stamp) time() time.Time {
	if !s.set {
		return time.Time{}
	}
	return time.Unix(s.sec, int64(s.nsec)).UTC()
}

// fields parses fields of one block and remembers what was odd.
type fields struct {
	*block
	odd bool
	bad string // the first field that is not a number
}

func (p *fields) number(f field, what string) int64 {
	v, odd, ok := number(p.bytes(f))
	p.odd = p.odd || odd
	if !ok && p.bad == "" {
		p.bad = what
	}
	return v
}

func (p *fields) stamp(f field, what string) stamp {
	return stamp{sec: p.number(f, what), set: true}
}

// parse reads a header block that is not all zeros. scratch is where a name of
// two parts is put together.
func (h *header) parse(b *block, scratch []byte) error {
	ok, odd := b.checksum()
	if !ok {
		return image.Corruptf("no tar header: its checksum is wrong")
	}
	p := fields{block: b, odd: odd}
	*h = header{
		format: b.format(),
		typ:    b[typeField.at],
		name:   b.text(nameField),
		link:   b.text(linkField),
		size:   p.number(sizeField, "size"),
		mode:   p.number(modeField, "mode"),
		uid:    p.number(uidField, "uid"),
		gid:    p.number(gidField, "gid"),
		mtime:  p.stamp(mtimeField, "mtime"),
	}
	if h.format == formatV7 {
		p.odd = p.odd || !isZero(b[magicField.at:])
	} else {
		h.parseOwner(&p)
		h.parseTail(&p, scratch)
	}
	h.odd = p.odd
	if p.bad != "" {
		return image.Corruptf("%s is not a number, or too large", p.bad)
	}
	return nil
}

// parseOwner reads the fields that all formats but V7 share.
func (h *header) parseOwner(p *fields) {
	h.uname, h.gname = p.text(unameField), p.text(gnameField)
	h.devmajor = p.number(devmajorField, "devmajor")
	h.devminor = p.number(devminorField, "devminor")
}

// parseTail reads the fields in which the formats differ.
func (h *header) parseTail(p *fields, scratch []byte) {
	var prefix []byte
	switch h.format {
	case formatUSTAR:
		prefix = p.text(prefixField)
		p.odd = p.odd || !isZero(p.bytes(ustarUnused))
	case formatSTAR:
		prefix = p.text(starPrefixField)
		h.atime = p.stamp(starAtimeField, "atime")
		h.ctime = p.stamp(starCtimeField, "ctime")
		p.odd = true
	case formatGNU:
		prefix = h.parseGNUTimes(p)
		p.odd = p.odd || !isZero(p.bytes(gnuUnused)) // some readers find a size there
	}
	if len(prefix) > 0 {
		h.name = append(append(append(scratch[:0], prefix...), '/'), h.name...)
	}
}

// parseGNUTimes reads atime and ctime of a GNU header. Go before 1.8 wrote
// headers with GNU magic and a ustar prefix in their place (golang.org/issue/12594):
// when they are no numbers, and the prefix is ASCII, it is returned.
func (h *header) parseGNUTimes(p *fields) (prefix []byte) {
	times := fields{block: p.block}
	if p.block[gnuAtimeField.at] != 0 {
		h.atime = times.stamp(gnuAtimeField, "atime")
	}
	if p.block[gnuCtimeField.at] != 0 {
		h.ctime = times.stamp(gnuCtimeField, "ctime")
	}
	if times.bad == "" {
		p.odd = p.odd || times.odd
		return nil
	}
	h.atime, h.ctime = stamp{}, stamp{}
	p.odd = true
	prefix = p.text(prefixField)
	for _, c := range prefix {
		if c >= 0x80 {
			return nil
		}
	}
	return prefix
}

// headerOnly tells the types that have no body, whatever their size says.
func headerOnly(typ byte) bool { return typ >= TypeLink && typ <= TypeFifo }

// decimal parses a decimal number as PAX has it; odd when it is written in a
// way that not every reader takes.
func decimal(b []byte) (v int64, odd bool, err error) {
	v, err = strconv.ParseInt(string(b), 10, 64)
	odd = err == nil && (b[0] == '+' || b[0] == '-' && v == 0)
	return v, odd, err
}
