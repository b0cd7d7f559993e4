// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/internal/conformance"
	. "github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
	"github.com/seed-81b0d42e/flatten/pkg/verify"
)

func read(t testing.TB, file []byte, opts verify.Options) *verify.Report {
	t.Helper()
	r, err := verify.Read(context.Background(), bytes.NewReader(file), opts)
	if err != nil {
		t.Fatal(err)
	}
	if r.Digest != digest.FromBytes(file) || r.Size != int64(len(file)) {
		t.Errorf("%d bytes of %s, want %d of %s", r.Size, r.Digest, len(file), digest.FromBytes(file))
	}
	return r
}

// named are options for a file with the right name.
func named(file []byte, suffix string) verify.Options {
	return verify.Options{Name: digest.FromBytes(file).Encoded() + suffix}
}

// lines are the problems as a test writes them: "kind: text".
func lines(r *verify.Report) []string {
	list := []string{}
	for _, p := range r.Problems {
		list = append(list, fmt.Sprintf("%s: %v", p.Kind, p))
	}
	return list
}

// Whatever is flattened is sound and clean.
func TestFlattened(t *testing.T) {
	n := 0
	for _, c := range conformance.Cases() {
		if c.Err != "" || c.Want == nil {
			continue
		}
		n++
		for _, opts := range []flatten.Options{{}, {Canonical: true}, {Uncompressed: true}, {Level: 9}} {
			var out bytes.Buffer
			opts.Output, opts.RootEntry, opts.FollowLowerSymlinks = &out, c.RootEntry, c.FollowLower
			result, err := flatten.Flatten(context.Background(), c.Image(), opts)
			if err != nil {
				t.Fatal(err)
			}
			suffix := ".tar.gz"
			if opts.Uncompressed {
				suffix = ".tar"
			}
			o := named(out.Bytes(), suffix)
			o.RootEntry = c.RootEntry
			r := read(t, out.Bytes(), o)
			if !r.Clean() || !r.Sound() || r.Layer.Size != result.TarSize || len(r.Layer.Entries) != result.Entries {
				t.Errorf("%s: %v", c.ID, lines(r))
			}
			if members := 1; r.Members != members && !opts.Uncompressed {
				t.Errorf("%s: %d gzip members", c.ID, r.Members)
			}
		}
	}
	if n < 100 {
		t.Errorf("%d cases", n)
	}
}

// What another reader of tars finds fault with is found here, too.
func TestFaults(t *testing.T) {
	faulty := 0
	for _, c := range conformance.Cases() {
		for i, b := range c.Layers {
			tree, err := Read(b.Tar)
			if err == nil && len(tree.Faults) == 0 && tree.Root == nil {
				continue
			}
			faulty++
			if r := read(t, b.Tar, verify.Options{}); r.Clean() && r.Compression == toc.Plain {
				t.Errorf("%s, layer %d: nothing wrong, but %v %v", c.ID, i+1, err, tree)
			}
		}
	}
	if faulty < 100 {
		t.Errorf("%d layers", faulty)
	}
}

var (
	file = File("a", "1")
	dir  = Dir("d")
)

