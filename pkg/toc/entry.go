// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

import (
	"bytes"
	"math"
	"slices"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// extension is what the extension headers before an entry say.
type extension struct {
	start      int64 // offset of the first, -1 when there is none
	pax        paxHeader
	name, link []byte // 'L' and 'K'; empty when there is none
	x, l, k    int    // how many of each type
	odd        bool   // see [Rewrite]
}

func (e *extension) reset() {
	e.start, e.x, e.l, e.k, e.odd = -1, 0, 0, 0, false
	e.name, e.link = e.name[:0], e.link[:0]
	e.pax.reset()
}

// mixed tells combinations in which readers differ on what counts.
func (e *extension) mixed() bool {
	return e.odd || e.x > 1 || e.l > 1 || e.k > 1 || e.x > 0 && e.l+e.k > 0
}

// startSpecial begins an extension header whose block is at.
func (s *Scanner) startSpecial(at int64) {
	size := s.header.size
	if size > maxSpecial {
		s.fail("", at, image.Corruptf("extension header of type %q has %d bytes, more than %d", s.header.typ, size, maxSpecial))
		return
	}
	if s.header.odd {
		s.before.odd = true
	}
	if s.before.start < 0 {
		s.before.start = at
	}
	s.special = s.header.typ
	s.expect(inSpecial, int(size))
	if size == 0 {
		s.step(nil)
	}
}

// stepSpecial handles the body of an extension header.
func (s *Scanner) stepSpecial(body []byte) {
	at := s.off - int64(len(body)) - blockSize
	e := &s.before
	var err error
	switch s.special {
	case 'x':
		e.x++
		err = e.pax.parse(body)
	case 'g':
		// It has to be sound, as for Go's reader, but holds for no entry; what
		// stood before it holds for none either.
		err = e.pax.parse(body)
		e.reset()
		if !s.global {
			s.global = true
			s.warn(97, "", "global PAX headers are ignored, as container runtimes do")
		}
	case 'L':
		e.l++
		e.name = e.longText(e.name, body)
	case 'K':
		e.k++
		e.link = e.longText(e.link, body)
	}
	if err != nil {
		s.fail("", at, err)
		return
	}
	s.pad = Pad(int64(len(body))) - int64(len(body))
	s.expect(atHeader, blockSize)
}

// longText is the text of a GNU long name: up to its first NUL. One without a
// NUL at its end, or with more behind it, is odd.
func (e *extension) longText(buf, body []byte) []byte {
	text := cString(body)
	e.odd = e.odd || len(text) == 0 || len(text) != len(body)-1
	return append(buf[:0], text...)
}

// startEntry handles the header block of an entry.
func (s *Scanner) startEntry(b *block, at int64) {
	if err := s.readEntry(b, at); err != nil {
		s.fail(string(s.header.name), at, err)
	}
	s.before.reset()
}

// readEntry makes an entry of a header block and the headers before it.
func (s *Scanner) readEntry(b *block, at int64) error {
	h, typ, raw := &s.header, s.header.typ, s.header.size
	if err := s.before.apply(h); err != nil {
		return err
	}
	stored := h.size
	kind, err := s.normalise(raw)
	if err != nil {
		return err
	}
	if kind != notSparse {
		if err := s.sparseHeader(b, kind); err != nil {
			return err
		}
	}
	start := at
	if s.before.start >= 0 {
		start = s.before.start
	}
	entry, err := s.build(start, at+blockSize-start, kind)
	if err != nil {
		return err
	}
	s.warnType(typ, kind, entry.Name)
	if kind != notSparse {
		s.startSparse(b, kind, entry, stored)
	} else {
		s.addEntry(entry, stored)
	}
	return nil
}

// apply lets the extension headers override the fields of h, GNU's over PAX's.
func (e *extension) apply(h *header) error {
	h.odd = h.odd || e.mixed()
	if err := e.pax.apply(h); err != nil {
		return err
	}
	if len(e.name) > 0 {
		h.name = e.name
	}
	if len(e.link) > 0 {
		h.link = e.link
	}
	if h.size < 0 && !headerOnly(h.typ) {
		return image.Corruptf("negative size")
	}
	return nil
}

// warnType tells of types that are tolerated.
func (s *Scanner) warnType(typ byte, kind sparseKind, name string) {
	switch {
	case typ == '7':
		s.warn(121, name, "type '7', a contiguous file, is taken as a regular file")
	case typ == 'S':
		s.warn(123, name, "old GNU sparse file is expanded")
	case kind == notSparse && len(s.before.pax.get(paxSparseMajor)) > 0:
		s.warn(124, name, "sparse file of an unknown version is taken as it is stored")
	}
}

// normalise turns the header's type into one of those that Entry has, and checks
// what hangs on the type. raw is the size in the header block.
func (s *Scanner) normalise(raw int64) (sparseKind, error) {
	h := &s.header
	kind := s.before.pax.sparseKind()
	switch h.typ {
	case 0:
		h.odd = true
		h.typ = TypeReg
		if bytes.HasSuffix(h.name, []byte("/")) {
			h.typ = TypeDir
			if h.size != 0 {
				return 0, errBody(h)
			}
		}
	case '7':
		h.odd = true
		h.typ = TypeReg
	case 'S':
		if h.format != formatGNU {
			return 0, image.Corruptf("sparse file of type 'S' without a GNU header")
		}
		h.typ = TypeReg
		kind = sparseOld
	case TypeReg:
	case TypeLink, TypeSymlink, TypeChar, TypeBlock, TypeDir, TypeFifo:
		if h.size != 0 {
			return 0, errBody(h)
		}
		h.odd = h.odd || raw != 0
	default:
		return 0, image.WithHint(image.Corruptf("entry type %q is not one that a layer can hold", h.typ),
			"container runtimes refuse it too: build the layer again without this entry")
	}
	if kind != notSparse && h.typ != TypeReg {
		return 0, image.Corruptf("sparse map of an entry that is no regular file")
	}
	return kind, nil
}

// errBody is the error of rules 73 and 125.
func errBody(h *header) error {
	what := map[byte]string{
		TypeLink: "hard link", TypeSymlink: "symbolic link", TypeChar: "character device",
		TypeBlock: "block device", TypeDir: "directory", TypeFifo: "fifo",
	}[h.typ]
	return image.Corruptf("%s with a size of %d bytes: readers differ on where the next entry begins", what, h.size)
}

// build makes the entry from the header, which with those before it begins at
// start and is length bytes long, and checks the values that hold for any type.
func (s *Scanner) build(start, length int64, kind sparseKind) (entry Entry, err error) {
	h := &s.header
	switch {
	case h.uid < 0 || h.uid > maxID:
		return entry, image.Corruptf("uid %d is out of range", h.uid)
	case h.gid < 0 || h.gid > maxID:
		return entry, image.Corruptf("gid %d is out of range", h.gid)
	case length > maxHeaders:
		return entry, image.Corruptf("headers of %d bytes, more than %d", length, maxHeaders)
	}
	x := Extra{IsSparse: kind != notSparse}
	if err := s.checkType(&x); err != nil {
		return entry, err
	}
	if err := s.keepRecords(); err != nil {
		return entry, err
	}
	entry = Entry{
		Name: s.arena.text(h.name), Start: start, Header: int32(length),
		Sec: h.mtime.sec, Nsec: h.mtime.nsec, UID: uint32(h.uid), GID: uint32(h.gid),
		Mode: uint16(h.mode & 0o7777), Type: h.typ,
	}
	if h.typ == TypeReg {
		entry.Size = h.size
	}
	if h.typ != TypeDir && bytes.HasSuffix(h.name, []byte("/")) {
		h.odd = true // a directory for some readers
	}
	if h.odd || kind != notSparse || !usualMode(h.mode, h.typ) {
		entry.Flags |= Rewrite
	}
	entry.Extra = s.extras.make(x, h, s.kept)
	return entry, nil
}

// fileTypes are the bits that stat(2) gives a type in the mode. Docker writes them
// into every header, and every reader passes over them.
var fileTypes = map[byte]int64{
	TypeReg: 0o100000, TypeSymlink: 0o120000, TypeChar: 0o020000,
	TypeBlock: 0o060000, TypeDir: 0o040000, TypeFifo: 0o010000,
}

// usualMode reports whether a mode holds no more than permissions and the type
// that the header has anyway: for a link that of whatever it is a link to.
func usualMode(mode int64, typ byte) bool {
	kind := mode &^ 0o7777
	if kind == 0 || kind == fileTypes[typ] {
		return true
	}
	if typ != TypeLink {
		return false
	}
	for _, other := range fileTypes {
		if kind == other {
			return true
		}
	}
	return false
}

// checkType checks the values that only some types have and drops them from
// the others.
func (s *Scanner) checkType(x *Extra) error {
	h := &s.header
	switch h.typ {
	case TypeChar, TypeBlock:
		if min(h.devmajor, h.devminor) < 0 || max(h.devmajor, h.devminor) > maxDevice {
			return image.Corruptf("device number %d:%d is out of range", h.devmajor, h.devminor)
		}
		x.Devmajor, x.Devminor = uint32(h.devmajor), uint32(h.devminor)
		h.odd = h.odd || h.format == formatV7
	case TypeSymlink:
		switch {
		case len(h.link) == 0:
			return image.Corruptf("symbolic link without a target")
		case len(h.link) >= maxSymlink:
			return image.Corruptf("target of a symbolic link has %d bytes, Linux takes %d at most", len(h.link), maxSymlink-1)
		}
		return nil
	case TypeLink:
		return nil
	}
	if len(h.link) > 0 {
		h.odd = true
		h.link = nil
	}
	return nil
}

// keepRecords gathers the PAX records that no field stands for.
func (s *Scanner) keepRecords() error {
	s.kept = s.kept[:0]
	for _, r := range s.before.pax.records {
		switch {
		case isField(r.key):
			continue
		case bytes.HasPrefix(r.key, []byte(paxSparse)):
			s.header.odd = true
			continue
		case bytes.HasPrefix(r.key, []byte(XattrPrefix)) && len(r.value) > maxXattr:
			return image.Corruptf("extended attribute %q has %d bytes, Linux takes %d at most",
				shorten(string(r.key[len(XattrPrefix):])), len(r.value), maxXattr)
		}
		s.kept = append(s.kept, r)
	}
	return nil
}

// sparseHeader lets the header of a sparse file say how long the file is.
func (s *Scanner) sparseHeader(b *block, kind sparseKind) error {
	h := &s.header
	if kind == sparseOld {
		size, _, ok := number(b.bytes(gnuRealSizeField))
		if !ok {
			return image.Corruptf("size of a sparse file is not a number")
		}
		h.size = size
	} else if err := s.before.pax.applySparse(h); err != nil {
		return err
	}
	if h.size < 0 {
		return image.Corruptf("negative size of a sparse file")
	}
	return nil
}

// startSparse begins to read the map of a sparse file.
func (s *Scanner) startSparse(b *block, kind sparseKind, entry Entry, stored int64) {
	f := &sparseFile{
		kind: kind, entry: entry, extra: entry.Extra, stored: stored, count: -1,
	}
	s.sparse = f
	var more bool
	var err error
	switch kind {
	case sparseOld:
		more, err = f.addOld(b.bytes(gnuSparseField))
	case sparseInPAX:
		err = f.addPAX(&s.before.pax)
	case sparseInBody:
		more = true
	}
	s.stepSparse(more, err)
}

func (s *Scanner) stepOldMap(piece []byte) {
	f := s.sparse
	f.blocks++
	f.entry.Header += blockSize
	if f.blocks > maxExtension {
		s.stepSparse(false, image.Corruptf("map of a sparse file is longer than %d bytes", maxSpecial))
		return
	}
	s.stepSparse(f.addOld(piece))
}

func (s *Scanner) stepTextMap(b *block) {
	f := s.sparse
	f.blocks++
	f.extra.SparseHeader += blockSize
	s.stepSparse(f.addText(b))
}

// stepSparse goes on with the map, or ends it and with it the header.
func (s *Scanner) stepSparse(more bool, err error) {
	f := s.sparse
	switch {
	case err == nil && more && f.kind == sparseInBody && f.stored-f.extra.SparseHeader < blockSize:
		err = image.Corruptf("the body of a sparse file ends in its map")
	case err == nil && more && f.kind == sparseInBody:
		s.expect(inTextMap, blockSize)
		return
	case err == nil && more:
		s.expect(inOldMap, blockSize)
		return
	case err == nil:
		err = f.check()
	}
	if err != nil {
		s.fail(f.entry.Name, f.entry.Start, err)
		return
	}
	f.extra.Sparse = slices.Clone(f.extra.Sparse)
	s.arena.used += fragmentSize * int64(len(f.extra.Sparse))
	s.sparse = nil
	body := f.stored - f.extra.SparseHeader
	if f.entry.Size-body > math.MaxInt64-s.holes {
		s.fail(f.entry.Name, f.entry.Start, image.Over("Size", s.limits.Size))
		return
	}
	s.holes += f.entry.Size - body
	s.addEntry(f.entry, body)
}

// addEntry adds an entry of whose body so many bytes are still to come.
func (s *Scanner) addEntry(entry Entry, body int64) {
	s.headers += max(0, s.arena.used-s.counted-freeHeader)
	s.counted = s.arena.used
	if err := s.check(use{entries: s.entries.n + 1, size: sum(s.off, body, s.holes), headers: s.headers}); err != nil {
		s.fail(entry.Name, entry.Start, err)
		return
	}
	s.entries.add(entry)
	s.body = true
	s.skip = body
	s.pad = Pad(entry.Stored()) - entry.Stored()
	s.expect(atHeader, blockSize)
}
