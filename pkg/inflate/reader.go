// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package inflate

import (
	"io"
	"math"
)

const (
	history  = 1 << 15       // how far back a match can reach (RFC 1951 section 2)
	outSize  = 1 << 19       // history and chunk; a power of two, so that an index can be masked
	outSlack = 64            // room after it for copies that overshoot
	outEnd   = outSize - 320 // where a chunk is full: there is room for a few literals and the longest match, overshot
)

// maxOffset bounds uncompressed offsets, so that none overflows when the
// history before it is counted.
const maxOffset = math.MaxInt64 - history

// outBuffer is history, then a chunk.
type outBuffer [outSize + outSlack]byte

// DefaultMaxBlocks is what Options.MaxBlocks means when it is 0: more than a
// layer of 100 GB has, and less than 200 MB of block map.
const DefaultMaxBlocks = 1 << 22

// Options says what to decode and what to keep. The zero value is a gzip
// stream with its block map, and no checkpoints.
type Options struct {
	// Raw: the source is a bare DEFLATE stream. It ends with its final block.
	Raw bool

	// Every is how many uncompressed bytes lie between checkpoints, or a
	// little more: they are taken at block boundaries. 0 takes none.
	Every int64

	// Limit ends decoding with io.EOF after so many uncompressed bytes, in
	// the midst of a block if need be. 0 is no limit.
	Limit int64

	// MaxBlocks bounds the block map: an empty block is 10 bits of source and
	// 40 bytes of map. 0 means DefaultMaxBlocks.
	MaxBlocks int

	// NoMembers leaves the list of members out: an empty member is 20 bytes of
	// source and 56 bytes of list.
	NoMembers bool

	// Hold is how many chunks are valid at the same time: one returned by
	// Next stays so during the Hold-1 calls that follow. Each takes 512 KiB.
	// 0 means 1.
	Hold int
}

// state is what comes next in the source.
type state uint8

const (
	atHeader  state = iota // a member's header, or the end
	atBlock                // a block's header
	inStored               // bytes of a stored block
	inCodes                // code words of a fixed or dynamic block
	atTrailer              // a member's trailer
)

// Reader decodes a gzip or DEFLATE source. Create one with [NewReader] or
// [Resume]. It is not safe for concurrent use.
type Reader struct {
	source
	tables
	out   *outBuffer   // the chunk being filled and the history before it
	spare []*outBuffer // the other chunks that are held, oldest first
	pre   [preSize]uint32
	lens  [maxLits + maxDists + 16]uint8 // and what a run overshoots
	progress
}

// progress is all of a Reader that Reset forgets.
type progress struct {
	opts  Options
	state state
	err   error  // sticky: Next sets it once and returns it ever after
	rest  []byte // what Read has not handed out of the current chunk

	// Invariant: out[low:w] is what matches may refer to and what the chunk
	// will hold; low is 0 when it began before out[0].
	w      int   // next byte is out[w]
	low    int   // where the member's output begins
	full   int   // the chunk ends when w gets here
	origin int64 // uncompressed offset of out[0]
	until  int64 // uncompressed offset at which to stop

	block   Block // the current one; its CRC is that of its bytes before out[summed]
	summed  int
	start   int  // where its output begins; negative when that is before out[0]
	nearest int  // least index its matches read from, at most start
	stored  int  // bytes left of a stored block
	fixed   bool // tables are those of fixed blocks

	member   Member // the current one
	sum      uint32 // CRC of its finished blocks
	partial  bool   // it was entered in its midst: nothing to check its trailer with
	last     int64  // source offset where the last member ended
	trailing bool   // there are bytes at last

	blocks      []Block
	members     []Member
	checkpoints []Checkpoint
	due         int64 // uncompressed offset from which the next checkpoint is due
}

// NewReader returns a Reader of a gzip source, or a DEFLATE one if opts.Raw.
func NewReader(src io.Reader, opts Options) *Reader {
	r := new(Reader)
	r.Reset(src, opts)
	return r
}

