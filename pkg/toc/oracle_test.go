// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc_test

import (
	gotar "archive/tar"
	"bytes"
	"compress/bzip2"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// What archive/tar makes of a stream.
type oracle struct {
	entries []oracleEntry
	refused error // an error of archive/tar, or of the rules that go beyond it
}

type oracleEntry struct {
	text string // all fields
	body []byte // nil when it is too long to compare
}

const longBody = 1 << 16

// consult reads a stream with archive/tar and applies the rules that the package
// comment lists beyond it.
func consult(stream []byte) (o oracle) {
	tr := gotar.NewReader(bytes.NewReader(stream))
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return o
		}
		if err != nil {
			o.refused = err
			return o
		}
		if h.Typeflag == gotar.TypeXGlobalHeader {
			continue
		}
		if o.refused = refuse(h); o.refused != nil {
			return o
		}
		e := oracleEntry{text: goText(h)}
		if h.Size <= longBody {
			if e.body, o.refused = io.ReadAll(tr); o.refused != nil {
				return o
			}
		}
		o.entries = append(o.entries, e)
	}
}

// refuse is an error for a header that archive/tar takes and the rules do not.
func refuse(h *gotar.Header) error {
	only := h.Typeflag >= '1' && h.Typeflag <= '6'
	id := func(v int) bool { return v < 0 || int64(v) > math.MaxUint32-1 }
	dev := func(v int64) bool { return v < 0 || v > math.MaxUint32 }
	switch {
	case !strings.ContainsRune("01234567S", rune(h.Typeflag)):
		return errors.New("type (119, 120)")
	case only && h.Size != 0:
		return errors.New("size (73, 125)")
	case id(h.Uid) || id(h.Gid):
		return errors.New("owner (113)")
	case (h.Typeflag == '3' || h.Typeflag == '4') && (dev(h.Devmajor) || dev(h.Devminor)):
		return errors.New("device (118)")
	case h.Typeflag == '2' && (h.Linkname == "" || len(h.Linkname) >= 4096):
		return errors.New("target (96)")
	}
	for k, v := range h.PAXRecords {
		if strings.HasPrefix(k, toc.XattrPrefix) && len(v) > 1<<16 {
			return errors.New("attribute (108)")
		}
	}
	return nil
}

// fieldRecords are the records that Entry and Extra have fields for.
var fieldRecords = []string{"path", "linkpath", "size", "uid", "gid", "uname", "gname", "mtime", "atime", "ctime"}

func goText(h *gotar.Header) string {
	x := toc.Extra{Uname: h.Uname, Gname: h.Gname, AccessTime: h.AccessTime, ChangeTime: h.ChangeTime}
	typ, size := h.Typeflag, h.Size
	switch typ {
	case '7', 'S':
		typ = '0'
	case '1', '2':
		x.Link = h.Linkname
	case '3', '4':
		x.Devmajor, x.Devminor = uint32(h.Devmajor), uint32(h.Devminor)
	}
	for k, v := range h.PAXRecords {
		if !slices.Contains(fieldRecords, k) && !strings.HasPrefix(k, "GNU.sparse.") {
			x.Records = append(x.Records, toc.Record{Key: k, Value: v})
		}
	}
	slices.SortFunc(x.Records, func(a, b toc.Record) int { return strings.Compare(a.Key, b.Key) })
	return text(&toc.Entry{
		Name: h.Name, Type: typ, Size: size, Mode: uint16(h.Mode & 0o7777), UID: uint32(h.Uid), GID: uint32(h.Gid),
		Sec: h.ModTime.Unix(), Nsec: int32(h.ModTime.Nanosecond()), Extra: &x,
	})
}

// text is every field of an entry but those that say where it lies.
func text(e *toc.Entry) string {
	x := toc.Extra{}
	if e.Extra != nil {
		x = *e.Extra
	}
	stamp := func(t time.Time) string {
		if t.IsZero() {
			return "none"
		}
		return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond())
	}
	return fmt.Sprintf("%c %q -> %q size %d mode %o owner %d:%d %q:%q dev %d:%d mtime %d.%09d atime %s ctime %s %q",
		e.Type, e.Name, x.Link, e.Size, e.Mode, e.UID, e.GID, x.Uname, x.Gname, x.Devmajor, x.Devminor,
		e.Sec, e.Nsec, stamp(x.AccessTime), stamp(x.ChangeTime), x.Records)
}

// body is the content of a file, put together from the stream; nil when it is
// too long to compare.
func body(e *toc.Entry, stream []byte) []byte {
	if e.Size > longBody {
		return nil
	}
	b := make([]byte, e.Size)
	stored := stream[e.Body():][:e.Stored()]
	if e.Extra == nil || !e.Extra.IsSparse {
		copy(b, stored)
		return b
	}
	stored = stored[e.Extra.SparseHeader:]
	for _, f := range e.Extra.Sparse {
		copy(b[f.Offset:][:f.Length], stored)
		stored = stored[f.Length:]
	}
	return b
}

