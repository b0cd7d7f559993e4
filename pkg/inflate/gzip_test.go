// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package inflate_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"reflect"
	"testing"

	"github.com/seed-81b0d42e/flatten/internal/bitgen"
	"github.com/seed-81b0d42e/flatten/pkg/inflate"
)

const (
	header    = ` x:1f8b08_00_00000000_00_03 `
	emptyBody = ` 1:1 2:1 0000000 | `
	trailerOf = ` 32:0xe8b7be43 32:1 ` // of "a"
	emptyTail = ` 32:0 32:0 `
	bodyA     = ` 1:1 2:1 10010001 0000000 | `
)

// gzipVectors are gzip sources by hand. An error is at @err.
var gzipVectors = []struct {
	name     string
	stream   string
	out      string
	members  []inflate.Member // what their headers say
	trailing string           // the mark of bytes that are no member, "" for none
	reason   string
}{
	{"one byte", header + bodyA + trailerOf, "a", []inflate.Member{{OS: 3}}, "", ""},
	{"empty member", header + emptyBody + emptyTail, "", []inflate.Member{{OS: 3}}, "", ""},
	{"all fields", `
		x:1f8b08 x:1f 32:1700000000 x:02 x:ff
		16:6 'SC' 16:2 x:beef       # FEXTRA
		'n' x:e9 'e' x:00           # FNAME
		'so' x:00                   # FCOMMENT
		16:0x1dbb                   # FHCRC
		` + bodyA + trailerOf, "a", []inflate.Member{{
		Text: true, ModTime: 1700000000, XFL: 2, OS: 255,
		Extra: []byte{'S', 'C', 2, 0, 0xbe, 0xef}, Name: "née", Comment: "so",
	}}, "", ""},
	{"three members, one empty", header + bodyA + trailerOf + header + emptyBody + emptyTail + header + bodyA + trailerOf,
		"aa", []inflate.Member{{OS: 3}, {OS: 3}, {OS: 3}}, "", ""},
	{"member of two blocks", header + `1:0 2:1 10010001 0000000 1:1 2:0 | 16:1 16:0xfffe 'b' ` + `32:0x9e83486d 32:2`,
		"ab", []inflate.Member{{OS: 3}}, "", ""},
	{"padding after the last block", header + ` 1:1 2:1 10010001 0000000 |1 ` + trailerOf, "a", []inflate.Member{{OS: 3}}, "", ""},
	{"zeros behind", header + bodyA + trailerOf + `@end x:00*512`, "a", []inflate.Member{{OS: 3}}, "end", ""},
	{"garbage behind", header + bodyA + trailerOf + `@end 'xyz'`, "a", []inflate.Member{{OS: 3}}, "end", ""},
	{"one byte behind", header + bodyA + trailerOf + `@end x:1f`, "a", []inflate.Member{{OS: 3}}, "end", ""},
	{"nearly a member behind", header + bodyA + trailerOf + `@end x:1f8a08`, "a", []inflate.Member{{OS: 3}}, "end", ""},

	{"not gzip", `@err 'abcdefghijklmnopqrst'`, "", nil, "", "not a gzip header"},
	{"unknown method", `x:1f8b @err x:07_00_00000000_00_03`, "", nil, "", "method"},
	{"reserved flag 5", `x:1f8b08 @err x:20_00000000_00_03`, "", nil, "", "reserved flag"},
	{"reserved flag 6", `x:1f8b08 @err x:40_00000000_00_03`, "", nil, "", "reserved flag"},
	{"reserved flag 7", `x:1f8b08 @err x:80_00000000_00_03`, "", nil, "", "reserved flag"},
	{"wrong header CRC", `x:1f8b08_02_00000000_00_03 @err 16:0 x:0000`, "", nil, "", "its CRC"},
	{"name too long", `x:1f8b08_08_00000000_00_03 @err 'n'*65536 x:00`, "", nil, "", "name longer"},
	{"comment too long", `x:1f8b08_10_00000000_00_03 @err 'n'*65536 x:00`, "", nil, "", "comment longer"},
	{"wrong CRC", header + bodyA + `@err 32:0xe8b7be42 32:1`, "a", nil, "", "its CRC"},
	{"wrong size", header + bodyA + `32:0xe8b7be43 @err 32:2`, "a", nil, "", "its size"},
	{"block type 3", header + `1:1 @err 2:3 x:0000`, "", nil, "", "reserved block type"},
	{"second member's method", header + bodyA + trailerOf + `x:1f8b @err x:07_00_00000000_00_03`,
		"a", []inflate.Member{{OS: 3}}, "", "method"},
	{"second member reaches into the first", header + bodyA + trailerOf + header + `1:1 2:1 0000001 @err 00000 0000000`,
		"a", []inflate.Member{{OS: 3}}, "", "before the first byte"},
}

