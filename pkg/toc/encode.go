// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

import (
	"encoding/binary"
	"time"

	"github.com/seed-81b0d42e/flatten/pkg/inflate"
)

// The encoding of a table of contents: numbers as varints, each entry and block
// relative to the one before it, names without what they share with the name
// before. What it means is given by decode.go, which reads the same fields in
// the same order.

type encoder struct{ buf []byte }

func (e *encoder) uint(n uint64)   { e.buf = binary.AppendUvarint(e.buf, n) }
func (e *encoder) int(n int64)     { e.buf = binary.AppendVarint(e.buf, n) }
func (e *encoder) byte(b byte)     { e.buf = append(e.buf, b) }
func (e *encoder) string(s string) { e.uint(uint64(len(s))); e.buf = append(e.buf, s...) }

// encodeLayer appends a layer's encoding to buf.
func encodeLayer(buf []byte, l *Layer) []byte {
	e := &encoder{buf}
	e.string(string(l.Digest))
	e.string(string(l.DiffID))
	e.int(l.BlobSize)
	e.int(l.Size)
	e.int(l.HeaderBytes)
	e.byte(byte(l.Compression))
	e.uint(uint64(len(l.Warnings)))
	for _, w := range l.Warnings {
		e.int(int64(w.Rule))
		e.string(w.Entry)
		e.string(w.Text)
	}
	e.entries(l.Entries)
	e.blocks(l.Blocks)
	e.checkpoints(l.Checkpoints)
	return e.buf
}

// entries writes the distinct extras first, then entries that number them.
func (e *encoder) entries(entries []Entry) {
	number := map[*Extra]uint64{nil: 0}
	var extras []*Extra
	for i := range entries {
		if x := entries[i].Extra; x != nil && number[x] == 0 {
			extras = append(extras, x)
			number[x] = uint64(len(extras))
		}
	}
	e.uint(uint64(len(extras)))
	for _, x := range extras {
		e.extra(x)
	}
	e.uint(uint64(len(entries)))
	var prev Entry
	for i := range entries {
		n := &entries[i]
		shared := sharedPrefix(prev.Name, n.Name)
		e.uint(uint64(shared))
		e.string(n.Name[shared:])
		e.uint(number[n.Extra])
		e.int(n.Start - prev.End())
		e.uint(uint64(n.Header))
		e.int(n.Size)
		e.int(n.Sec - prev.Sec)
		e.uint(uint64(n.Nsec))
		e.uint(uint64(n.UID))
		e.uint(uint64(n.GID))
		e.uint(uint64(n.Mode))
		e.byte(n.Type)
		e.byte(byte(n.Flags))
		prev = *n
	}
}

func sharedPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func (e *encoder) extra(x *Extra) {
	e.string(x.Link)
	e.string(x.Uname)
	e.string(x.Gname)
	e.uint(uint64(x.Devmajor))
	e.uint(uint64(x.Devminor))
	e.time(x.AccessTime)
	e.time(x.ChangeTime)
	e.uint(uint64(len(x.Records)))
	for _, r := range x.Records {
		e.string(r.Key)
		e.string(r.Value)
	}
	if !x.IsSparse {
		e.byte(0)
		return
	}
	e.byte(1)
	e.int(x.SparseHeader)
	e.uint(uint64(len(x.Sparse)))
	for _, f := range x.Sparse {
		e.int(f.Offset)
		e.int(f.Length)
	}
}

func (e *encoder) time(t time.Time) {
	if t.IsZero() {
		e.byte(0)
		return
	}
	e.byte(1)
	e.int(t.Unix())
	e.uint(uint64(t.Nanosecond()))
}

func (e *encoder) blocks(blocks []inflate.Block) {
	e.uint(uint64(len(blocks)))
	end := int64(0)
	for i := range blocks {
		b := &blocks[i]
		e.int(b.Start - end)
		e.uint(uint64(b.End - b.Start))
		e.uint(uint64(b.Length))
		e.buf = binary.LittleEndian.AppendUint32(e.buf, b.CRC)
		e.uint(uint64(b.Reach))
		kind := byte(b.Type) << 1
		if b.Final {
			kind |= 1
		}
		e.byte(kind)
		end = b.End
	}
}

func (e *encoder) checkpoints(checkpoints []inflate.Checkpoint) {
	e.uint(uint64(len(checkpoints)))
	for _, c := range checkpoints {
		e.uint(uint64(c.Block))
		e.string(string(c.Window))
	}
}