// tars are streams by what is to be said of them, and the problems that they have.
var tars = map[string]struct {
	tar  Blob
	opts verify.Options
	want []string
}{
	"clean":               {tar: Layer(dir, File("d/f", "1"), Link("l", "d/f"), Symlink("s", "/etc/../x"), Fifo("p"), Char("c", 1, 3))},
	"nothing":             {tar: Layer()},
	"a folder like .wh.q": {tar: Layer(Dir(".wh.q"), File(".wh.q/f", ""))},
	"twice": {
		tar:  Layer(file, file, dir, dir),
		want: []string{`clean: entry "a" at byte 1024 of the tar: the path stands twice, before at byte 0`, `clean: entry "d/" at byte 2560 of the tar: the path stands twice, before at byte 2048`},
	},
	"no folder": {
		tar: Layer(File("d/e/f", ""), File("d/e/g", ""), dir),
		want: []string{
			`clean: entry "d/e/f" at byte 0 of the tar: no entry for the folder "d/e/" before it`,
			`clean: entry "d/e/f" at byte 0 of the tar: no entry for the folder "d/" before it`,
		},
	},
	"a file for a folder": {
		tar:  Layer(file, File("a/b", "")),
		want: []string{`tar: entry "a/b" at byte 1024 of the tar: the folder "a" is no directory, at byte 0`},
	},
	"through a link": {
		tar:  Layer(Symlink("s", "/etc"), File("s/passwd", "")),
		want: []string{`unsafe: entry "s/passwd" at byte 512 of the tar: the folder "s" is a symbolic link to "/etc", at byte 0`},
	},
	"through a link that was a folder": {
		tar: Layer(dir, Dir("d/e"), Symlink("d", "/etc"), File("d/e/f", "")),
		want: []string{
			`clean: entry "d" at byte 1024 of the tar: the path stands twice, before at byte 0`,
			`unsafe: entry "d/e/f" at byte 1536 of the tar: the folder "d" is a symbolic link to "/etc", at byte 1024`,
		},
	},
	"through a link that was no entry": {
		tar: Layer(File("d/e/f", ""), Symlink("d", "/etc"), File("d/e/g", "")),
		want: []string{
			`clean: entry "d/e/f" at byte 0 of the tar: no entry for the folder "d/e/" before it`,
			`clean: entry "d/e/f" at byte 0 of the tar: no entry for the folder "d/" before it`,
			`unsafe: entry "d/e/g" at byte 1024 of the tar: the folder "d" is a symbolic link to "/etc", at byte 512`,
		},
	},
	"names that lead out": {
		tar: Layer(File("../a", ""), File("/a", ""), File("b/../../a", ""), Dir("..")),
		want: []string{
			`unsafe: entry "../a" at byte 0 of the tar: the name climbs out of the root`,
			`unsafe: entry "/a" at byte 512 of the tar: the name is absolute`,
			`unsafe: entry "b/../../a" at byte 1024 of the tar: the name climbs out of the root`,
			`unsafe: entry "../" at byte 1536 of the tar: the name climbs out of the root`,
		},
	},
	"names that are not clean": {
		tar: Layer(File("./a", ""), dir.Named("d"), File("d//f", ""), File("x/", ""), File("d/../b", "")),
		want: []string{
			`clean: entry "./a" at byte 0 of the tar: the name is not clean: that would be "a"`,
			`clean: entry "d" at byte 512 of the tar: the name is not clean: that would be "d/"`,
			`clean: entry "d//f" at byte 1024 of the tar: the name is not clean: that would be "d/f"`,
			`clean: entry "x/" at byte 1536 of the tar: the name is not clean: that would be "x"`,
			`clean: entry "d/../b" at byte 2048 of the tar: the name is not clean: that would be "b"`,
		},
	},
	"control characters": {
		tar:  Layer(File("./\x1b[31m", "")),
		want: []string{`clean: entry "./\x1b[31m" at byte 0 of the tar: the name is not clean: that would be "\x1b[31m"`},
	},
	"root":         {tar: Layer(dir.Named("./"), file), want: []string{`clean: entry "./" at byte 0 of the tar: an entry for the root`}},
	"root allowed": {tar: Layer(dir.Named("./"), file), opts: verify.Options{RootEntry: true}},
	"another root": {tar: Layer(file, dir.Named("./")), opts: verify.Options{RootEntry: true}, want: []string{`clean: entry "./" at byte 1024 of the tar: an entry for the root`}},
	"odd root":     {tar: Layer(dir.Named("/.")), opts: verify.Options{RootEntry: true}, want: []string{`unsafe: entry "/." at byte 0 of the tar: the name is absolute`}},
	"no name":      {tar: Layer(File("", "")), want: []string{`clean: byte 0 of the tar: an entry for the root`}},
	"markers": {
		tar: Layer(Whiteout("a"), dir, Opaque("d")),
		want: []string{
			`clean: entry ".wh.a" at byte 0 of the tar: a whiteout`,
			`clean: entry "d/.wh..wh..opq" at byte 1024 of the tar: a whiteout`,
		},
	},
	"global headers": {
		tar: Layer(GlobalHeader("g", Record{Key: "a", Value: "b"}), file, GlobalHeader("g", Record{Key: "a", Value: "b"})),
		want: []string{
			`clean: byte 0 of the tar: 1024 bytes of headers that are no entry's, such as a global PAX header`,
			`tar: byte 2048 of the tar: 2048 bytes follow the last entry, and not all are zero`,
		},
	},
	"link first": {
		tar:  Layer(Link("l", "a"), file),
		want: []string{`clean: entry "l" at byte 0 of the tar: a hard link to "a", which comes later, at byte 512`},
	},
	"links that differ": {
		tar: Layer(file.Xattr("user.a", "1"), Link("b", "a").Mode(0o600), Link("c", "a").Xattr("user.a", "2"), Link("d", "a").Xattr("user.a", "1"), Link("e", "d")),
		want: []string{
			`clean: entry "b" at byte 2048 of the tar: mode, owner, time or attributes of the hard link are not those of "a"`,
			`clean: entry "c" at byte 2560 of the tar: mode, owner, time or attributes of the hard link are not those of "a"`,
			`clean: entry "e" at byte 5632 of the tar: a hard link to "d", which is a hard link itself`,
		},
	},
	"links to no file": {
		tar: Layer(dir, Link("l", "x"), Link("m", "d"), Link("n", "n"), Link("o", "../a"), file, Link("p", "./a"), Link("a", "a")),
		want: []string{
			`tar: entry "l" at byte 512 of the tar: a hard link to "x", which is not in the archive`,
			`tar: entry "m" at byte 1024 of the tar: a hard link to "d", which is a directory`,
			`tar: entry "n" at byte 1536 of the tar: a hard link to itself`,
			`unsafe: entry "o" at byte 2048 of the tar: the target "../a" of the hard link climbs out of the root`,
			`clean: entry "p" at byte 3584 of the tar: the target of the hard link is not clean: "./a"`,
			`clean: entry "a" at byte 4096 of the tar: the path stands twice, before at byte 2560`,
		},
	},
	"odd types": {
		tar: Layer(File("c", "").Type('7'), OldSparse("h", 100, "1", Fragment{Offset: 50, Length: 1})),
		want: []string{
			`clean: entry "h" at byte 512 of the tar: a sparse file, which not every reader expands`,
			`clean: entry "c" at byte 0 of the tar: type '7', a contiguous file, is taken as a regular file`,
			`clean: entry "h" at byte 512 of the tar: old GNU sparse file is expanded`,
		},
	},
	"no end":         {tar: Plain(Stream(file)), want: []string{`tar: byte 1024 of the tar: the tar ends without two zero blocks: it may have been cut off`}},
	"half an end":    {tar: Plain(Stream(file, Zeros(1))), want: []string{`tar: byte 1024 of the tar: the tar ends without two zero blocks: it may have been cut off`}},
	"a long end":     {tar: Plain(Stream(file, Zeros(18))), want: []string{`clean: byte 1024 of the tar: 9216 zero bytes end the tar, not two blocks of 512`}},
	"behind the end": {tar: Plain(Stream(file, Zeros(2), Raw("x"))), want: []string{`tar: byte 1024 of the tar: 1025 bytes follow the last entry, and not all are zero`}},
	"two archives":   {tar: Plain(Stream(file, Zeros(2), File("b", ""), Zeros(2))), want: []string{`tar: byte 1024 of the tar: 2560 bytes follow the last entry, and not all are zero`}},
	"bad checksum":   {tar: Layer(file, File("b", "").BadChecksum()), want: []string{`tar: byte 1024 of the tar: no tar header: its checksum is wrong`}},
	"cut":            {tar: Plain(Stream(File("b", "12345"))[:514]), want: []string{`tar: entry "b" at byte 514 of the tar: the tar ends 3 bytes before the body does`}},
}

