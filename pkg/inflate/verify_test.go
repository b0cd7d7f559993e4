// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package inflate_test

import (
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"testing"
	"testing/iotest"

	"github.com/seed-81b0d42e/flatten/pkg/inflate"
)

// readers are ways in which a source may hand out its bytes. What is decoded,
// and where errors are, must not depend on it.
var readers = []struct {
	name string
	open func([]byte) io.Reader
}{
	{"whole", func(p []byte) io.Reader { return bytes.NewReader(p) }},
	{"one", func(p []byte) io.Reader { return iotest.OneByteReader(bytes.NewReader(p)) }},
	{"512", func(p []byte) io.Reader { return &shortReader{p, 512} }},
	{"33", func(p []byte) io.Reader { return &shortReader{p, 33} }},
	{"dataerr", func(p []byte) io.Reader { return iotest.DataErrReader(&shortReader{p, 100}) }},
}

// shortReader hands out at most n bytes at a time.
type shortReader struct {
	p []byte
	n int
}

func (r *shortReader) Read(p []byte) (int, error) {
	if len(r.p) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), r.n)], r.p)
	r.p = r.p[n:]
	return n, nil
}

// decode returns all that r decodes. At the end of the source err is nil.
func decode(r *inflate.Reader) (out []byte, err error) {
	for {
		chunk, err := r.Next()
		out = append(out, chunk...)
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			if _, again := r.Next(); again != err {
				return out, errors.New("the error is not sticky")
			}
			return out, err
		}
		if len(chunk) == 0 {
			return out, errors.New("no bytes and no error")
		}
	}
}

// decoder is verify's: one for all, or most of the time would go into making
// new ones.
var decoder inflate.Reader

// verify decodes stream through all readers and checks what is reported about
// it against what was decoded. It returns the output and the error, which are
// the same for all readers, and the Reader, which the next call uses again.
func verify(t testing.TB, stream []byte, opts inflate.Options) ([]byte, *inflate.Reader, error) {
	t.Helper()
	var out []byte
	var err error
	r := &decoder
	for i, how := range readers {
		r.Reset(how.open(stream), opts)
		got, gotErr := decode(r)
		if i == 0 {
			out, err = got, gotErr
			verifyMap(t, r, out, len(stream))
			verifyResume(t, r, stream, out, opts.Raw)
			continue
		}
		if !bytes.Equal(got, out) || !sameError(gotErr, err) {
			t.Fatalf("reader %s: %d bytes, %v; reader %s: %d bytes, %v",
				how.name, len(got), gotErr, readers[0].name, len(out), err)
		}
	}
	return out, r, err
}

func sameError(a, b error) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Error() == b.Error()
}

// verifyMap checks that blocks tile both sides, and their sums.
func verifyMap(t testing.TB, r *inflate.Reader, out []byte, size int) {
	t.Helper()
	var at, offset int64
	fresh := true // a member begins
	for i, b := range r.Blocks() {
		if b.Start != at && !(fresh && b.Start > at && b.Start&7 == 0) || b.End <= b.Start || b.End > int64(size)*8 {
			t.Fatalf("block %d is bits %d to %d, after bit %d", i, b.Start, b.End, at)
		}
		if b.Offset != offset || b.Length < 0 || b.Offset+b.Length > int64(len(out)) {
			t.Fatalf("block %d is %d bytes at %d, after byte %d of %d", i, b.Length, b.Offset, offset, len(out))
		}
		at, offset, fresh = b.End, b.Offset+b.Length, b.Final
		if sum := crc32.ChecksumIEEE(out[b.Offset:offset]); sum != b.CRC {
			t.Fatalf("block %d has CRC %08x, its bytes %08x", i, b.CRC, sum)
		}
	}
	first := 0
	for i, m := range r.Members() {
		blocks := r.Blocks()[m.First : m.First+m.Blocks]
		last := blocks[len(blocks)-1]
		if m.First != first || !last.Final || m.Body*8 != blocks[0].Start || (last.End+7)/8+8 != m.End {
			t.Fatalf("member %d does not fit its blocks: %+v", i, m)
		}
		if m.Offset != blocks[0].Offset || m.Offset+m.Length != last.Offset+last.Length {
			t.Fatalf("member %d does not have its blocks' bytes: %+v", i, m)
		}
		if sum := crc32.ChecksumIEEE(out[m.Offset : m.Offset+m.Length]); sum != m.CRC {
			t.Fatalf("member %d has CRC %08x, its bytes %08x", i, m.CRC, sum)
		}
		first += m.Blocks
	}
}

// resumed is verifyResume's.
var resumed inflate.Reader

// verifyResume decodes each block by itself, given the bytes that it reaches
// and, to see that it does reach them, one less; and from some blocks to the end.
func verifyResume(t testing.TB, r *inflate.Reader, stream, out []byte, raw bool) {
	t.Helper()
	blocks := r.Blocks()
	for i, b := range blocks {
		if len(blocks) > 64 && i%(len(blocks)/32) != 0 || b.Length == 0 {
			continue
		}
		src := stream[b.Start/8:]
		want := out[b.Offset : b.Offset+b.Length]
		opts := inflate.Options{Raw: raw, Limit: b.Length}
		resumed.Resume(bytes.NewReader(src), b, out[b.Offset-int64(b.Reach):b.Offset], opts)
		got, err := decode(&resumed)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("block %d by itself: %d bytes, %v; want %d", i, len(got), err, len(want))
		}
		if b.Reach > 0 {
			resumed.Resume(bytes.NewReader(src), b, out[b.Offset-int64(b.Reach)+1:b.Offset], opts)
			got, err := decode(&resumed)
			var corrupt *inflate.CorruptError
			if !errors.As(err, &corrupt) || !bytes.HasPrefix(want, got) || corrupt.Bit < b.Start || corrupt.Bit > b.End {
				t.Fatalf("block %d reaches less than %d: %d bytes, %v", i, b.Reach, len(got), err)
			}
		}
	}
	for _, c := range r.Checkpoints() {
		if c.Block == len(blocks) {
			continue // the stream broke in the block that begins there
		}
		b := blocks[c.Block]
		resumed.Resume(&shortReader{stream[b.Start/8:], 777}, b, c.Window, inflate.Options{Raw: raw})
		got, _ := decode(&resumed)
		if !bytes.Equal(got, out[b.Offset:]) {
			t.Fatalf("from the checkpoint at block %d: %d bytes, want %d", c.Block, len(got), int64(len(out))-b.Offset)
		}
		after := resumed.Blocks()
		if len(after) != len(blocks)-c.Block || after[0] != b {
			t.Fatalf("from the checkpoint at block %d: %d blocks of %d", c.Block, len(after), len(blocks))
		}
	}
}
