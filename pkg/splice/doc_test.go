// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package splice_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/seed-81b0d42e/flatten/internal/bitgen"
	. "github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/inflate"
	"github.com/seed-81b0d42e/flatten/pkg/splice"
)

var update = flag.Bool("update", false, "rewrite the example in docs/engine.md")

// example is the blob that docs/engine.md takes apart.
var example = bitgen.Must(`
	x:1f8b08000000000000ff      # header
	@one
	1:0 2:1                      # not final, fixed
	10010001 10010010            # 'a' 'b'
	11000101_00001*17            # 258 bytes from 2 before
	0000000                      # end
	@two
	1:1 2:1                      # final, fixed
	10101000                     # 'x'
	11000101_00000*16            # 258 bytes from 1 before
	0000000                      # end
	@end |
	x:75344366 x:45210000      # CRC, size
`)

// memory is a stream as a Source.
type memory []byte

func (m memory) WriteRange(_ context.Context, w io.Writer, off, n int64) error {
	_, err := w.Write(m[off : off+n])
	return err
}

// dumper writes a stream field by field: its place in bits, then its bytes, or
// its bits in the order in which they come.
type dumper struct {
	strings.Builder
	stream []byte
	at     int64
}

func (d *dumper) row(to int64, value, what string) {
	fmt.Fprintf(d, "%-9s %-33s %s\n", fmt.Sprintf("%d..%d", d.at, to), value, what)
	d.at = to
}

// bytes is a field of n bytes, 11 to a line.
func (d *dumper) bytes(n int64, what string) {
	for n > 0 {
		m := min(n, 11)
		d.row(d.at+8*m, fmt.Sprintf("% x", d.stream[d.at/8:d.at/8+m]), what)
		n, what = n-m, ""
	}
}

// bits is a field of as many bits as the groups have together.
func (d *dumper) bits(what string, groups ...int64) {
	var b strings.Builder
	at := d.at
	for i, n := range groups {
		if i > 0 {
			b.WriteByte(' ')
		}
		for range n {
			b.WriteByte('0' + d.stream[at/8]>>(at%8)&1)
			at++
		}
	}
	d.row(at, b.String(), what)
}

// many is n fields of the same bits, in two rows.
func (d *dumper) many(n int64, what string, groups ...int64) {
	first := d.at
	d.bits(what, groups...)
	d.row(d.at+(n-1)*(d.at-first), "…", fmt.Sprintf("the same %d times more", n-1))
}

// hex is all of the stream, 16 bytes to a line behind the first one's place.
func (d *dumper) hex() {
	for at := 0; at < len(d.stream); at += 16 {
		fmt.Fprintf(d, "%-4d  % x\n", 8*at, d.stream[at:min(at+16, len(d.stream))])
	}
}