func TestTar(t *testing.T) {
	for name, tt := range tars {
		t.Run(name, func(t *testing.T) {
			want := tt.want
			if want == nil {
				want = []string{}
			}
			for suffix, file := range map[string][]byte{".tar": tt.tar.Tar, ".tar.gz": tt.tar.GzipMembers(100).Stored} {
				opts := named(file, suffix)
				opts.RootEntry = tt.opts.RootEntry
				r := read(t, file, opts)
				if diff := cmp.Diff(want, lines(r)); diff != "" {
					t.Errorf("%s (- want, + got):\n%s", suffix, diff)
				}
				sound := true
				for _, line := range want {
					sound = sound && strings.HasPrefix(line, "clean: ")
				}
				if r.Sound() != sound || r.Clean() != (len(want) == 0) {
					t.Errorf("%s: sound %v, clean %v", suffix, r.Sound(), r.Clean())
				}
			}
		})
	}
}

func TestName(t *testing.T) {
	gz, tar := Layer(File("a", "1")).Gzip().Stored, Layer(File("a", "1")).Tar
	sum := func(b []byte) string { return digest.FromBytes(b).Encoded() }
	other := sum(nil)
	for _, tt := range []struct {
		file []byte
		opts verify.Options
		want string
	}{
		{gz, verify.Options{}, ""},
		{tar, verify.Options{}, ""},
		{gz, verify.Options{Name: sum(gz) + ".tar.gz"}, ""},
		{gz, verify.Options{Name: other + ".tar.gz"}, "digest: the file's SHA-256 is " + sum(gz) + ", the name says " + other},
		{gz, verify.Options{Name: sum(gz)}, `name: the name ends in "", neither .tar.gz nor .tar`},
		{gz, verify.Options{Name: sum(gz) + ".tgz"}, `name: the name ends in ".tgz", neither .tar.gz nor .tar`},
		{gz, verify.Options{Name: "rootfs.tar.gz"}, "name: the name is not a digest; the file's is " + sum(gz)},
		{gz, verify.Options{Name: sum(gz) + ".tar"}, "gzip: the file is named .tar, but is gzip data"},
		{tar, verify.Options{Name: sum(tar) + ".tar.gz"}, "gzip: the file is named .gz, but is no gzip data: it begins with 61000000"},
		{gz, verify.Options{Digest: digest.FromBytes(gz)}, ""},
		{gz, verify.Options{Name: "rootfs.tar.gz", Digest: digest.FromBytes(gz)}, ""},
		{gz, verify.Options{Name: other + ".tar.gz", Digest: digest.FromBytes(gz)}, ""},
		{gz, verify.Options{Name: sum(gz) + ".tar.gz", Digest: digest.FromBytes(nil)}, "digest: the file's SHA-256 is " + sum(gz) + ", expected is " + other},
		{nil, verify.Options{}, "tar: the file is empty"},
		{nil, verify.Options{Name: other + ".tar.gz"}, "tar: the file is empty"},
		{ZstdBytes(tar), verify.Options{}, "tar: the file is zstd data, neither gzip nor tar"},
		{[]byte("BZh91AY&SY"), verify.Options{}, "tar: the file is neither gzip nor tar: layers in bzip2 format are not supported"},
		{[]byte("hello\n"), verify.Options{}, "tar: byte 6 of the tar: the tar ends in a header"},
	} {
		r := read(t, tt.file, tt.opts)
		if got := strings.Join(lines(r), "; "); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.opts.Name, got, tt.want)
		}
	}
}

