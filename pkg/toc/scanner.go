// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

import (
	"fmt"
	"io"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// Scanner reads the entries of a tar stream that is written to it in pieces of
// any size. It keeps headers, never bodies. The zero value is not ready for use:
// see [NewScanner].
type Scanner struct {
	limits image.Limits
	blob   int64 // size of the blob
	off    int64 // of the next byte that Write takes
	holes  int64 // bytes of the holes of all sparse files
	err    error // sticky; step sets it, Write and Finish return it

	// Invariant: the next byte belongs to skip when that is not 0, else to pad
	// when that is not 0, else to the piece that state waits for.
	skip, pad int64
	state     state
	need      int    // length of the piece
	piece     []byte // what was gathered of it, when it came in parts

	header  header
	scratch [prefixMax]byte
	before  extension // headers before the entry
	kept    []record  // PAX records that the entry keeps
	special byte      // type of the extension header being read
	body    bool      // skip and pad are those of the last entry
	sparse  *sparseFile

	entries  entryList
	arena    arena
	headers  int64 // as Layer.HeaderBytes
	counted  int64 // what the arena held of the entries that are in headers
	extras   extras
	warnings []image.Warning
	muted    int // warnings over maxWarnings
	global   bool

	budget *Budget
	shared use // what the budget knows of this layer
	others use // what it knows of others, when it was last asked
}

// prefixMax is the longest name that a header block holds: prefix, slash, name.
const prefixMax = 155 + 1 + 100

// state is what the scanner waits for.
type state uint8

const (
	atHeader  state = iota // a header block
	atZero                 // the second zero block of the end of the archive
	inSpecial              // the body of an extension header
	inOldMap               // a block that extends an old GNU sparse map
	inTextMap              // a block of a sparse map of format 1.0
	atTrailer              // blocks behind the end of the archive
	atRest                 // anything
)

var _ io.Writer = (*Scanner)(nil)

// NewScanner returns a scanner at the start of a stream, which is the only one that
// the limits are for and was not compressed.
func NewScanner(limits image.Limits) *Scanner { return newScanner(NewBudget(limits), 0) }

// newScanner returns a scanner of one of the streams that the budget is for, in a
// blob of a size.
func newScanner(budget *Budget, blob int64) *Scanner {
	s := &Scanner{limits: budget.limits, budget: budget, blob: blob, need: blockSize}
	s.others, _ = budget.add(use{})
	s.extras = newExtras(&s.arena)
	s.before.reset()
	return s
}

// Write takes the next bytes of the stream; it does not keep p. Once it has
// failed it takes no more. The error is an [*EntryError].
func (s *Scanner) Write(p []byte) (n int, err error) {
	if s.err == nil {
		u := s.used()
		u.size = max(u.size, sum(s.off, int64(len(p)), s.holes))
		if err := s.check(u); err != nil {
			s.fail("", s.off, err)
		}
	}
	for s.err == nil && n < len(p) {
		n += s.take(p[n:])
	}
	s.share()
	return n, s.err
}

// used is what the stream has used of the limits, the body that is being skipped
// included.
func (s *Scanner) used() use {
	return use{entries: s.entries.n, size: sum(s.off, s.skip, s.holes), headers: s.headers}
}

// check fails when this layer, or with it all that are known so far, would be over
// a limit.
func (s *Scanner) check(u use) error {
	if s.budget.blobs >= 0 { // the other blobs may not be what they are announced to be
		if err := s.limits.CheckRatio(s.blob, u.size, u.entries); err != nil {
			return err
		}
	}
	all := s.others.plus(u)
	all.size = sum(s.others.size, u.size)
	return s.budget.check(all)
}

// discard takes back what the budget was told.
func (s *Scanner) discard() { _, _ = s.budget.add(use{}.minus(s.shared)) }

// share tells the budget what was used since it was told last.
func (s *Scanner) share() {
	if s.err != nil {
		return
	}
	u := s.used()
	all, err := s.budget.add(u.minus(s.shared))
	s.shared, s.others = u, all.minus(u)
	if err != nil {
		s.fail("", s.off, err)
	}
}

// take consumes a part of p, all of it or what one step needs.
func (s *Scanner) take(p []byte) (n int) {
	switch {
	case s.skip > 0:
		n = int(min(s.skip, int64(len(p))))
		s.skip -= int64(n)
		s.off += int64(n)
	case s.pad > 0:
		n = int(min(s.pad, int64(len(p))))
		s.pad -= int64(n)
		s.off += int64(n)
	case s.state == atRest:
		n = len(p)
		s.off += int64(n)
	case len(s.piece) == 0 && len(p) >= s.need:
		n = s.need
		s.off += int64(n)
		s.step(p[:n])
	default:
		n = min(s.need-len(s.piece), len(p))
		s.off += int64(n)
		s.piece = append(s.piece, p[:n]...)
		if len(s.piece) == s.need {
			piece := s.piece
			s.piece = s.piece[:0]
			s.step(piece)
		}
	}
	return n
}

// step handles a whole piece. It lies just before s.off.
func (s *Scanner) step(piece []byte) {
	switch s.state {
	case atHeader:
		s.stepHeader((*block)(piece))
	case atZero:
		s.stepZero((*block)(piece))
	case inSpecial:
		s.stepSpecial(piece)
	case inOldMap:
		s.stepOldMap(piece)
	case inTextMap:
		s.stepTextMap((*block)(piece))
	case atTrailer:
		s.stepTrailer((*block)(piece))
	}
}

// expect says what comes next.
func (s *Scanner) expect(next state, need int) { s.state, s.need = next, need }

func (s *Scanner) stepHeader(b *block) {
	at := s.off - blockSize
	s.body = false
	if *b == zeroBlock {
		s.expect(atZero, blockSize)
		return
	}
	h := &s.header
	if err := h.parse(b, s.scratch[:0]); err != nil {
		s.fail("", at, s.notTar(b[:], at, err))
		return
	}
	if h.size < 0 && !headerOnly(h.typ) {
		s.fail(string(h.name), at, image.Corruptf("negative size"))
		return
	}
	switch h.typ {
	case 'x', 'g', 'L', 'K':
		s.startSpecial(at)
	default:
		s.startEntry(b, at)
	}
}

// stepZero handles the block behind a zero block: another one ends the archive.
func (s *Scanner) stepZero(b *block) {
	if *b != zeroBlock {
		s.fail("", s.off-blockSize, image.Corruptf("a single zero block in the midst of the archive"))
		return
	}
	s.expect(atTrailer, blockSize)
}

// stepTrailer looks for a second archive behind the end of the first.
func (s *Scanner) stepTrailer(b *block) {
	if *b == zeroBlock {
		return
	}
	if ok, _ := b.checksum(); ok {
		s.warn(132, "", "another archive begins behind the end of the first, at byte %d; it is ignored", s.off-blockSize)
		s.expect(atRest, 0)
	}
}

// Finish ends the stream and returns its entries and what was odd in it. The
// error is an [*EntryError]; entries are returned only without one. The scanner
// must not be used afterwards.
func (s *Scanner) Finish() ([]Entry, []image.Warning, error) {
	if s.err == nil {
		s.finish()
	}
	if s.err != nil {
		return nil, nil, s.err
	}
	if s.muted > 0 {
		s.warnings = append(s.warnings, image.Warning{
			Rule: s.warnings[len(s.warnings)-1].Rule,
			Text: fmt.Sprintf("%d more warnings like these are not shown", s.muted),
		})
	}
	return s.entries.join(), s.warnings, nil
}

// finish judges where the stream ends.
func (s *Scanner) finish() {
	switch {
	case s.skip > 0:
		s.fail(s.bodyOf(), s.off, image.Corruptf("the tar ends %d bytes before the body does", s.skip))
		return
	case s.pad > 0:
		if s.body {
			s.entries.tail().Flags |= Unpadded
		}
	case s.state >= atTrailer:
		return
	case s.state == inSpecial:
		s.fail("", s.off, image.Corruptf("the tar ends in an extension header"))
		return
	case s.state == inOldMap || s.state == inTextMap:
		s.fail(s.sparse.entry.Name, s.off, image.Corruptf("the tar ends in a sparse map"))
		return
	case len(s.piece) > 0:
		s.fail("", s.off, s.notTar(s.piece, s.off-int64(len(s.piece)), image.Corruptf("the tar ends in a header")))
		return
	}
	if s.off > 0 {
		s.warn(130, "", "the tar ends without the two zero blocks of its end")
	}
}

// bodyOf is the name of the entry whose body is being skipped.
func (s *Scanner) bodyOf() string {
	if !s.body {
		return ""
	}
	return s.entries.tail().Name
}

// notTar makes err clearer when the stream is no tar from its first byte.
func (s *Scanner) notTar(b []byte, at int64, err error) error {
	if at != 0 {
		return err
	}
	what := sniff(b)
	if what == magicNone {
		return err
	}
	return image.WithHint(image.Corruptf("it is not a tar but %s data: compressed twice", what),
		"build the layer again, compressing it once")
}

// fail sets the sticky error.
func (s *Scanner) fail(name string, at int64, err error) {
	s.err = &EntryError{Name: name, Offset: at, Err: err}
}

// warn adds a warning, or counts it when there are many.
func (s *Scanner) warn(rule int, entry, text string, args ...any) {
	if len(s.warnings) >= maxWarnings {
		s.muted++
		return
	}
	s.warnings = append(s.warnings, image.Warning{Rule: rule, Entry: entry, Text: fmt.Sprintf(text, args...)})
}
