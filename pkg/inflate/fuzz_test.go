// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package inflate_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"

	kflate "github.com/klauspost/compress/flate"

	"github.com/seed-81b0d42e/flatten/internal/bitgen"
	"github.com/seed-81b0d42e/flatten/pkg/inflate"
)

// FuzzDeflate compares this package with compress/flate on any bytes: what they
// accept, decode and consume, and where they find an error.
func FuzzDeflate(f *testing.F) {
	for _, v := range deflateVectors {
		f.Add(bitgen.Must(v.stream).Bytes)
	}
	for level := -2; level <= 9; level++ {
		f.Add(deflated(f, level, 1000, []byte(strings.Repeat("Deflate ", 400)+text)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		src := bytes.NewReader(data)
		want, wantErr := io.ReadAll(flate.NewReader(src))
		got, r, err := verify(t, data, inflate.Options{Raw: true, Every: 300})
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%d bytes, %v; want %d, %v", len(got), err, len(want), wantErr)
		}
		if err == nil {
			if !bytes.Equal(got, want) || r.InputOffset() != int64(len(data)-src.Len()) {
				t.Fatalf("%d bytes up to %d; want %d up to %d", len(got), r.InputOffset(), len(want), len(data)-src.Len())
			}
			return
		}
		compareErrors(t, got, want, err, wantErr, len(data))
	})
}

// compareErrors compares what went wrong and when. compress/flate accepts a code
// without an end of block and only then finds that there is no end, and it waits
// for as many bits as an end has before it decodes anything.
func compareErrors(t *testing.T, got, want []byte, err, wantErr error, size int) {
	t.Helper()
	var corrupt *inflate.CorruptError
	var wantCorrupt flate.CorruptInputError
	switch {
	case errors.As(err, &corrupt) && corrupt.Reason == "no code word ends the block":
		if !bytes.HasPrefix(want, got) {
			t.Fatalf("%d bytes, want %d", len(got), len(want))
		}
	case errors.As(err, &corrupt) && errors.As(wantErr, &wantCorrupt):
		if !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, want %d", len(got), len(want))
		}
		// Its offset is how many bytes it had read: up to 6 beyond the first
		// bit of a code word or field that is wrong.
		if read := int64(wantCorrupt); corrupt.Bit > 8*read || corrupt.Bit < 8*read-8*6 {
			t.Fatalf("%v; want %v", err, wantErr)
		}
	case errors.Is(err, io.ErrUnexpectedEOF) && errors.Is(wantErr, io.ErrUnexpectedEOF),
		corrupt != nil && errors.Is(wantErr, io.ErrUnexpectedEOF):
		if !bytes.HasPrefix(got, want) {
			t.Fatalf("%d bytes, want %d", len(got), len(want))
		}
	case errors.Is(err, io.ErrUnexpectedEOF) && errors.As(wantErr, &wantCorrupt) && int(wantCorrupt) == size:
		// The last code word lacks its extra bits, and would be wrong with any.
		if !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, want %d", len(got), len(want))
		}
	default:
		t.Fatalf("%v; want %v", err, wantErr)
	}
}

const text = "ABCDEADEADEADBEEF 0123456789 the rain in spain stays mainly in the plain"

// deflated compresses data, and ends a block after every n bytes.
func deflated(t testing.TB, level, n int, data []byte) []byte {
	var buf bytes.Buffer
	w, err := flate.NewWriter(&buf, level)
	if err != nil {
		t.Fatal(err)
	}
	for len(data) > n {
		w.Write(data[:n])
		w.Flush()
		data = data[n:]
	}
	write(t, w, data)
	return buf.Bytes()
}

// FuzzGzip compares this package with compress/gzip on any bytes.
func FuzzGzip(f *testing.F) {
	for _, v := range gzipVectors {
		if s := bitgen.Must(v.stream); len(s.Bytes) < 10000 {
			f.Add(s.Bytes)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var want []byte
		ref, wantErr := gzip.NewReader(bytes.NewReader(data))
		if wantErr == nil {
			want, wantErr = io.ReadAll(ref)
		}
		got, r, err := verify(t, data, inflate.Options{Every: 100})
		_, trailing := r.Trailing()
		var corrupt *inflate.CorruptError
		switch {
		case err == nil && trailing && wantErr != nil, err == nil && wantErr == nil:
			if !bytes.Equal(got, want) {
				t.Fatalf("%d bytes, want %d", len(got), len(want))
			}
		case err == nil && wantErr == gzip.ErrHeader:
			if longText(r.Members()) {
				return // compress/gzip wants less than 512 bytes
			}
			t.Fatalf("accepted; want %v", wantErr)
		case errors.As(err, &corrupt) && strings.HasPrefix(corrupt.Reason, "reserved flag"):
			// compress/gzip ignores them.
		case err == nil || wantErr == nil:
			t.Fatalf("%d bytes, %v; want %d, %v", len(got), err, len(want), wantErr)
		}
	})
}

func longText(members []inflate.Member) bool {
	for _, m := range members {
		if len(m.Name) > 500 || len(m.Comment) > 500 {
			return true
		}
	}
	return false
}

// FuzzEncoded decodes what encoders make of any bytes, whole and cut off.
func FuzzEncoded(f *testing.F) {
	f.Add([]byte(text), 6, 10, 20)
	f.Add([]byte(strings.Repeat("a", 2000)), 9, 1000, 5)
	f.Add([]byte(strings.Repeat(text, 20)), 1, 300, 40)
	f.Add([]byte(strings.Repeat(text, 20)), 0, 300, 400)
	f.Add(make([]byte, 70000), -2, 70000, 3)
	f.Add(bytes.Repeat([]byte{1, 2, 3, 5, 8, 13, 21}, 1000), -3, 100, 3)
	f.Fuzz(func(t *testing.T, data []byte, level, n, cut int) {
		var stream []byte
		n = max(n, len(data)/100+1)
		switch {
		case level >= -2 && level <= 9:
			stream = deflated(t, level, n, data)
		default:
			var buf bytes.Buffer
			w, err := kflate.NewWriter(&buf, 1+(level&7))
			if err != nil {
				t.Fatal(err)
			}
			write(t, w, data)
			stream = buf.Bytes()
		}
		out, r, err := verify(t, stream, inflate.Options{Raw: true, Every: int64(n)})
		if err != nil || !bytes.Equal(out, data) || r.InputOffset() != int64(len(stream)) {
			t.Fatalf("%d bytes, %v; want %d", len(out), err, len(data))
		}
		if cut < 0 || cut >= len(stream) {
			return
		}
		out, _, err = verify(t, stream[:cut], inflate.Options{Raw: true, Every: int64(n)})
		checkTruncated(t, "cut", err, cut)
		if !bytes.HasPrefix(data, out) {
			t.Fatalf("cut at %d: wrong output", cut)
		}
	})
}
