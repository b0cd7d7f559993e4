// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten/pkg/archive"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/image/imagetest"
	"github.com/seed-81b0d42e/flatten/pkg/reference"
)

// dockerTar is a small docker-archive of one layer.
func dockerTar() []byte {
	c := config(here, base)
	return tarOf(file("1/layer.tar", base), c, manifest(saved{c.name, []string{"app:1"}, []string{"1/layer.tar"}}))
}

func ociTar() []byte {
	s := imagetest.Store{}
	return tarOf(members(s.Layout(imagetest.Tagged(s.Image(here, base), "1")))...)
}

func skippable() []byte { return []byte("\x5a\x2a\x4d\x18\x03\x00\x00\x00abc") }

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// Rule 162: an archive that is compressed as a whole, in a file or in a stream.
func TestOuterCompression(t *testing.T) {
	both, _ := both()
	for name, plain := range map[string][]byte{"docker": dockerTar(), "oci": ociTar(), "both": both} {
		half := len(plain) / 2
		for compression, b := range map[string][]byte{
			"plain":            plain,
			"gzip":             imagetest.Gzip(plain),
			"gzip-two-members": join(imagetest.Gzip(plain[:half]), imagetest.Gzip(plain[half:])),
			"zstd":             zstdOf(plain),
			"zstd-two-frames":  join(skippable(), zstdOf(plain[:half]), skippable(), zstdOf(plain[half:])),
		} {
			t.Run(name+"-"+compression, func(t *testing.T) {
				tmp := t.TempDir()
				opt := archive.Options{TempDir: tmp}
				path := write(t, b)
				img, err := archive.Open(ctx, path, opt)
				if err != nil {
					t.Fatal(err)
				}
				checkLayers(t, img, base)
				checkEmpty(t, tmp)
				closeImage(t, img)

				img, err = archive.OpenStream(ctx, iotest.OneByteReader(bytes.NewReader(b)), opt)
				if err != nil {
					t.Fatal(err)
				}
				checkLayers(t, img, base)
				if img.Reference != "-" {
					t.Error(img.Reference)
				}
				checkEmpty(t, tmp)
				closeImage(t, img)

				want := reference.OCIArchive
				if name == "docker" {
					want = reference.DockerArchive
				}
				if got, err := archive.Detect(path); err != nil || got != want {
					t.Errorf("detected %s, %v", got, err)
				}
			})
		}
	}
}

// checkEmpty fails if something is left in the temporary directory.
func checkEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// What is no image archive is named for what it is, by all that look at it.
func TestNotAnArchive(t *testing.T) {
	plain := dockerTar()
	fs := imagetest.Tar("etc/", "etc/motd=hello")
	for _, tc := range []struct {
		name string
		b    []byte
		text string
		hint string
	}{
		{"empty", nil, "empty", ""},
		{"text", []byte("hello"), "neither a tar file", ""},
		{"zeros", make([]byte, 10240), "neither a tar file", ""},
		{"json", []byte(` {"schemaVersion":2}`), "JSON", ""},
		{"zip", []byte("PK\x03\x04xxxx"), "zip", ""},
		{"bzip2", []byte("BZh91AY&SY"), "compressed with bzip2", "bzip2 -dc"},
		{"xz", []byte("\xfd7zXZ\x00\x00"), "compressed with xz", "xz -dc"},
		{"gzip-of-text", imagetest.Gzip([]byte("hello")), "compressed with gzip, but no tar", ""},
		{"gzip-of-nothing", imagetest.Gzip(nil), "an empty file, compressed with gzip", ""},
		{"gzip-of-gzip", imagetest.Gzip(imagetest.Gzip(plain)), "but no tar file", ""},
		{"gzip-header-only", []byte("\x1f\x8b\x08"), "decompressing", ""},
		{"gzip-truncated", truncate(imagetest.Gzip(plain)), "decompressing", ""},
		{"gzip-trailing", append(imagetest.Gzip(plain), "xx"...), "decompressing", ""},
		{"zstd-truncated", truncate(zstdOf(plain)), "", ""},
		{"filesystem", fs, "a tar file, but not of an image", ""},
		{"filesystem-gzip", imagetest.Gzip(fs), "but not of an image", ""},
		{"layout-in-a-directory", tarOf(file("dir/oci-layout", nil), file("dir/index.json", nil)), `"dir/oci-layout"`, "pack it again"},
		{"layout-without-index", tarOf(file("oci-layout", nil)), "not of an image", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tmp := t.TempDir()
			opt := archive.Options{TempDir: tmp}
			name := write(t, tc.b)
			_, err := archive.Open(ctx, name, opt)
			checkError(t, err, image.ErrCorrupt, tc.text, tc.hint)
			checkError(t, err, image.ErrCorrupt, name, "")
			_, err = archive.OpenStream(ctx, bytes.NewReader(tc.b), opt)
			checkError(t, err, image.ErrCorrupt, tc.text, tc.hint)
			if !strings.Contains(tc.name, "truncated") && tc.name != "gzip-trailing" {
				_, err = archive.Detect(name)
				checkError(t, err, image.ErrCorrupt, tc.text, tc.hint)
			}
			checkEmpty(t, tmp)
		})
	}
}

