// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package tarheader writes tar headers whose bytes depend on their fields alone.
//
// A header is one POSIX ustar block (IEEE Std 1003.1, pax, "ustar Interchange
// Format"). What does not fit there stands in a PAX extended header before it,
// and only that: a name beyond 100 bytes that cannot be split at a slash, or
// one that is not ASCII; a link target likewise; sizes from 8 GiB, ids from
// 2097152, times with a fraction or from the year 2242; owner names beyond 32
// bytes; and all records given. Records are sorted by key, values are any
// bytes. A device number from 2097152, for which PAX has no record, is written
// in base 256 as GNU tar and bsdtar read it.
package tarheader

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// Header is one entry's metadata.
type Header struct {
	Name, Link         string // as they are to be read; a directory's Name ends in "/"
	Uname, Gname       string
	Records            []toc.Record // further PAX records, one per key
	Size, Sec          int64        // Sec is not negative
	Nsec               int32
	UID, GID           uint32
	Devmajor, Devminor uint32
	Mode               uint16
	Type               byte
}

const block = 512

// Offsets and lengths of the fields of a ustar block.
type field struct{ at, size int }

var (
	fName     = field{0, 100}
	fMode     = field{100, 8}
	fUID      = field{108, 8}
	fGID      = field{116, 8}
	fSize     = field{124, 12}
	fMtime    = field{136, 12}
	fChecksum = field{148, 8}
	fType     = field{156, 1}
	fLink     = field{157, 100}
	fMagic    = field{257, 8}
	fUname    = field{265, 32}
	fGname    = field{297, 32}
	fDevmajor = field{329, 8}
	fDevminor = field{337, 8}
	fPrefix   = field{345, 155}
)

// paxName is the name of every extended header; no reader shows it.
const paxName = "././@PaxHeader"

// Append appends the header's bytes, a multiple of 512, to dst.
func (h *Header) Append(dst []byte) []byte {
	var b writer
	records := b.fill(h)
	if len(records) == 0 {
		return append(dst, b.seal()...)
	}
	slices.SortFunc(records, func(a, b toc.Record) int { return cmp.Compare(a.Key, b.Key) })
	var body []byte
	for _, r := range records {
		body = appendRecord(body, r)
	}
	var x writer
	x.text(fName, paxName)
	x.number(fMode, 0o644)
	x.number(fUID, 0)
	x.number(fGID, 0)
	x.number(fSize, int64(len(body)))
	x.number(fMtime, 0)
	x.buf[fType.at] = 'x'
	dst = append(dst, x.seal()...)
	dst = append(dst, body...)
	dst = append(dst, make([]byte, toc.Pad(int64(len(body)))-int64(len(body)))...)
	return append(dst, b.seal()...)
}

// writer fills one ustar block.
type writer struct{ buf [block]byte }

// fill writes the fields and returns the records for what did not fit.
func (w *writer) fill(h *Header) []toc.Record {
	records := slices.Clone(h.Records)
	pax := func(key, value string) { records = append(records, toc.Record{Key: key, Value: value}) }
	if !w.path(h.Name) {
		pax("path", h.Name)
	}
	if !w.text(fLink, h.Link) {
		pax("linkpath", h.Link)
	}
	w.number(fMode, int64(h.Mode))
	if !w.number(fUID, int64(h.UID)) {
		pax("uid", strconv.FormatUint(uint64(h.UID), 10))
	}
	if !w.number(fGID, int64(h.GID)) {
		pax("gid", strconv.FormatUint(uint64(h.GID), 10))
	}
	if !w.number(fSize, h.Size) {
		pax("size", strconv.FormatInt(h.Size, 10))
	}
	if !w.number(fMtime, h.Sec) || h.Nsec != 0 {
		pax("mtime", FormatTime(h.Sec, h.Nsec))
	}
	w.buf[fType.at] = h.Type
	if !w.text(fUname, h.Uname) {
		pax("uname", h.Uname)
	}
	if !w.text(fGname, h.Gname) {
		pax("gname", h.Gname)
	}
	w.device(fDevmajor, h.Devmajor)
	w.device(fDevminor, h.Devminor)
	return records
}

