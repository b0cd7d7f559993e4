// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package inflate_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/seed-81b0d42e/flatten/internal/bitgen"
	"github.com/seed-81b0d42e/flatten/pkg/inflate"
)

func byteCount(n int64) string { return fmt.Sprintf("%dB", n) }

// TestKinds decodes what real encoders make of real files, in every way, and
// resumes from every checkpoint.
func TestKinds(t *testing.T) {
	data := tarOf(1<<20, goroot("src/compress"), goroot("src/encoding"), goroot("src/image"))
	data = append(data, make([]byte, 1<<20)...)
	data = append(data, tarOf(1<<20, goroot("src/net"))...)
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			out, r, err := verify(t, kind.make(t, data), inflate.Options{Every: 200_000})
			if err != nil || !bytes.Equal(out, data) {
				t.Fatalf("%d bytes, %v; want %d", len(out), err, len(data))
			}
			if len(r.Checkpoints()) == 0 {
				t.Error("no checkpoints")
			}
		})
	}
}

// TestDistances copies matches of every short length at every short distance,
// and of some longer ones.
func TestDistances(t *testing.T) {
	dists := []int{32768, 32767, 100, 255, 256, 257, 1000}
	for d := range 70 {
		dists = append(dists, d+1)
	}
	window := make([]byte, 32768)
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range window {
		window[i] = byte(rng.Uint32())
	}
	var text strings.Builder
	want := bytes.Clone(window)
	text.WriteString("1:0 2:0 | 16:32768 16:32767\n")
	fmt.Fprintf(&text, "x:%x\n1:1 2:1\n", window)
	for _, d := range dists {
		for length := 3; length <= 258; length++ {
			if length > 70 && length%17 != 0 && length < 256 {
				continue
			}
			text.WriteString(fixedMatch(length, d))
			for range length {
				want = append(want, want[len(want)-d])
			}
			// A byte between them, so that they are all different.
			b := byte(rng.Uint32()) & 127
			fmt.Fprintf(&text, " %08b\n", int(b)+0x30)
			want = append(want, b)
		}
	}
	text.WriteString("0000000")
	out, r, err := verify(t, bitgen.Must(text.String()).Bytes, inflate.Options{Raw: true})
	if err != nil || !bytes.Equal(out, want) {
		t.Fatalf("%d bytes, %v; want %d", len(out), err, len(want))
	}
	if reach := r.Blocks()[1].Reach; reach != 32768 {
		t.Errorf("reach %d", reach)
	}
}

// fixedMatch writes a match with the codes of fixed blocks, from the tables of
// RFC 1951 section 3.2.5.
func fixedMatch(length, dist int) string {
	bases := []int{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	extra := []int{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	k := len(bases) - 1
	for bases[k] > length {
		k--
	}
	text := fmt.Sprintf("%07b", k+1)
	if k+257 >= 280 {
		text = fmt.Sprintf("%08b", 0b11000000+k+257-280)
	}
	if extra[k] > 0 {
		text += fmt.Sprintf(" %d:%d", extra[k], length-bases[k])
	}
	base, n := 1, 0
	for k = 0; ; k++ {
		if n = max(0, k/2-1); dist < base+1<<n {
			break
		}
		base += 1 << n
	}
	text += fmt.Sprintf(" %05b", k)
	if n > 0 {
		text += fmt.Sprintf(" %d:%d", n, dist-base)
	}
	return text
}

// TestSlidingInput has stored blocks and members of all sizes in all phases,
// so that the input buffer slides before, in and after every field. A decoder
// that reads ahead and gives bits back loses some when it slides in between.
func TestSlidingInput(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	var want, stream bytes.Buffer
	for range 60 {
		zw, _ := gzip.NewWriterLevel(&stream, 1+rng.IntN(9))
		for range rng.IntN(12) {
			p := make([]byte, rng.IntN(3000))
			for i := range p {
				p[i] = byte(rng.Uint32())
				if rng.IntN(4) > 0 {
					p[i] &= 3
				}
			}
			want.Write(p)
			zw.Write(p)
			zw.Flush()
		}
		zw.Close()
	}
	for n := 1; n < 90; n++ {
		r := inflate.NewReader(&shortReader{stream.Bytes(), n}, inflate.Options{})
		out, err := decode(r)
		if err != nil || !bytes.Equal(out, want.Bytes()) {
			t.Fatalf("%d bytes at a time: %d bytes, %v; want %d", n, len(out), err, want.Len())
		}
		if n == 1 {
			verifyMap(t, r, out, stream.Len())
		}
	}
}

// TestTruncated cuts a stream with blocks of all types after every byte.
func TestTruncated(t *testing.T) {
	text := []byte(strings.Repeat("the quick brown fox jumps over the lazy dog; ", 9))
	var stream bytes.Buffer
	zw, _ := flate.NewWriter(&stream, 9)
	for _, p := range [][]byte{text[:100], {}, text[100:103], []byte(goroot("")), text[103:], make([]byte, 1000)} {
		zw.Write(p)
		zw.Flush()
	}
	zw.Close()
	whole, _, err := verify(t, stream.Bytes(), inflate.Options{Raw: true})
	if err != nil {
		t.Fatal(err)
	}
	for n := range stream.Len() {
		out, _, err := verify(t, stream.Bytes()[:n], inflate.Options{Raw: true})
		checkTruncated(t, fmt.Sprintf("%d bytes", n), err, n)
		if !bytes.HasPrefix(whole, out) {
			t.Errorf("%d bytes: wrong output", n)
		}
	}
}

// TestLimit ends decoding after every number of bytes.
func TestLimit(t *testing.T) {
	data := []byte(strings.Repeat("abcdefgh", 100))
	stream := members(300)(t, data)
	for n := int64(1); n <= int64(len(data)); n++ {
		out, err := decode(inflate.NewReader(bytes.NewReader(stream), inflate.Options{Limit: n}))
		if err != nil || !bytes.Equal(out, data[:n]) {
			t.Errorf("limit %d: %d bytes, %v", n, len(out), err)
		}
	}
	out, err := decode(inflate.NewReader(bytes.NewReader(stream), inflate.Options{Limit: 1<<63 - 1, Every: 1<<63 - 1}))
	if err != nil || !bytes.Equal(out, data) {
		t.Errorf("no limit: %d bytes, %v", len(out), err)
	}
}

// TestHold holds chunks while later ones are decoded.
func TestHold(t *testing.T) {
	data := tarOf(6<<20, goroot("src"))
	stream := writer(func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, 1) })(t, data)
	for hold := 1; hold <= 4; hold++ {
		r := inflate.NewReader(bytes.NewReader(stream), inflate.Options{Hold: hold})
		for turn := range 2 {
			var held, copies [][]byte
			for n := 0; ; n++ {
				chunk, err := r.Next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				held = append(held, chunk)
				copies = append(copies, bytes.Clone(chunk))
				for i := max(0, n-hold+1); i <= n; i++ {
					if !bytes.Equal(held[i], copies[i]) {
						t.Fatalf("hold %d, turn %d: chunk %d changed by chunk %d", hold, turn, i, n)
					}
				}
			}
			if !bytes.Equal(bytes.Join(copies, nil), data) {
				t.Fatalf("hold %d, turn %d: wrong output", hold, turn)
			}
			r.Reset(bytes.NewReader(stream), inflate.Options{Hold: hold})
		}
	}
}