func truncate(b []byte) []byte { return b[:len(b)-9] }

func TestDirectories(t *testing.T) {
	layoutDir, skopeoDir, dockerDir, other := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	s := imagetest.Store{}
	for name, b := range s.Layout(s.Image(here, base)) {
		name = filepath.Join(layoutDir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, b, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{skopeoDir + "/manifest.json", skopeoDir + "/version", dockerDir + "/manifest.json"} {
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	img, err := archive.Open(ctx, layoutDir, archive.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if img.Reference != "oci:"+layoutDir {
		t.Error(img.Reference)
	}
	checkLayers(t, img, base)
	closeImage(t, img)
	if k, err := archive.Detect(layoutDir); k != reference.OCI || err != nil {
		t.Error(k, err)
	}
	for dir, want := range map[string][2]string{
		skopeoDir: {"skopeo", "skopeo copy dir:" + skopeoDir},
		dockerDir: {"an unpacked docker-archive", "tar -C " + dockerDir},
		other:     {"not an OCI image layout", ""},
	} {
		_, err := archive.Open(ctx, dir, archive.Options{})
		checkError(t, err, image.ErrCorrupt, want[0], want[1])
		_, err = archive.Detect(dir)
		checkError(t, err, image.ErrCorrupt, want[0], want[1])
		_, err = archive.OpenDocker(ctx, dir, archive.Options{})
		checkError(t, err, image.ErrCorrupt, "a directory, not an archive", "oci:"+dir)
	}
	missing := filepath.Join(other, "missing")
	_, err = archive.Open(ctx, missing, archive.Options{})
	checkError(t, err, image.ErrNotFound, missing, "")
	_, err = archive.Detect(missing)
	checkError(t, err, image.ErrNotFound, missing, "")
	_, err = archive.Open(ctx, os.DevNull, archive.Options{})
	checkError(t, err, image.ErrCorrupt, "neither a file nor a pipe", "")
}

// What a stream is asked for cannot be chosen from it again.
func TestStreamOfSeveral(t *testing.T) {
	s := imagetest.Store{}
	layout := tarOf(members(s.Layout(imagetest.Tagged(s.Image(here, base), "1"), imagetest.Tagged(s.Image(here, top), "2")))...)
	_, err := archive.OpenStream(ctx, bytes.NewReader(layout), archive.Options{})
	checkError(t, err, image.ErrNotFound, "- has 2 images", "keep it in a file and name one, such as oci-archive:FILE:1")
	one, two := config(here, base), config(here, top)
	docker := tarOf(file("a", base), file("b", top), one, two, manifest(saved{one.name, []string{"app:1"}, []string{"a"}}, saved{two.name, nil, []string{"b"}}))
	_, err = archive.OpenStream(ctx, bytes.NewReader(docker), archive.Options{})
	checkError(t, err, image.ErrNotFound, "- has 2 images", "docker-archive:FILE:app:1")
	img, err := archive.OpenStream(ctx, bytes.NewReader(docker), archive.Options{Tag: "app:1"})
	if err != nil {
		t.Fatal(err)
	}
	closeImage(t, img)
}

// A stream that breaks is not a corrupt image, nor is a directory that is full.
func TestStreamErrors(t *testing.T) {
	tmp := t.TempDir()
	opt := archive.Options{TempDir: tmp}
	broken := errors.New("broken pipe")
	for name, b := range map[string][]byte{"plain": dockerTar(), "gzip": imagetest.Gzip(dockerTar()), "zstd": zstdOf(dockerTar())} {
		for _, n := range []int{0, 5, len(b) / 2, len(b) - 1} {
			r := io.MultiReader(bytes.NewReader(b[:n]), iotest.ErrReader(broken))
			_, err := archive.OpenStream(ctx, r, opt)
			if !errors.Is(err, broken) || errors.Is(err, image.ErrCorrupt) {
				t.Errorf("%s after %d bytes: %v", name, n, err)
			}
		}
		_, err := archive.OpenStream(ctx, bytes.NewReader(b), archive.Options{TempDir: filepath.Join(tmp, "missing")})
		if !errors.Is(err, os.ErrNotExist) || errors.Is(err, image.ErrCorrupt) || errors.Is(err, image.ErrNotFound) {
			t.Errorf("%s, no directory: %v", name, err)
		}
		_, err = archive.OpenStream(ctx, bytes.NewReader(b), archive.Options{TempDir: tmp, Limits: image.Limits{Size: 1000}})
		checkError(t, err, image.ErrCorrupt, "more than 1000 uncompressed bytes", "")
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := archive.OpenStream(cancelled, bytes.NewReader(b), opt); !errors.Is(err, context.Canceled) || errors.Is(err, image.ErrCorrupt) {
			t.Errorf("%s, cancelled: %v", name, err)
		}
		if _, err := archive.Open(cancelled, write(t, b), opt); !errors.Is(err, context.Canceled) || errors.Is(err, image.ErrCorrupt) {
			t.Errorf("%s, cancelled: %v", name, err)
		}
	}
	exact := dockerTar()
	img, err := archive.OpenStream(ctx, bytes.NewReader(exact), archive.Options{TempDir: tmp, Limits: image.Limits{Size: int64(len(exact))}})
	if err != nil {
		t.Fatal(err)
	}
	closeImage(t, img)
	checkEmpty(t, tmp)
}

// A pipe named as a file is a stream.
func TestPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	name := fmt.Sprintf("/dev/fd/%d", r.Fd())
	if _, err := os.Stat(name); err != nil {
		t.Skip("no /dev/fd here")
	}
	go func() {
		_, err := w.Write(dockerTar())
		if err := errors.Join(err, w.Close()); err != nil {
			t.Error(err)
		}
	}()
	img, err := archive.Open(ctx, name, archive.Options{TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	checkLayers(t, img, base)
	closeImage(t, img)
}

// header is a tar header with fields set by force.
func header(name string, change func(b []byte)) []byte {
	b := tarOf(file(name, nil))[:512]
	change(b)
	copy(b[148:156], "        ")
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// Outer tar files that lie about their members.
func TestHostileTar(t *testing.T) {
	size := func(field string) []byte {
		return header("a", func(b []byte) { copy(b[124:136], field) })
	}
	for _, tc := range []struct {
		name string
		b    []byte
		text string
	}{
		{"size-beyond-the-end", size("00000002000\x00"), `"a" of 1024 bytes at offset 512: the archive ends at 512`},
		{"size-2^62", size("\x80\x00\x00\x00\x40\x00\x00\x00\x00\x00\x00\x00"), `"a" of 4611686018427387904 bytes`},
		{"size-2^63", size("\x80\x00\x00\x00\x80\x00\x00\x00\x00\x00\x00\x00"), ""},
		{"size-negative", size("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), ""},
		{"sparse-old", header("a", func(b []byte) { b[156] = 'S'; copy(b[257:265], "ustar  \x00"); copy(b[483:495], "00000000000\x00") }), "sparse"},
		{"bad-checksum", append(size("00000000000\x00"), bytes.Repeat([]byte("x"), 512)...), `after member "a"`},
		{"pax-of-2-MiB", append(header("a", func(b []byte) { b[156] = 'x'; copy(b[124:136], "00010000000\x00") }), make([]byte, 2<<20)...), "too long"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := archive.Open(ctx, write(t, tc.b), archive.Options{})
			checkError(t, err, image.ErrCorrupt, tc.text, "")
		})
	}
}

// repeated is the same header again and again.
type repeated []byte

func (r repeated) ReadAt(p []byte, off int64) (int, error) {
	for n := 0; n < len(p); {
		n += copy(p[n:], r[(off+int64(n))%int64(len(r)):])
	}
	return len(p), nil
}

func TestManyMembers(t *testing.T) {
	err := archive.Index(repeated(header("x", func([]byte) {})), 10_000_000*512)
	checkError(t, err, image.ErrCorrupt, "more than 131072 members", "")
	err = archive.Index(repeated(header(strings.Repeat("x", 100), func(b []byte) { b[156] = '1'; copy(b[157:257], bytes.Repeat([]byte("y"), 100)) })), 1<<40)
	checkError(t, err, image.ErrCorrupt, "not before it", "")
}

// Sparse members in the PAX form, which package tar does not write.
func TestHostilePAXSparse(t *testing.T) {
	record := func(k, v string) string {
		n := len(k) + len(v) + 3
		for len(fmt.Sprint(n))+len(k)+len(v)+3 != n {
			n = len(fmt.Sprint(n)) + len(k) + len(v) + 3
		}
		return fmt.Sprintf("%d %s=%s\n", n, k, v)
	}
	records := record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0") + record("GNU.sparse.name", "a") + record("GNU.sparse.realsize", "9223372036854775807")
	h := header("PaxHeaders/a", func(b []byte) { b[156] = 'x'; copy(b[124:136], fmt.Sprintf("%011o\x00", len(records))) })
	body := make([]byte, 512)
	copy(body, records)
	m := make([]byte, 512)
	copy(m, "0\n")
	b := join(h, body, header("a", func(b []byte) { copy(b[124:136], "00000001000\x00") }), m, make([]byte, 1024))
	_, err := archive.Open(ctx, write(t, b), archive.Options{})
	checkError(t, err, image.ErrCorrupt, "sparse", "")
}

// Cut off anywhere and with any bit flipped, an archive is refused or still
// yields layers that can be read and verified.
func TestDamaged(t *testing.T) {
	for name, b := range map[string][]byte{"docker": dockerTar(), "oci": ociTar()} {
		diffID := digest.FromBytes(base)
		opt := archive.Options{TempDir: t.TempDir()}
		try := func(what string, b []byte) {
			t.Helper()
			img, err := archive.OpenStream(ctx, bytes.NewReader(b), opt)
			if err != nil {
				if !errors.Is(err, image.ErrCorrupt) && !errors.Is(err, image.ErrNotFound) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%s, %s: %v", name, what, err)
				}
				return
			}
			defer closeImage(t, img)
			for _, l := range img.Layers {
				blob, err := l.Open(ctx)
				if err != nil {
					t.Errorf("%s, %s: %v", name, what, err)
					continue
				}
				if _, err := io.ReadAll(io.NewSectionReader(blob, 0, blob.Size())); err != nil {
					t.Errorf("%s, %s: %v", name, what, err)
				}
				if l.DiffID != diffID && len(img.Warnings) == 0 {
					t.Errorf("%s, %s: another image without a warning", name, what)
				}
			}
		}
		for n := 0; n < len(b); n += 61 {
			try(fmt.Sprintf("cut at %d", n), b[:n])
		}
		for i := 0; i < len(b); i += 7 {
			flipped := bytes.Clone(b)
			flipped[i] ^= 1 << (i % 8)
			try(fmt.Sprintf("bit flipped at %d", i), flipped)
		}
	}
}

// A full disk is an error of the machine.
func TestDiskFull(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	if _, err := f.Write([]byte("x")); !errors.Is(err, syscall.ENOSPC) {
		t.Skip("/dev/full is not full")
	}
	err = archive.Store(f, bytes.NewReader(dockerTar()))
	if !errors.Is(err, syscall.ENOSPC) || errors.Is(err, image.ErrCorrupt) {
		t.Error(err)
	}
}

// FuzzOpen: any bytes end in an image or in an error of a kind, and nothing stays
// behind.
func FuzzOpen(f *testing.F) {
	both, _ := both()
	for _, b := range [][]byte{dockerTar(), ociTar(), both} {
		f.Add(b)
		f.Add(imagetest.Gzip(b))
		f.Add(zstdOf(b))
	}
	f.Add(tarOf(symlink("a", "b"), symlink("b", "a"), hardlink("c", "a"), file("oci-layout", nil), file("index.json", nil)))
	tmp := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		img, err := archive.OpenStream(ctx, bytes.NewReader(b), archive.Options{TempDir: tmp, Limits: image.Limits{Size: 1 << 20}})
		if err != nil {
			if !errors.Is(err, image.ErrCorrupt) && !errors.Is(err, image.ErrNotFound) {
				t.Errorf("%v", err)
			}
			return
		}
		for _, l := range img.Layers {
			blob, err := l.Open(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(io.NewSectionReader(blob, 0, blob.Size())); err != nil || blob.Size() != l.Size {
				t.Errorf("%d of %d bytes: %v", blob.Size(), l.Size, err)
			}
		}
		closeImage(t, img)
	})
}
