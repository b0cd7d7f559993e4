// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package tartest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
)

func TestLines(t *testing.T) {
	long := strings.Repeat("n/", 60) + "x"
	for _, test := range []struct {
		entry Entry
		want  string
	}{
		{Dir("d"), "d/"},
		{Dir("d").Mode(0o1777).Owner(1, 2).At(5), "d/ 1777 1:2 @5"},
		{File("f", "1"), `f "1"`},
		{File("f", "").AtNano(5, 250_000_000), `f "" @5.25`},
		{File("f", "").At(-5), `f "" @-5`},
		{File("f", "").At(-5).GNU(), `f "" @-5`},
		{File("f", "").Owner(1<<32-2, 3_000_000), `f "" 4294967294:3000000`},
		{File("f", "").Owner(1<<32-2, 3_000_000).GNU(), `f "" 4294967294:3000000`},
		{File("f", "").Owner(-1, 0).GNU(), `f "" -1:0`},
		{File("f", "").Xattr("user.k", "v\x00"), `f "" user.k="v\x00"`},
		{File("f", "").Xattr("user.k", ""), `f "" user.k=""`},
		{File("f", "").PAX("comment", "hello"), `f "" {comment=hello}`},
		{File("f", "").Names("root", "wheel"), `f "" (root:wheel)`},
		{File("f", "").V7(), `f ""`},
		{File("a\xff b", ""), `"a\xff b" ""`},
		{File("f", strings.Repeat("x", 65)), `f 65 bytes 9537c5fd`},
		{Symlink("s", "t"), `s -> t`},
		{Char("c", 1, 3), `c char 1,3`},
		{Block("b", 8, 0), `b block 8,0`},
		{Fifo("p").Mode(0o600), `p fifo 0600`},
		{File(long, ""), long + ` ""`},
		{File(long, "").GNU(), long + ` ""`},
		{File(long, "").USTAR(), long + ` ""`},
		{Symlink("s", long), `s -> ` + long},
		{Symlink("s", long).GNU(), `s -> ` + long},
		{File("f", "").LongPAX(), `f ""`},
		{OldSparse("f", 5, "ac", Fragment{0, 1}, Fragment{3, 1}), `f type 'S'`},
	} {
		if strconv.IntSize == 32 && strings.Contains(test.want, "4294967294") {
			continue // archive/tar has it in an int
		}
		tree := read(t, test.entry)
		if got := tree.Lines(); len(got) != 1 || got[0] != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestLinks(t *testing.T) {
	tree := read(t, File("t", "1").Mode(0o600), Link("l", "t").Mode(0o600), Link("m", "t").Mode(0o600))
	if diff := cmp.Diff([]string{`l "1" 0600`, `m == l`, `t == l`}, tree.Lines()); diff != "" {
		t.Error(diff)
	}
	if len(tree.Faults) > 0 {
		t.Error(tree.Faults)
	}
}

func TestFaults(t *testing.T) {
	for _, test := range []struct {
		stream []byte
		want   string
	}{
		{Layer(File("a", ""), File("a", "")).Tar, "a second time"},
		{Layer(File("d/x", "")).Tar, "no directory entry for its parent"},
		{Layer(File("d", ""), File("d/x", "")).Tar, "no directory entry for its parent"},
		{Layer(File("d/x", ""), Dir("d")).Tar, "no directory entry for its parent"},
		{Layer(Link("l", "t"), File("t", "")).Tar, "which is not before it"},
		{Layer(File("t", ""), Link("l", "t"), Link("m", "l")).Tar, "a hard link itself"},
		{Layer(File("t", ""), Link("l", "t").Mode(0o600)).Tar, "not that of"},
		{Layer(File("t", ""), Link("l", "t").Xattr("user.k", "v")).Tar, "has not"},
		{Layer(File("t", ""), Link("l", "./t")).Tar, "not clean"},
		{Layer(Dir("d").Named("d")).Tar, "without a trailing slash"},
		{Layer(Symlink("s/", "t")).Tar, "trailing slash"},
		{Layer(File("./a", "")).Tar, "not a clean relative name"},
		{Layer(File("/a", "")).Tar, "not a clean relative name"},
		{Layer(File("../a", "")).Tar, "not a clean relative name"},
		{Layer(Whiteout("a")).Tar, "a whiteout"},
		{Layer(GlobalHeader("g")).Tar, "type 'g'"},
		{Layer(File("a", "").Type('7')).Tar, "type '7'"},
		{Layer(File("a", "").Mode(0o200644)).Tar, "mode 200644"},
		{Stream(File("a", "1")), "two zero blocks"},
		{Stream(File("a", "1"), Zeros(1)), "two zero blocks"},
		{Stream(File("a", "1"), Zeros(3)), "two zero blocks"},
		{nil, "two zero blocks"},
	} {
		tree, err := Read(test.stream)
		if err != nil {
			t.Errorf("%s: %v", test.want, err)
			continue
		}
		if !slices.ContainsFunc(tree.Faults, func(f string) bool { return strings.Contains(f, test.want) }) {
			t.Errorf("got %q, want %q", tree.Faults, test.want)
		}
	}
	if tree := read(t, Dir("d"), File("d/x", "")); len(tree.Faults) > 0 {
		t.Errorf("a clean tar: %q", tree.Faults)
	}
}

// TestSameAsArchiveTar compares headers with those of the standard library.
func TestSameAsArchiveTar(t *testing.T) {
	var want bytes.Buffer
	w := tar.NewWriter(&want)
	hdr := &tar.Header{
		Typeflag: tar.TypeReg, Name: "d/f", Mode: 0o640, Uid: 7, Gid: 8, Size: 3,
		Uname: "u", Gname: "g", ModTime: time.Unix(Time, 0), Format: tar.FormatUSTAR,
	}
	if err := w.WriteHeader(hdr); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got := Layer(File("d/f", "abc").Mode(0o640).Owner(7, 8).Names("u", "g")).Tar
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("got\n%q\nwant\n%q", got, want.Bytes())
	}
}

func TestCompressions(t *testing.T) {
	plain := Layer(File("a", "1"))
	for name, b := range map[string]Blob{
		"gzip":    plain.Gzip(),
		"members": plain.GzipMembers(0, 10, 10, 600),
		"zstd":    plain.Zstd(),
		"frames":  plain.ZstdFrames(0, 10, 10, 600),
		"skip":    plain.As(Skippable(0, "x"), ZstdBytes(plain.Tar), Skippable(15, "")),
		"window":  plain.As(ZstdWindow(24, plain.Tar)),
	} {
		var r io.Reader
		var err error
		if bytes.HasPrefix(b.Stored, []byte{0x1f, 0x8b}) {
			r, err = gzip.NewReader(bytes.NewReader(b.Stored))
		} else {
			r, err = zstd.NewReader(bytes.NewReader(b.Stored))
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, plain.Tar) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	if _, err := Gunzip(plain.GzipMembers(600).Stored); err == nil {
		t.Error("Gunzip accepts two members")
	}
}

func TestImage(t *testing.T) {
	b := Layer(File("a", "1")).Gzip()
	img := Image(b, b)
	if len(img.Layers) != 2 || len(img.Config.RootFS.DiffIDs) != 2 {
		t.Fatalf("%d layers, %d diffIDs", len(img.Layers), len(img.Config.RootFS.DiffIDs))
	}
	blob, err := img.Layers[1].Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer blob.Close()
	got, err := io.ReadAll(io.NewSectionReader(blob, 0, blob.Size()))
	if err != nil {
		t.Fatal(err)
	}
	if digest.FromBytes(got) != img.Layers[1].Digest || img.Layers[1].DiffID != digest.FromBytes(b.Tar) {
		t.Error("the digests are not those of the blob")
	}
}

func read(t *testing.T, entries ...Entry) *Tree {
	t.Helper()
	tree, err := Read(Layer(entries...).Tar)
	if err != nil {
		t.Fatalf("%v: %v", entries, err)
	}
	return tree
}