func TestGzip(t *testing.T) {
	for _, v := range gzipVectors {
		t.Run(v.name, func(t *testing.T) {
			s := bitgen.Must(v.stream)
			out, r, err := verify(t, s.Bytes, inflate.Options{Every: 1})
			if string(out) != v.out {
				t.Errorf("output %q, want %q", out, v.out)
			}
			checkError(t, err, s, v.reason)
			var members []inflate.Member
			for _, m := range r.Members() {
				members = append(members, inflate.Member{
					ModTime: m.ModTime, XFL: m.XFL, OS: m.OS, Text: m.Text, Name: m.Name, Comment: m.Comment, Extra: m.Extra,
				})
			}
			if !reflect.DeepEqual(members, v.members) {
				t.Errorf("members %+v, want %+v", members, v.members)
			}
			if v.reason != "" {
				return
			}
			end, trailing := s.Marks[v.trailing]
			if !trailing {
				end = s.Bits
			}
			if offset, ok := r.Trailing(); ok != trailing || offset != end/8 || offset != r.InputOffset() {
				t.Errorf("trailing %v at %d, want %v at %d", ok, offset, trailing, end/8)
			}
		})
	}
}

// TestGzipTruncated cuts every good vector after every byte.
func TestGzipTruncated(t *testing.T) {
	for _, v := range gzipVectors {
		if v.reason != "" || v.trailing != "" {
			continue
		}
		s := bitgen.Must(v.stream)
		_, r, _ := verify(t, s.Bytes, inflate.Options{})
		whole := r.Members()
		for n := range s.Bytes {
			what := fmt.Sprintf("%s, %d bytes", v.name, n)
			_, r, err := verify(t, s.Bytes[:n], inflate.Options{})
			if _, ok := r.Trailing(); ok { // the second byte of a magic number is cut off
				n--
			}
			if between(whole, int64(n)) {
				if err != nil {
					t.Errorf("%s: %v", what, err)
				}
				continue
			}
			checkTruncated(t, what, err, n)
		}
	}
}

// between reports whether a member ends at offset n.
func between(members []inflate.Member, n int64) bool {
	for _, m := range members {
		if m.End == n {
			return true
		}
	}
	return false
}

// TestResumeAcrossMembers resumes in the midst of a member: its trailer cannot
// be checked, but those of the following ones are.
func TestResumeAcrossMembers(t *testing.T) {
	two := `@start 1:1 2:0 | 16:1 16:0xfffe 'b'` + ` 32:0xdeadbeef 32:99 `
	good := bitgen.Must(header + `1:0 2:1 10010001 0000000 ` + two + header + bodyA + trailerOf)
	at := inflate.Block{Start: good.Marks["start"], Offset: 1}
	r := inflate.Resume(bytes.NewReader(good.Bytes[at.Start/8:]), at, []byte("a"), inflate.Options{})
	out, err := decode(r)
	if string(out) != "ba" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
	want := inflate.Member{Start: 26, Body: 36, End: 47, Offset: 2, Length: 1, First: 1, Blocks: 1, CRC: 0xe8b7be43, OS: 3}
	if m := r.Members(); len(m) != 1 || !reflect.DeepEqual(m[0], want) {
		t.Errorf("members %+v, want %+v", m, want)
	}
	if blocks := r.Blocks(); len(blocks) != 2 || blocks[0].Start != at.Start || blocks[0].Offset != 1 {
		t.Errorf("blocks %+v", blocks)
	}

	bad := bitgen.Must(header + `1:0 2:1 10010001 0000000 ` + two + header + bodyA + `@err 32:1 32:1`)
	r = inflate.Resume(bytes.NewReader(bad.Bytes[at.Start/8:]), at, []byte("a"), inflate.Options{})
	_, err = decode(r)
	checkError(t, err, bad, "its CRC")
}

// TestGzipHeaders compares headers with those that compress/gzip reads.
func TestGzipHeaders(t *testing.T) {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	w.Name, w.Comment, w.Extra, w.OS = "naïve", "a comment", bytes.Repeat([]byte("xtra"), 10000), 7
	write(t, w, []byte("data"))
	ref, err := gzip.NewReader(&buf)
	if err == nil {
		_, err = io.Copy(io.Discard, ref)
	}
	if err != nil {
		t.Fatal(err)
	}
	buf.Reset()
	w.Reset(&buf)
	w.Header = ref.Header
	write(t, w, []byte("data"))
	_, r, err := verify(t, buf.Bytes(), inflate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := r.Members()[0]
	if m.Name != ref.Name || m.Comment != ref.Comment || !bytes.Equal(m.Extra, ref.Extra) || m.OS != ref.OS {
		t.Errorf("%+v, want %+v", m, ref.Header)
	}
}

var errBroken = errors.New("broken")

// mustGzip compresses each part to blocks of its own.
func mustGzip(parts ...string) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	for _, part := range parts {
		io.WriteString(w, part)
		w.Flush()
	}
	w.Close()
	return buf.Bytes()
}