// The example in docs/engine.md is what the code does; with -update it becomes so.
func TestEngineDocument(t *testing.T) {
	r := inflate.NewReader(bytes.NewReader(example.Bytes), inflate.Options{})
	tar, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	blocks := r.Blocks()
	layers := []splice.Layer{{Source: memory(tar), Blob: bytes.NewReader(example.Bytes), Blocks: blocks}}
	p := cut(from(0, 4388, 8517), from(0, 0, 4300), zeros(342))
	list, err := splice.Pieces(p, layers, splice.Options{})
	if err != nil || len(list) != 3 {
		t.Fatalf("%v, %v", list, err)
	}
	var out bytes.Buffer
	if _, err := splice.Gzip(context.Background(), &out, p, layers, splice.Options{}); err != nil {
		t.Fatal(err)
	}
	got, err := Gunzip(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	examples := map[string]string{
		"blob":   dumpBlob(example.Bytes),
		"map":    mapOf(blocks),
		"pieces": planOf(list),
		"output": dumpOutput(out.Bytes()),
		"crc":    sums(got, list, out.Bytes()),
	}
	const path = "../../docs/engine.md"
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range examples {
		begin := "<!-- example: " + name + " -->\n```text\n"
		before, rest, ok := strings.Cut(string(doc), begin)
		got, after, ok2 := strings.Cut(rest, "```\n")
		if !ok || !ok2 {
			t.Errorf("no example %q in %s", name, path)
			continue
		}
		if got == want {
			continue
		}
		if doc = []byte(before + begin + want + "```\n" + after); !*update {
			t.Errorf("example %q in %s says\n%s\nbut it is\n%s", name, path, got, want)
		}
	}
	if *update {
		if err := os.WriteFile(path, doc, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func dumpBlob(blob []byte) string {
	d := &dumper{stream: blob}
	d.hex()
	d.WriteByte('\n')
	d.bytes(10, "header of the member")
	d.bits("block 0: not final, fixed", 1, 2)
	d.bits("'a', 'b'", 8, 8)
	d.many(17, "length 258, distance 2", 8, 5)
	d.bits("end of the block", 7)
	d.bits("block 1: final, fixed", 1, 2)
	d.bits("'x'", 8)
	d.many(16, "length 258, distance 1", 8, 5)
	d.bits("end of the block", 7)
	d.bits("padding", 7)
	d.bytes(4, "CRC")
	d.bytes(4, "size")
	return d.String()
}

func mapOf(blocks []inflate.Block) string {
	var b strings.Builder
	fmt.Fprintf(&b, "block  bits      bytes       reach  type   final  CRC\n")
	for i, l := range blocks {
		fmt.Fprintf(&b, "%-5d  %-8s  %-10s  %-5d  %-5s  %-5v  %08x\n", i, fmt.Sprintf("%d..%d", l.Start, l.End),
			fmt.Sprintf("%d..%d", l.Offset, l.Offset+l.Length), l.Reach, l.Type, l.Final, l.CRC)
	}
	return b.String()
}

func planOf(list []splice.Piece) string {
	var b strings.Builder
	for _, p := range list {
		fmt.Fprintln(&b, p)
	}
	return b.String()
}

func dumpOutput(out []byte) string {
	d := &dumper{stream: out}
	d.hex()
	d.WriteByte('\n')
	d.bytes(10, "header of the member")
	d.bits("block 1: not final now, fixed", 1, 2)
	d.bits("'x'", 8)
	d.many(16, "length 258, distance 1", 8, 5)
	d.bits("end of the block", 7)
	d.bits("block 0: not final, fixed", 1, 2)
	d.bits("'a', 'b'", 8, 8)
	d.many(16, "length 258, distance 2", 8, 5)
	d.bits("end of the block, from its last code word", 7)
	d.bits("alignment: a stored block, not final", 1, 2)
	d.bits("padding", 8-d.at%8)
	d.bytes(4, "of no bytes")
	chunk := int64(len(out)) - 10 - d.at/8
	d.bytes(chunk-4, "encoded: 170 bytes and 342 zeros")
	d.bytes(4, "its sync flush: a stored block of no bytes")
	d.bits("final, fixed", 1, 2)
	d.bits("end of the block", 7)
	d.bits("padding", 6)
	d.bytes(4, "CRC")
	d.bytes(4, "size")
	return d.String()
}

func sums(tar []byte, list []splice.Piece, out []byte) string {
	var b strings.Builder
	sum := uint32(0)
	for i, what := range []string{"block 1", "part of block 0", "encoded"} {
		data := tar[list[i].Offset : list[i].Offset+list[i].Length]
		crc := crc32.ChecksumIEEE(data)
		sum = inflate.CombineCRC(sum, crc, int64(len(data)))
		fmt.Fprintf(&b, "%-15s  %4d bytes  %08x  all so far  %08x\n", what, len(data), crc, sum)
	}
	trailer := binary.LittleEndian.Uint32(out[len(out)-8:])
	fmt.Fprintf(&b, "%-15s  %4d bytes  %08x\n", "trailer", binary.LittleEndian.Uint32(out[len(out)-4:]), trailer)
	return b.String()
}