// checkStream checks what holds for any stream: archive/tar agrees, the size of
// the chunks does not matter, entries lie in order and each stands for itself.
func checkStream(t *testing.T, stream []byte, chunks ...int) {
	t.Helper()
	if len(chunks) == 0 {
		chunks = []int{1, 7, 511, 512, 513, 4096}
	}
	got := scan(stream, 0, image.Limits{})
	for _, n := range chunks {
		other := scan(stream, n, image.Limits{})
		if fmt.Sprint(got.err) != fmt.Sprint(other.err) {
			t.Fatalf("in chunks of %d: error %v, in one: %v", n, other.err, got.err)
		}
		if !reflect.DeepEqual(got.entries, other.entries) {
			t.Fatalf("in chunks of %d (-one +chunks):\n%s", n, cmp.Diff(got.entries, other.entries))
		}
		if !slices.Equal(got.warnings, other.warnings) {
			t.Fatalf("warnings in chunks of %d (-one +chunks):\n%s", n, cmp.Diff(got.warnings, other.warnings))
		}
	}
	var limit *image.LimitError
	if errors.As(got.err, &limit) {
		return // archive/tar has none
	}
	if strconv.IntSize == 64 { // otherwise archive/tar cuts owners off
		compare(t, stream, got, consult(stream))
	}
	end := int64(0)
	for i := range got.entries {
		end = checkPlace(t, &got.entries[i], stream, end)
	}
}

// compare compares entries and bodies with archive/tar's.
func compare(t *testing.T, stream []byte, got scanned, want oracle) {
	t.Helper()
	if got.err != nil {
		hidden := strings.Contains(got.err.Error(), "fragments of a sparse file take")
		if want.refused == nil && !hidden { // archive/tar finds that when it reads the body
			t.Fatalf("refused: %v; archive/tar takes it", got.err)
		}
		return
	}
	if want.refused != nil {
		t.Fatalf("taken, but should be refused: %v", want.refused)
	}
	if len(got.entries) != len(want.entries) {
		t.Fatalf("%d entries, archive/tar has %d", len(got.entries), len(want.entries))
	}
	for i, w := range want.entries {
		e := &got.entries[i]
		if got := text(e); got != w.text {
			t.Fatalf("entry %d (-archive/tar +scanner):\n%s", i, cmp.Diff(w.text, got))
		}
		if w.body != nil && !bytes.Equal(w.body, body(e, stream)) {
			t.Fatalf("entry %d, %q: its body is not what archive/tar reads", i, e.Name)
		}
	}
}

// checkPlace checks where an entry lies, behind the end of the one before it,
// and that its bytes alone say the same.
func checkPlace(t *testing.T, e *toc.Entry, stream []byte, after int64) (end int64) {
	t.Helper()
	end = e.End()
	if e.Flags&toc.Unpadded != 0 {
		end = int64(len(stream))
	}
	if e.Start < after || e.Start%512 != 0 || e.Header < 512 || e.Header%512 != 0 ||
		end > int64(len(stream)) || e.Body()+e.Stored() > end {
		t.Fatalf("%q lies at %d+%d to %d of %d, behind %d", e.Name, e.Start, e.Header, end, len(stream), after)
	}
	alone := scan(append(slices.Clone(stream[e.Start:end]), make([]byte, toc.Pad(end)-end+1024)...), 0, image.Limits{})
	if alone.err != nil || len(alone.entries) != 1 {
		t.Fatalf("%q alone: %d entries, error %v", e.Name, len(alone.entries), alone.err)
	}
	moved := *e
	moved.Start = 0
	moved.Flags &^= toc.Unpadded
	if !reflect.DeepEqual(moved, alone.entries[0]) {
		t.Fatalf("%q alone (-in stream +alone):\n%s", e.Name, cmp.Diff(moved, alone.entries[0]))
	}
	return end
}

// goArchives are the archives that archive/tar is tested with, by name; none
// when the toolchain comes without its tests.
var goArchives = sync.OnceValue(func() map[string][]byte {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil
	}
	dir := filepath.Join(strings.TrimSpace(string(root)), "src", "archive", "tar", "testdata")
	names, _ := filepath.Glob(filepath.Join(dir, "*.tar*"))
	archives := map[string][]byte{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err == nil && strings.HasSuffix(name, ".base64") {
			b, err = io.ReadAll(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(b)))
		}
		if err == nil && strings.HasSuffix(name, ".bz2") {
			b, err = io.ReadAll(bzip2.NewReader(bytes.NewReader(b)))
		}
		if err != nil {
			panic(err)
		}
		archives[filepath.Base(name)] = b
	}
	return archives
})

// Where the rules go beyond archive/tar, among its own archives.
var goRefused = map[string]string{
	"gnu-incremental.tar": "entry type 'D'",
	"hdr-only.tar":        "readers differ on where the next entry begins",
}

func TestGoArchives(t *testing.T) {
	archives := goArchives()
	if len(archives) == 0 {
		t.Skip("the Go toolchain comes without the archives of archive/tar")
	}
	for name, stream := range archives {
		t.Run(name, func(t *testing.T) {
			if len(stream) < 1<<16 {
				checkStream(t, stream)
			} else {
				checkStream(t, stream, 4097)
			}
			err := scan(stream, 0, image.Limits{}).err
			if text := goRefused[name]; text != "" {
				wantError(t, err, text)
			}
		})
	}
}