// path writes a name, split at a slash when it is too long for one field, and
// reports whether it fitted. What did not is cut short, for old readers.
func (w *writer) path(name string) bool {
	if len(name) <= fName.size || !ascii(name) {
		return w.text(fName, name)
	}
	// The later the slash the longer the prefix; a directory's last slash does
	// not count, since the name field must not be empty.
	limit := min(len(name)-1, fPrefix.size+1)
	i := strings.LastIndexByte(name[:limit], '/')
	if i <= 0 || len(name)-i-1 > fName.size {
		w.text(fName, name)
		return false
	}
	w.text(fPrefix, name[:i])
	return w.text(fName, name[i+1:])
}

// text writes a string and reports whether it fitted and is ASCII. Otherwise
// what is written is cut short and its other bytes are replaced.
func (w *writer) text(f field, s string) bool {
	if len(s) <= f.size && ascii(s) {
		copy(w.buf[f.at:f.at+f.size], s)
		return true
	}
	for i := range min(len(s), f.size-1) {
		if c := s[i]; c < 0x80 {
			w.buf[f.at+i] = c
		} else {
			w.buf[f.at+i] = '_'
		}
	}
	return false
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// number writes octal digits and a NUL, and reports whether n fitted; a field
// that it does not fit in is 0.
func (w *writer) number(f field, n int64) bool {
	fits := n < 1<<(3*(f.size-1))
	if !fits {
		n = 0
	}
	for i := f.at + f.size - 2; i >= f.at; i-- {
		w.buf[i] = byte('0' + n&7)
		n >>= 3
	}
	w.buf[f.at+f.size-1] = 0
	return fits
}

// device writes a device number, in base 256 when octal has no room for it.
func (w *writer) device(f field, n uint32) {
	if w.number(f, int64(n)) {
		return
	}
	clear(w.buf[f.at : f.at+f.size])
	w.buf[f.at] = 0x80
	for i := range 4 {
		w.buf[f.at+f.size-1-i] = byte(n >> (8 * i))
	}
}

// seal writes magic and checksum and returns the block.
func (w *writer) seal() []byte {
	copy(w.buf[fMagic.at:], "ustar\x0000")
	for i := range fChecksum.size {
		w.buf[fChecksum.at+i] = ' '
	}
	sum := int64(0)
	for _, c := range w.buf {
		sum += int64(c)
	}
	w.number(field{fChecksum.at, 7}, sum)
	return w.buf[:]
}

// appendRecord appends "length key=value\n", the length counting itself.
func appendRecord(dst []byte, r toc.Record) []byte {
	rest := len(r.Key) + len(r.Value) + 3 // space, equals sign, newline
	n := rest + len(strconv.Itoa(rest))
	n = rest + len(strconv.Itoa(n))
	dst = strconv.AppendInt(dst, int64(n), 10)
	dst = append(dst, ' ')
	dst = append(dst, r.Key...)
	dst = append(dst, '=')
	dst = append(dst, r.Value...)
	return append(dst, '\n')
}

// FormatTime is a time as a PAX record has it: seconds, and a fraction without
// trailing zeros when there is one. Negative times count back from the epoch.
func FormatTime(sec int64, nsec int32) string {
	if nsec == 0 {
		return strconv.FormatInt(sec, 10)
	}
	sign := ""
	if sec < 0 {
		sign, sec, nsec = "-", -(sec + 1), 1_000_000_000-nsec
		if nsec == 1_000_000_000 {
			sec, nsec = sec+1, 0
		}
	}
	frac := strconv.FormatInt(1_000_000_000+int64(nsec), 10)[1:]
	return sign + strconv.FormatInt(sec, 10) + "." + strings.TrimRight(frac, "0")
}