// Each changed bit is found. Those that the digest alone tells of, in the time and
// the hints of a gzip header, in padding, or in what leads to the same bytes, are
// none that another decoder would mind.
func TestFlippedBits(t *testing.T) {
	b := Layer(Dir("d"), File("d/f", strings.Repeat("some text ", 200)), Symlink("s", "d")).GzipMembers(1000)
	opts := named(b.Stored, ".tar.gz")
	harmless := 0
	for bit := range 8 * len(b.Stored) {
		bad := bytes.Clone(b.Stored)
		bad[bit/8] ^= 1 << (bit % 8)
		r := read(t, bad, opts)
		last := r.Problems[len(r.Problems)-1]
		if r.Sound() || last.Kind != verify.Digest {
			t.Fatalf("bit %d: %v", bit, lines(r))
		}
		if len(r.Problems) > 1 {
			continue
		}
		harmless++
		z, err := gzip.NewReader(bytes.NewReader(bad))
		if err != nil {
			t.Fatalf("bit %d: %v", bit, err)
		}
		if tar, err := io.ReadAll(z); err != nil || !bytes.Equal(tar, b.Tar) {
			t.Errorf("bit %d: %d bytes, %v", bit, len(tar), err)
		}
	}
	if times := 2 * 32; harmless < times || harmless > 2*times {
		t.Errorf("%d of %d bits mean nothing", harmless, 8*len(b.Stored))
	}
}

