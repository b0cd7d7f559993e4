// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/inflate"
)

var errEncoding = errors.New("toc: not the encoding of a layer")

// layerDecoder reads what encoder wrote. After an error it yields zeros.
type layerDecoder struct {
	buf []byte
	err error // sticky: fail keeps it so
}

func (d *layerDecoder) fail() { d.buf, d.err = nil, errEncoding }

func (d *layerDecoder) uint() uint64 {
	v, n := binary.Uvarint(d.buf)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.buf = d.buf[n:]
	return v
}

func (d *layerDecoder) int() int64 {
	v, n := binary.Varint(d.buf)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.buf = d.buf[n:]
	return v
}

func (d *layerDecoder) bytes(n uint64) []byte {
	if n > uint64(len(d.buf)) {
		d.fail()
		return nil
	}
	p := d.buf[:n:n]
	d.buf = d.buf[n:]
	return p
}

func (d *layerDecoder) byte() byte {
	if p := d.bytes(1); len(p) == 1 {
		return p[0]
	}
	return 0
}

func (d *layerDecoder) string() string { return string(d.bytes(d.uint())) }

// count reads the length of a list whose elements take size bytes or more each,
// so that a wrong one cannot ask for more memory than there are bytes.
func (d *layerDecoder) count(size int) int {
	n := d.uint()
	if n > uint64(len(d.buf)/size) {
		d.fail()
		return 0
	}
	return int(n)
}

// decodeLayer reads the encoding of a layer, all of buf. Windows refer to buf.
func decodeLayer(buf []byte) (*Layer, error) {
	d := &layerDecoder{buf: buf}
	l := &Layer{
		Digest:      digest.Digest(d.string()),
		DiffID:      digest.Digest(d.string()),
		BlobSize:    d.int(),
		Size:        d.int(),
		HeaderBytes: d.int(),
		Compression: Compression(d.byte()),
	}
	for range d.count(3) {
		l.Warnings = append(l.Warnings, image.Warning{Rule: int(d.int()), Entry: d.string(), Text: d.string()})
	}
	l.Entries = d.entries()
	l.Blocks = d.blocks()
	l.Checkpoints = d.checkpoints()
	if d.err == nil && (len(d.buf) > 0 || !l.sound()) {
		d.fail()
	}
	if d.err != nil {
		return nil, d.err
	}
	return l, nil
}

// sound reports whether a layer keeps what its users rely on: positions within
// the stream and the blob, in order.
func (l *Layer) sound() bool {
	if l.Compression > Zstd || l.Size < 0 || l.BlobSize < 0 || l.HeaderBytes < 0 {
		return false
	}
	end := int64(0)
	for i := range l.Entries {
		e := &l.Entries[i]
		if e.Start < end || e.Header <= 0 || e.Size < 0 || e.Stored() < 0 || e.Body()+e.Stored() > l.Size {
			return false
		}
		end = e.Body() + e.Stored()
	}
	bit, offset := int64(0), int64(0)
	for i := range l.Blocks {
		b := &l.Blocks[i]
		if b.Start < bit || b.End < b.Start || b.End > 8*l.BlobSize || b.Length < 0 || b.Type > inflate.Dynamic {
			return false
		}
		bit, offset = b.End, offset+b.Length
	}
	for _, c := range l.Checkpoints {
		if c.Block >= len(l.Blocks) {
			return false
		}
	}
	return len(l.Blocks) == 0 || offset >= l.Size
}

func (d *layerDecoder) entries() []Entry {
	extras := make([]*Extra, 1)
	for range d.count(9) {
		extras = append(extras, d.extra())
	}
	n := d.count(13)
	if n == 0 {
		return nil
	}
	entries := make([]Entry, n)
	var names arena
	var name []byte
	prev := &Entry{}
	for i := range entries {
		e := &entries[i]
		shared := d.uint()
		if shared > uint64(len(name)) {
			d.fail()
			return nil
		}
		name = append(name[:shared], d.bytes(d.uint())...)
		e.Name = names.text(name)
		if x := d.uint(); x < uint64(len(extras)) {
			e.Extra = extras[x]
		} else {
			d.fail()
		}
		e.Start = prev.End() + d.int()
		e.Header = int32(d.uint())
		e.Size = d.int()
		e.Sec = prev.Sec + d.int()
		e.Nsec = int32(d.uint())
		e.UID, e.GID = uint32(d.uint()), uint32(d.uint())
		e.Mode, e.Type, e.Flags = uint16(d.uint()), d.byte(), Flags(d.byte())
		if d.err != nil {
			return nil
		}
		prev = e
	}
	return entries
}

func (d *layerDecoder) extra() *Extra {
	x := &Extra{
		Link: d.string(), Uname: d.string(), Gname: d.string(),
		Devmajor: uint32(d.uint()), Devminor: uint32(d.uint()),
		AccessTime: d.time(), ChangeTime: d.time(),
	}
	for range d.count(2) {
		x.Records = append(x.Records, Record{d.string(), d.string()})
	}
	if d.byte() == 0 {
		return x
	}
	x.IsSparse, x.SparseHeader = true, d.int()
	for range d.count(2) {
		x.Sparse = append(x.Sparse, Fragment{d.int(), d.int()})
	}
	return x
}

func (d *layerDecoder) time() time.Time {
	if d.byte() == 0 {
		return time.Time{}
	}
	return time.Unix(d.int(), int64(d.uint()))
}

func (d *layerDecoder) blocks() []inflate.Block {
	n := d.count(9)
	if n == 0 {
		return nil
	}
	blocks := make([]inflate.Block, n)
	end, offset := int64(0), int64(0)
	for i := range blocks {
		b := &blocks[i]
		b.Start = end + d.int()
		b.End = b.Start + int64(d.uint())
		b.Offset, b.Length = offset, int64(d.uint())
		if p := d.bytes(4); p != nil {
			b.CRC = binary.LittleEndian.Uint32(p)
		}
		b.Reach = uint16(d.uint())
		kind := d.byte()
		b.Type, b.Final = inflate.Type(kind>>1), kind&1 != 0
		end, offset = b.End, offset+b.Length
	}
	return blocks
}

func (d *layerDecoder) checkpoints() []inflate.Checkpoint {
	n := d.count(2)
	if n == 0 {
		return nil
	}
	list := make([]inflate.Checkpoint, n)
	for i := range list {
		list[i] = inflate.Checkpoint{Block: int(d.uint() & (1<<31 - 1)), Window: d.bytes(d.uint())}
	}
	return list
}
