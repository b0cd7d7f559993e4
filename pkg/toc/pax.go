// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// Keys of PAX records (POSIX pax, "pax Extended Header Keyword Definitions"; GNU
// tar manual, "Storing Sparse Files").
const (
	paxPath     = "path"
	paxLinkpath = "linkpath"
	paxSize     = "size"
	paxUID      = "uid"
	paxGID      = "gid"
	paxUname    = "uname"
	paxGname    = "gname"
	paxMtime    = "mtime"
	paxAtime    = "atime"
	paxCtime    = "ctime"

	paxSparse          = "GNU.sparse."
	paxSparseMajor     = "GNU.sparse.major"
	paxSparseMinor     = "GNU.sparse.minor"
	paxSparseName      = "GNU.sparse.name"
	paxSparseSize      = "GNU.sparse.size"
	paxSparseRealSize  = "GNU.sparse.realsize"
	paxSparseNumBlocks = "GNU.sparse.numblocks"
	paxSparseMap       = "GNU.sparse.map"
	paxSparseOffset    = "GNU.sparse.offset"
	paxSparseNumBytes  = "GNU.sparse.numbytes"
)

// record is a PAX record in the scanner's buffer.
type record struct {
	key, value []byte
}

// paxHeader is the body of an extended header, parsed.
type paxHeader struct {
	buf       []byte
	records   []record // sorted by key, one per key: the last
	sparseMap []byte   // what sparse format 0.0 has in many records, as 0.1 has it
	odd       bool     // see [Rewrite]
}

func (p *paxHeader) reset() {
	p.buf, p.records, p.sparseMap, p.odd = p.buf[:0], p.records[:0], p.sparseMap[:0], false
}

// parse takes the body of an extended header. The result does not refer to it.
func (p *paxHeader) parse(body []byte) error {
	p.reset()
	p.buf = append(p.buf, body...)
	numbers := 0 // of the sparse map of format 0.0
	for rest := p.buf; len(rest) > 0; {
		r, n, odd, ok := cutRecord(rest)
		if !ok {
			return image.Corruptf("bad PAX record at byte %d of its header", len(p.buf)-len(rest))
		}
		rest = rest[n:]
		p.odd = p.odd || odd
		switch string(r.key) {
		case paxSparseOffset, paxSparseNumBytes:
			if (numbers%2 == 0) != (string(r.key) == paxSparseOffset) || bytes.IndexByte(r.value, ',') >= 0 {
				return image.Corruptf("bad sparse map in PAX records")
			}
			if numbers++; numbers > 1 {
				p.sparseMap = append(p.sparseMap, ',')
			}
			p.sparseMap = append(p.sparseMap, r.value...)
		default:
			p.records = append(p.records, r)
		}
	}
	if numbers > 0 {
		p.records = append(p.records, record{[]byte(paxSparseMap), p.sparseMap})
	}
	p.sort()
	return nil
}

// sort sorts the records by key and keeps the last of each.
func (p *paxHeader) sort() {
	slices.SortStableFunc(p.records, func(a, b record) int { return bytes.Compare(a.key, b.key) })
	kept := p.records[:0]
	for i, r := range p.records {
		if i+1 < len(p.records) && bytes.Equal(r.key, p.records[i+1].key) {
			p.odd = true
			continue
		}
		kept = append(kept, r)
	}
	p.records = kept
}

// get returns the value of a record, nil when there is none.
func (p *paxHeader) get(key string) []byte {
	i, ok := slices.BinarySearchFunc(p.records, key, func(r record, key string) int {
		return strings.Compare(string(r.key), key)
	})
	if !ok {
		return nil
	}
	return p.records[i].value
}

// cutRecord parses the record at the start of b, "%d %s=%s\n" of its own length,
// key and value, and returns how long it is.
func cutRecord(b []byte) (r record, n int, odd, ok bool) {
	space := bytes.IndexByte(b, ' ')
	if space < 1 {
		return r, 0, false, false
	}
	length, odd, err := decimal(b[:space])
	if err != nil || length < 5 || length > int64(len(b)) {
		return r, 0, false, false
	}
	n = int(length)
	if space+1 >= n || b[n-1] != '\n' {
		return r, 0, false, false
	}
	key, value, ok := bytes.Cut(b[space+1:n-1], []byte("="))
	if !ok || !validRecord(key, value) {
		return r, 0, false, false
	}
	return record{key, value}, n, odd || b[0] == '0', true
}

// validRecord refuses what no path or name can be. Otherwise values are any
// bytes, as those of extended attributes are.
func validRecord(key, value []byte) bool {
	switch string(key) {
	case "":
		return false
	case paxPath, paxLinkpath, paxUname, paxGname:
		return bytes.IndexByte(value, 0) < 0
	}
	return bytes.IndexByte(key, 0) < 0
}

// apply lets the records override the fields of h. One with an empty value
// leaves its field alone: readers differ there, POSIX has it delete the field.
func (p *paxHeader) apply(h *header) error {
	for _, r := range p.records {
		if len(r.value) == 0 {
			h.odd = h.odd || isField(r.key)
			continue
		}
		odd, err := applyRecord(h, r)
		if err != nil {
			return image.Corruptf("bad value of PAX record %q", r.key)
		}
		h.odd = h.odd || odd
	}
	h.odd = h.odd || p.odd
	return nil
}

func applyRecord(h *header, r record) (odd bool, err error) {
	switch string(r.key) {
	case paxPath:
		h.name = r.value
	case paxLinkpath:
		h.link = r.value
	case paxUname:
		h.uname = r.value
	case paxGname:
		h.gname = r.value
	case paxUID:
		h.uid, odd, err = decimal(r.value)
	case paxGID:
		h.gid, odd, err = decimal(r.value)
	case paxSize:
		h.size, odd, err = decimal(r.value)
	case paxMtime:
		h.mtime, odd, err = paxTime(r.value)
	case paxAtime:
		h.atime, odd, err = paxTime(r.value)
	case paxCtime:
		h.ctime, odd, err = paxTime(r.value)
	}
	return odd, err
}

// isField tells the records that stand for a field of Entry or Extra.
func isField(key []byte) bool {
	switch string(key) {
	case paxPath, paxLinkpath, paxSize, paxUID, paxGID, paxUname, paxGname, paxMtime, paxAtime, paxCtime:
		return true
	}
	return false
}

// paxTime parses decimal seconds with an optional fraction, of which nine digits
// count. The sign covers both: "-1.5" is half a second before -1.
func paxTime(b []byte) (t stamp, odd bool, err error) {
	whole, fraction, _ := bytes.Cut(b, []byte("."))
	t.set = true
	t.sec, odd, err = decimal(whole)
	if err != nil {
		return t, false, err
	}
	for i, c := range fraction {
		if c < '0' || c > '9' {
			return t, false, errBadTime
		}
		if i < 9 {
			t.nsec = t.nsec*10 + int32(c-'0')
		}
	}
	for i := len(fraction); i < 9; i++ {
		t.nsec *= 10
	}
	if whole[0] == '-' && t.nsec > 0 {
		t.sec--
		t.nsec = 1e9 - t.nsec
	}
	return t, odd && whole[0] != '-', nil
}

var errBadTime = errors.New("bad time")