// Resume returns a Reader that begins with the block at, of which only Start
// and Offset are used. src is positioned at byte at.Start/8 of the source.
// window is the output of the member before the block, or as much of it as
// matches refer to; only its last 32 KiB are used. Positions and offsets are
// counted from the beginning of the source, indexes from this block.
//
// Decoding goes on through the blocks and members that follow until the source
// or opts.Limit ends it. The trailer of a member that was entered in its midst
// is skipped, not checked, and Members leaves that member out.
func Resume(src io.Reader, at Block, window []byte, opts Options) *Reader {
	r := new(Reader)
	r.Resume(src, at, window, opts)
	return r
}

// Reset makes r what [NewReader] returns but keeps its buffers, so that all
// chunks it handed out become invalid.
func (r *Reader) Reset(src io.Reader, opts Options) {
	r.reset(src, Block{}, nil, opts)
	if !opts.Raw {
		r.state = atHeader
		r.partial = false
	}
}

// Resume makes r what the function [Resume] returns, as Reset does.
func (r *Reader) Resume(src io.Reader, at Block, window []byte, opts Options) {
	r.reset(src, at, window, opts)
}

func (r *Reader) reset(src io.Reader, at Block, window []byte, opts Options) {
	if r.out == nil {
		r.out = new(outBuffer)
	}
	if opts.MaxBlocks <= 0 {
		opts.MaxBlocks = DefaultMaxBlocks
	}
	r.src, r.eof = src, false
	r.base, r.bit, r.end = at.Start>>3, 0, 0
	window = window[max(0, len(window)-history):]
	r.progress = progress{
		opts:    opts,
		state:   atBlock,
		w:       history,
		low:     history - len(window),
		origin:  at.Offset - history,
		until:   maxOffset,
		due:     maxOffset,
		summed:  history,
		partial: true,
	}
	copy(r.out[r.low:r.w], window)
	if opts.Limit > 0 {
		r.until = at.Offset + min(opts.Limit, maxOffset-at.Offset)
	}
	if opts.Every > 0 {
		r.due = at.Offset + min(opts.Every, maxOffset-at.Offset)
	}
	if phase := int(at.Start & 7); phase != 0 {
		if r.err = r.need(8, "a block header"); r.err == nil {
			r.bit = phase
		}
	}
}

// Blocks returns the blocks decoded so far, in order. The caller must not
// change them.
func (r *Reader) Blocks() []Block { return r.blocks }

// Members returns the members decoded and checked so far, in order. The caller
// must not change them.
func (r *Reader) Members() []Member { return r.members }

// Checkpoints returns the checkpoints taken since it was called last, in order.
// The last one's block need not be among Blocks yet: it begins where the block
// before it ends.
func (r *Reader) Checkpoints() []Checkpoint {
	taken := r.checkpoints
	r.checkpoints = nil
	return taken
}

// InputOffset returns the source offset one past the last member, or past the
// DEFLATE stream if opts.Raw: so far, and for good once Next returned io.EOF.
func (r *Reader) InputOffset() int64 { return r.last }

// Trailing reports whether the source goes on after its last member with
// something that is not a member, and where. Next then returned io.EOF.
func (r *Reader) Trailing() (offset int64, ok bool) { return r.last, r.trailing }

// offset returns the uncompressed offset of the next byte.
func (r *Reader) offset() int64 { return r.origin + int64(r.w) }

// Next returns the next bytes, at most 512 KiB, never none without an error. They
// stay valid, and the caller may not change them, until the next call or as
// opts.Hold says. After the last member, its trailer checked, or at opts.Limit
// it returns io.EOF. All bytes before an error are returned before it.
func (r *Reader) Next() ([]byte, error) {
	r.rest = nil
	if r.err != nil {
		return nil, r.err
	}
	r.slide()
	r.full = int(min(outEnd, r.until-r.origin))
	for r.err == nil && r.w < r.full {
		r.err = r.step()
	}
	r.addSum()
	end := r.w
	if r.offset() >= r.until {
		end = int(r.until - r.origin)
		r.err = io.EOF
	}
	if end == history {
		return nil, r.err
	}
	return r.out[history:end:end], nil
}