func TestRead(t *testing.T) {
	data := tarOf(2<<20, goroot("src"))
	stream := kinds[5].make(t, data)
	if err := iotest.TestReader(inflate.NewReader(bytes.NewReader(stream), inflate.Options{}), data); err != nil {
		t.Error(err)
	}
	var buf bytes.Buffer
	r := inflate.NewReader(bytes.NewReader(stream), inflate.Options{})
	if _, err := io.CopyN(&buf, r, 1000); err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(&buf, r)
	if err != nil || n != int64(len(data))-1000 || !bytes.Equal(buf.Bytes(), data) {
		t.Errorf("%d bytes after 1000, %v", n, err)
	}
	if _, err := inflate.NewReader(bytes.NewReader(stream), inflate.Options{}).WriteTo(brokenWriter{}); !errors.Is(err, errBroken) {
		t.Errorf("WriteTo a broken writer: %v", err)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

// TestSourceErrors checks that errors of the source come through, after what
// can be decoded, and that a source that does nothing is not asked forever.
func TestSourceErrors(t *testing.T) {
	data := []byte(strings.Repeat("0123456789", 1000))
	stream := kinds[5].make(t, data)
	for n := range len(stream) {
		src := io.MultiReader(bytes.NewReader(stream[:n]), iotest.ErrReader(errBroken))
		out, err := decode(inflate.NewReader(src, inflate.Options{}))
		if !errors.Is(err, errBroken) || !bytes.HasPrefix(data, out) {
			t.Fatalf("broken after %d bytes: %d bytes, %v", n, len(out), err)
		}
		if want := fmt.Sprintf("at byte %d:", n); !strings.Contains(err.Error(), want) {
			t.Fatalf("%v, want %q", err, want)
		}
	}
	if _, err := decode(inflate.NewReader(idleReader{}, inflate.Options{})); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("idle source: %v", err)
	}
	src := io.MultiReader(strings.NewReader("\x01\x10\x00\xef\xff"), idleReader{})
	if _, err := decode(inflate.NewReader(src, inflate.Options{Raw: true})); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("idle source in a stored block: %v", err)
	}
}

type idleReader struct{}

func (idleReader) Read([]byte) (int, error) { return 0, nil }

func TestMaxBlocks(t *testing.T) {
	stream := bitgen.Must(strings.Repeat("1:0 2:1 0000000 ", 99) + "1:1 2:1 0000000").Bytes
	for _, limit := range []int{0, 100} {
		if _, err := decode(inflate.NewReader(bytes.NewReader(stream), inflate.Options{Raw: true, MaxBlocks: limit})); err != nil {
			t.Errorf("MaxBlocks %d: %v", limit, err)
		}
	}
	if _, err := decode(inflate.NewReader(bytes.NewReader(stream), inflate.Options{Raw: true, MaxBlocks: 99})); err != inflate.ErrTooManyBlocks {
		t.Errorf("MaxBlocks 99: %v", err)
	}
}

// TestReset uses one Reader for everything, each time after another use of it.
func TestReset(t *testing.T) {
	r := new(inflate.Reader)
	for range 2 {
		for _, v := range deflateVectors {
			r.Reset(bytes.NewReader(bitgen.Must(v.stream).Bytes), inflate.Options{Raw: true})
			if out, err := decode(r); string(out) != v.out || (err == nil) != (v.reason == "") {
				t.Errorf("%s: %q, %v", v.name, out, err)
			}
		}
		for _, v := range gzipVectors {
			r.Reset(bytes.NewReader(bitgen.Must(v.stream).Bytes), inflate.Options{})
			if out, err := decode(r); string(out) != v.out || (err == nil) != (v.reason == "") {
				t.Errorf("%s: %q, %v", v.name, out, err)
			}
		}
	}
}
