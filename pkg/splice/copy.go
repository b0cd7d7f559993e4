// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package splice

import (
	"errors"
	"fmt"
	"io"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/inflate"
)

// copier copies compressed blocks of a blob to another place in the bits.
type copier struct {
	out *bitWriter
	buf []byte
}

// maxRead is how much of a blob is read at once, as long as it is in a processor's
// cache when it is copied.
const maxRead = 256 << 10

// run copies blocks. Their BFINAL bits are cleared, a stored block gets a new
// header since its data begins on a byte (RFC 1951 sections 3.2.3 and 3.2.4),
// and blocks without a byte are left out.
func (c *copier) run(blob io.ReaderAt, blocks []inflate.Block) error {
	for len(blocks) > 0 {
		b := &blocks[0]
		var err error
		n := 1
		switch {
		case b.Length == 0:
		case b.Type == inflate.Stored:
			err = c.stored(blob, b)
		case b.Final:
			c.out.bits(0, 1)
			err = c.span(blob, b.Start+1, b.End)
		default:
			n = adjacent(blocks)
			err = c.span(blob, b.Start, blocks[n-1].End)
		}
		if err != nil {
			return err
		}
		blocks = blocks[n:]
	}
	return c.out.err
}

// part copies a part of a block: its header, not a final one, the code words, and
// the end.
func (c *copier) part(blob io.ReaderAt, b *inflate.Block, p *Part) error {
	if b.Type == inflate.Stored {
		return c.storedPart(blob, b, p.From, p.To)
	}
	c.out.bits(0, 1)
	if err := c.span(blob, b.Start+1, p.Header); err != nil {
		return err
	}
	if err := c.span(blob, p.Begin, p.Finish); err != nil {
		return err
	}
	c.out.bits(p.End&(1<<p.EndBits-1), p.EndBits)
	return c.out.err
}

// adjacent counts the blocks from the first on that can be copied as one run of
// bits.
func adjacent(blocks []inflate.Block) int {
	n := 1
	for n < len(blocks) {
		b := &blocks[n]
		if b.Final || b.Length == 0 || b.Type == inflate.Stored || b.Start != blocks[n-1].End {
			break
		}
		n++
	}
	return n
}

// span copies the bits from bit from to bit to of a blob.
func (c *copier) span(blob io.ReaderAt, from, to int64) error {
	for from < to {
		first := from / 8
		n := min((to+7)/8-first, maxRead)
		src, err := c.read(blob, first, n)
		if err != nil {
			return err
		}
		end := min(to, (first+n)*8)
		c.out.copyBits(src, from-first*8, end-from)
		from = end
	}
	return nil
}

// stored copies the data of a stored block behind a new header.
func (c *copier) stored(blob io.ReaderAt, b *inflate.Block) error {
	return c.storedPart(blob, b, b.Offset, b.Offset+b.Length)
}

// storedPart copies the bytes from offset from to offset to of a stored block. It
// ends on a byte, where its data ends.
func (c *copier) storedPart(blob io.ReaderAt, b *inflate.Block, from, to int64) error {
	data := b.End/8 - b.Length
	src, err := c.read(blob, data+from-b.Offset, to-from)
	if err != nil {
		return err
	}
	c.out.storedHeader(uint16(to - from))
	c.out.bytes(src)
	return c.out.err
}

func (c *copier) read(blob io.ReaderAt, off, n int64) ([]byte, error) {
	if c.buf == nil {
		c.buf = make([]byte, maxRead)
	}
	m, err := blob.ReadAt(c.buf[:n], off)
	switch {
	case int64(m) == n:
		return c.buf[:n], nil
	case err == nil || errors.Is(err, io.EOF):
		return nil, image.Corruptf("blob ends at byte %d, not as when it was scanned", off+int64(m))
	}
	return nil, fmt.Errorf("byte %d: %w", off+int64(m), err)
}