// slide makes out[history:] free for the next chunk.
func (r *Reader) slide() {
	n := r.w - history
	from := r.out
	if r.opts.Hold > 1 && n > 0 {
		if len(r.spare) < r.opts.Hold-1 {
			r.spare = append(r.spare, from)
			r.out = new(outBuffer)
		} else {
			r.out = r.spare[0]
			copy(r.spare, r.spare[1:])
			r.spare[len(r.spare)-1] = from
		}
	}
	copy(r.out[:history], from[n:r.w])
	r.w = history
	r.low = max(0, r.low-n)
	r.origin += int64(n)
	r.start -= n
	r.nearest -= n
	r.summed -= n
}

// step decodes up to the end of what the state names, or until out is full.
func (r *Reader) step() error {
	switch r.state {
	case atHeader:
		return r.beginMember()
	case atBlock:
		return r.beginBlock()
	case inStored:
		return r.copyStored()
	case inCodes:
		return r.decode()
	case atTrailer:
		return r.endMember()
	}
	panic("inflate: internal error: no such state")
}

// beginMember reads a member's header, or finds that there are no more members.
func (r *Reader) beginMember() error {
	if r.last > 0 {
		if r.have() < 16 {
			if err := r.fill(); err != nil {
				return err
			}
		}
		if r.have() == 0 {
			return io.EOF
		}
		if r.have() < 16 || r.peek()&0xffff != magic {
			r.trailing = true
			return io.EOF
		}
	}
	r.member = Member{Start: r.at() >> 3, Offset: r.offset(), First: len(r.blocks)}
	if err := r.readHeader(&r.member); err != nil {
		return err
	}
	r.member.Body = r.at() >> 3
	r.low = r.w
	r.sum = 0
	r.state = atBlock
	return nil
}

// endMember checks a member's trailer.
func (r *Reader) endMember() error {
	r.bit = (r.bit + 7) &^ 7
	if r.opts.Raw {
		return r.endRaw()
	}
	if err := r.need(64, "a gzip trailer"); err != nil {
		return err
	}
	at, crc, size := r.at(), uint32(r.take(32)), uint32(r.take(32))
	r.last = r.at() >> 3
	r.state = atHeader
	if r.partial {
		r.partial = false
		return nil
	}
	m := &r.member
	m.CRC = r.sum
	m.Length = r.offset() - m.Offset
	m.End = r.last
	m.Blocks = len(r.blocks) - m.First
	if crc != m.CRC {
		return &CorruptError{at, "data does not match its CRC"}
	}
	if size != uint32(m.Length) {
		return &CorruptError{at + 32, "data does not match its size"}
	}
	if !r.opts.NoMembers {
		r.members = append(r.members, *m)
	}
	return nil
}

// endRaw ends a DEFLATE stream that is no member.
func (r *Reader) endRaw() error {
	r.last = r.at() >> 3
	if r.have() == 0 {
		if err := r.fill(); err != nil {
			return err
		}
	}
	r.trailing = r.have() > 0
	return io.EOF
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 && len(p) > 0 {
		chunk, err := r.Next()
		if err != nil {
			return 0, err
		}
		r.rest = chunk
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// WriteTo implements io.WriterTo.
func (r *Reader) WriteTo(w io.Writer) (int64, error) {
	var total int64
	chunk := r.rest
	for {
		if len(chunk) > 0 {
			n, err := w.Write(chunk)
			total += int64(n)
			if err != nil {
				return total, err
			}
			if n < len(chunk) {
				return total, io.ErrShortWrite
			}
		}
		var err error
		if chunk, err = r.Next(); err == io.EOF {
			return total, nil
		} else if err != nil {
			return total, err
		}
	}
}

var (
	_ io.Reader   = (*Reader)(nil)
	_ io.WriterTo = (*Reader)(nil)
)