// A file that is cut off is never sound, nor is one that something follows but
// zeros.
func TestCut(t *testing.T) {
	b := Layer(Dir("d"), File("d/f", "some text"))
	for suffix, good := range map[string][]byte{".tar.gz": b.Gzip().Stored, ".tar": b.Tar} {
		for n := range good {
			if r := read(t, good[:n], verify.Options{}); r.Sound() {
				t.Errorf("%s of %d bytes is sound: %v", suffix, n, lines(r))
			}
		}
		for _, more := range []string{"x", "\x00", "\x1f\x8b\x08", strings.Repeat("\x00", 511)} {
			bad := append(bytes.Clone(good), more...)
			r := read(t, bad, verify.Options{})
			if r.Clean() || r.Sound() != (strings.Trim(more, "\x00") == "") {
				t.Errorf("%s and %q: %v", suffix, more, lines(r))
			}
		}
	}
	r := read(t, append(b.Gzip().Stored, "more"...), verify.Options{})
	want := fmt.Sprintf("gzip: byte %d: the gzip data ends here, but 4 bytes follow", len(b.Gzip().Stored))
	if got := strings.Join(lines(r), "; "); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	r = read(t, b.Gzip().Stored[:30], verify.Options{})
	if got := strings.Join(lines(r), "; "); !strings.HasPrefix(got, "gzip: byte ") || !strings.Contains(got, "the file ends in ") {
		t.Error(got)
	}
}

// Problems are bounded, the count of them is not.
func TestMany(t *testing.T) {
	var entries []Entry
	for i := range 3000 {
		entries = append(entries, File(fmt.Sprintf("./%d", i), ""))
	}
	r := read(t, Layer(append(entries, File("../x", ""))...).Tar, verify.Options{})
	if len(r.Problems) != 1000 || r.More != 2001 || r.Sound() {
		t.Errorf("%d and %d problems, sound %v", len(r.Problems), r.More, r.Sound())
	}
}

// An error of the source is not the file's fault, and is returned.
func TestReadFails(t *testing.T) {
	good := Layer(File("a", strings.Repeat("1", 5000)))
	broken := errors.New("broken")
	for _, file := range [][]byte{good.Tar, good.Gzip().Stored} {
		for _, n := range []int{0, 20, len(file) - 1, len(file)} {
			_, err := verify.Read(context.Background(), io.MultiReader(bytes.NewReader(file[:n]), iotest.ErrReader(broken)), verify.Options{})
			if err != broken {
				t.Errorf("broken after %d of %d bytes: %v", n, len(file), err)
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := verify.Read(ctx, bytes.NewReader(file), verify.Options{}); err != context.Canceled {
			t.Errorf("cancelled: %v", err)
		}
	}
}

// The table of contents leads to the content.
func TestLayer(t *testing.T) {
	file := Layer(File("a", "hello"), File("b", "world")).Gzip().Stored
	r := read(t, file, named(file, ".tar.gz"))
	content := toc.NewReader(r.Layer, memory{bytes.NewReader(file)})
	var b strings.Builder
	for _, e := range r.Layer.Entries {
		if err := content.WriteRange(context.Background(), &b, e.Body(), e.Size); err != nil {
			t.Fatal(err)
		}
	}
	if b.String() != "helloworld" {
		t.Errorf("read %q", &b)
	}
}

type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

// FuzzRead wants a file that is found clean to be clean to another reader.
func FuzzRead(f *testing.F) {
	n := 0
	for _, c := range conformance.Cases() {
		for _, b := range c.Layers {
			if len(b.Tar) < 1<<16 {
				f.Add(b.Tar)
				n++
			}
		}
	}
	if n < 100 {
		f.Fatalf("%d seeds", n)
	}
	f.Fuzz(func(t *testing.T, tar []byte) {
		r := read(t, tar, verify.Options{Limits: image.Limits{Size: 1 << 24}})
		if !r.Clean() || r.Compression == toc.Gzip {
			return
		}
		if tree, err := Read(tar); err != nil || len(tree.Faults) > 0 || tree.Root != nil {
			t.Errorf("clean, but %v %v", err, tree)
		}
	})
}
