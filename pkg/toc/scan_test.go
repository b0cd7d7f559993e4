// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	. "github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// memory is a blob in memory.
type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

func blobOf(stored []byte) image.Blob { return memory{bytes.NewReader(stored)} }

func scanBlob(stored []byte, opts toc.Options) (*toc.Layer, error) {
	return toc.Scan(context.Background(), blobOf(stored), opts)
}

// expect is what a manifest and a configuration say of a blob.
func expect(b Blob) toc.Options {
	return toc.Options{
		Digest: digest.FromBytes(b.Stored), DiffID: digest.FromBytes(b.Tar),
		Size: int64(len(b.Stored)), MediaType: b.MediaType,
	}
}

// checkLayer checks the facts that are not in the tar stream.
func checkLayer(t *testing.T, l *toc.Layer, stored, stream []byte) {
	t.Helper()
	if l.Digest != digest.FromBytes(stored) || l.DiffID != digest.FromBytes(stream) {
		t.Errorf("digests are wrong")
	}
	if l.BlobSize != int64(len(stored)) || l.Size != int64(len(stream)) {
		t.Errorf("sizes %d, %d, want %d, %d", l.BlobSize, l.Size, len(stored), len(stream))
	}
}

func readAll(t *testing.T, l *toc.Layer, stored []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	r := toc.NewReader(l, blobOf(stored))
	defer r.Close()
	if err := r.WriteRange(context.Background(), &b, 0, l.Size); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestScan(t *testing.T) {
	layer := Layer(Dir("d"), File("d/f", strings.Repeat("hello", 200_000)), Link("l", "d/f"))
	empty := Plain(make([]byte, 1024))
	gz, zs := GzipBytes(layer.Tar), ZstdBytes(layer.Tar)
	for _, c := range []struct {
		name  string
		blob  Blob
		comp  toc.Compression
		rules []int
		err   string
	}{
		{name: "plain", blob: layer, comp: toc.Plain},
		{name: "gzip", blob: layer.Gzip(), comp: toc.Gzip},
		{name: "zstd", blob: layer.Zstd(), comp: toc.Zstd},

		// 136: media types that lie, or say nothing.
		{name: "x-type-gzip-of-plain", blob: layer.Typed(v1.MediaTypeImageLayerGzip), comp: toc.Plain, rules: []int{136}},
		{name: "x-type-plain-of-gzip", blob: layer.Gzip().Typed(v1.MediaTypeImageLayer), comp: toc.Gzip, rules: []int{136}},
		{name: "x-type-docker-of-zstd", blob: layer.Zstd().Typed("application/vnd.docker.image.rootfs.diff.tar.gzip"), comp: toc.Zstd, rules: []int{136}},
		{name: "x-type-foreign", blob: layer.Gzip().Typed("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"), comp: toc.Gzip},
		{name: "x-type-none", blob: layer.Gzip().Typed(""), comp: toc.Gzip},
		{name: "x-type-unknown", blob: layer.Gzip().Typed("application/octet-stream"), comp: toc.Gzip},

		// 137-139: gzip.
		{name: "x-gzip-members", blob: layer.GzipMembers(0, 512, 513, 70_000, 70_000, len(layer.Tar)), comp: toc.Gzip},
		{name: "x-gzip-garbage", blob: layer.Gzip().As(gz, []byte("garbage")), comp: toc.Gzip, rules: []int{138}},
		{name: "x-gzip-zeros", blob: layer.Gzip().As(gz, make([]byte, 300_000)), comp: toc.Gzip, rules: []int{138}},
		{name: "x-gzip-one-byte", blob: layer.Gzip().As(gz, []byte("\x1f")), comp: toc.Gzip, rules: []int{138}},
		{name: "x-gzip-garbage-instead", blob: layer.Gzip().As(GzipBytes(layer.Tar[:1024]), []byte("garbage")), err: "diffID of the tar is"},
		{name: "x-gzip-half-header", blob: layer.Gzip().As(gz, []byte("\x1f\x8b")), err: "unexpected EOF"},
		{name: "x-gzip-truncated", blob: layer.Gzip().As(gz[:len(gz)-9]), err: "unexpected EOF"},
		{name: "x-gzip-no-footer", blob: layer.Gzip().As(gz[:len(gz)-8]), err: "unexpected EOF"},
		{name: "x-gzip-bad-crc", blob: layer.Gzip().As(gz[:len(gz)-8], []byte("\x00\x00\x00\x00"), gz[len(gz)-4:]), err: "does not match its CRC"},

		// 140-142, 145: zstd.
		{name: "x-zstd-frames", blob: layer.ZstdFrames(0, 512, 513, 70_000, len(layer.Tar)), comp: toc.Zstd},
		{name: "x-zstd-skippable", blob: layer.Zstd().As(zs, Skippable(0, "in"), ZstdBytes(nil), Skippable(15, "")), comp: toc.Zstd},
		{name: "x-zstd-leading-skippable", blob: layer.Zstd().As(Skippable(1, ""), Skippable(2, "lead"), zs), comp: toc.Zstd},
		{name: "x-zstd-only-skippable", blob: Plain(nil).Zstd().As(Skippable(1, "")), comp: toc.Zstd},
		{name: "x-zstd-garbage", blob: layer.Zstd().As(zs, []byte("garbage")), err: "magic"},
		{name: "x-zstd-zeros", blob: layer.Zstd().As(zs, make([]byte, 100)), err: "magic"},
		{name: "x-zstd-one-zero", blob: layer.Zstd().As(zs, make([]byte, 1)), err: "unexpected EOF"},
		{name: "x-zstd-truncated", blob: layer.Zstd().As(zs[:len(zs)-1]), err: "unexpected EOF"},
		{name: "x-zstd-truncated-skippable", blob: layer.Zstd().As(zs, []byte("\x50\x2a\x4d\x18\x09\x00\x00\x00x")), err: "unexpected EOF"},
		{name: "x-zstd-window-16M", blob: layer.Zstd().As(Skippable(0, ""), ZstdWindow(24, layer.Tar)), comp: toc.Zstd, rules: []int{145}},
		{name: "x-zstd-window-8M", blob: layer.Zstd().As(ZstdWindow(23, layer.Tar)), comp: toc.Zstd},
		{name: "x-zstd-window-128M", blob: layer.Zstd().As(ZstdWindow(27, layer.Tar)), comp: toc.Zstd, rules: []int{145}},
		{name: "x-zstd-window-256M", blob: layer.Zstd().As(ZstdWindow(28, layer.Tar)), err: "window size exceeded"},

		// 143, 144, 147, 149, 135.
		{name: "x-gzip-of-gzip", blob: Plain(gz).Gzip(), err: "it is not a tar but gzip data: compressed twice"},
		{name: "x-gzip-of-zstd", blob: Plain(zs).Gzip(), err: "it is not a tar but zstd data"},
		{name: "x-bzip2", blob: layer.As([]byte("BZh91AY&SY")), err: "layers in bzip2 format are not supported"},
		{name: "x-xz", blob: layer.As([]byte("\xfd7zXZ\x00")), err: "layers in xz format are not supported"},
		{name: "x-name-like-bzip2", blob: Layer(File("BZh9", "")), comp: toc.Plain},
		{name: "x-encrypted", blob: layer.Typed(v1.MediaTypeImageLayerGzip + "+encrypted"), err: "layer is encrypted (media type application/vnd.oci.image.layer.v1.tar+gzip+encrypted)"},
		{name: "empty-layer", blob: empty.Gzip(), comp: toc.Gzip},
		{name: "zero-bytes", blob: Plain(nil), comp: toc.Plain},
		{name: "zero-bytes-gzip", blob: Plain(nil).Gzip(), comp: toc.Gzip},
		{name: "x-json", blob: Plain([]byte(`{"errors":[]}`)), err: "the tar ends in a header"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := scanBlob(c.blob.Stored, expect(c.blob))
			if c.err != "" {
				if err == nil || !errors.Is(err, image.ErrCorrupt) || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			checkLayer(t, got, c.blob.Stored, c.blob.Tar)
			want := scan(c.blob.Tar, 0, image.Limits{})
			if d := cmp.Diff(want.entries, got.Entries); d != "" || want.err != nil {
				t.Errorf("%v; entries (-stream +layer):\n%s", want.err, d)
			}
			if d := cmp.Diff(c.rules, scanned{warnings: got.Warnings}.rules()); d != "" {
				t.Errorf("warnings (-want +got):\n%s", d)
			}
			if got.Compression != c.comp {
				t.Errorf("compression %v, want %v", got.Compression, c.comp)
			}
			if !bytes.Equal(readAll(t, got, c.blob.Stored), c.blob.Tar) {
				t.Error("reader does not read the tar")
			}
		})
	}
}

// 151: what is expected and not so.
func TestScanVerifies(t *testing.T) {
	layer := Layer(File("f", "1"))
	other := digest.FromString("other")
	for _, store := range []func(Blob) Blob{func(b Blob) Blob { return b }, Blob.Gzip, Blob.Zstd} {
		b := store(layer)
		for _, c := range []struct {
			name string
			edit func(*toc.Options)
			err  string
		}{
			{"digest", func(o *toc.Options) { o.Digest = other }, "digest of the blob is"},
			{"diffid", func(o *toc.Options) { o.DiffID = other }, "diffID of the tar is"},
			{"both", func(o *toc.Options) { o.Digest, o.DiffID = other, other }, "digest of the blob is"},
			{"size", func(o *toc.Options) { o.Size++ }, "bytes, the manifest says"},
			{"size-zero", func(o *toc.Options) { o.Size = 0 }, "bytes, the manifest says 0"},
			{"digest-bad", func(o *toc.Options) { o.Digest = "md5:1" }, `bad digest "md5:1"`},
			{"sha512", func(o *toc.Options) { o.Digest = digest.SHA512.FromBytes(b.Stored) }, ""},
			{"sha512-diffid", func(o *toc.Options) { o.DiffID = digest.SHA512.FromBytes(b.Tar) }, ""},
			{"unknown", func(o *toc.Options) { *o = toc.Options{Size: -1} }, ""},
			{"zero", func(o *toc.Options) { *o = toc.Options{} }, ""},
		} {
			t.Run(c.name, func(t *testing.T) {
				opts := expect(b)
				c.edit(&opts)
				got, err := scanBlob(b.Stored, opts)
				switch {
				case c.err == "" && err != nil:
					t.Fatal(err)
				case c.err == "" && (opts.Digest != "" && got.Digest != opts.Digest || opts.DiffID != "" && got.DiffID != opts.DiffID):
					t.Error("digests are not those asked for")
				case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err) || !errors.Is(err, image.ErrCorrupt)):
					t.Errorf("error %v, want %q", err, c.err)
				}
			})
		}
	}
}

// A damaged blob is reported as such, not by what the damage does to the tar.
func TestScanBlamesTheBlob(t *testing.T) {
	layer := Layer(File("f", "1").BadChecksum(), File("g", strings.Repeat("x", 1<<20)))
	for _, b := range []Blob{layer, layer.Gzip(), layer.Zstd()} {
		if _, err := scanBlob(b.Stored, expect(b)); err == nil || !strings.Contains(err.Error(), "checksum") {
			t.Errorf("sound blob of a bad tar: %v", err)
		}
		opts := expect(b)
		opts.Digest = digest.FromString("other")
		if _, err := scanBlob(b.Stored, opts); err == nil || !strings.Contains(err.Error(), "digest of the blob") {
			t.Errorf("damaged blob of a bad tar: %v", err)
		}
	}
}

// faulty is a blob that fails, or ends, at an offset.
type faulty struct {
	memory
	at  int64
	err error
}

func (f faulty) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) <= f.at {
		return f.memory.ReadAt(p, off)
	}
	n, _ := f.memory.ReadAt(p[:max(0, f.at-off)], off)
	return n, f.err
}

// An error of the blob's source comes through as it is, wherever it strikes.
func TestScanSourceErrors(t *testing.T) {
	layer := Layer(File("f", strings.Repeat("x", 5000)))
	broken := errors.New("broken")
	for _, b := range []Blob{layer, layer.Gzip(), layer.Zstd()} {
		for at := range len(b.Stored) {
			for _, cause := range []error{broken, io.ErrUnexpectedEOF} {
				_, err := toc.Scan(context.Background(), faulty{memory{bytes.NewReader(b.Stored)}, int64(at), cause}, expect(b))
				if !errors.Is(err, cause) || errors.Is(err, image.ErrCorrupt) {
					t.Fatalf("failing at byte %d: %v", at, err)
				}
			}
			_, err := toc.Scan(context.Background(), faulty{memory{bytes.NewReader(b.Stored)}, int64(at), io.EOF}, expect(b))
			if !errors.Is(err, image.ErrCorrupt) {
				t.Fatalf("ending at byte %d: %v", at, err)
			}
		}
	}
}

// Whatever byte a blob ends at, and whatever bit is flipped, it does not pass
// for the layer.
func TestScanDamage(t *testing.T) {
	layer := Layer(Dir("d"), File("d/f", "hello").Xattr("user.k", "v"), Symlink("s", "d/f"))
	for _, b := range []Blob{layer, layer.Gzip(), layer.Zstd()} {
		check := func(stored []byte, what string, at int) {
			t.Helper()
			opts := expect(b)
			others := []toc.Options{{Digest: opts.Digest}, {Digest: opts.Digest, DiffID: opts.DiffID}, {}}
			for _, o := range []toc.Options{{DiffID: opts.DiffID}, others[at%3]} {
				got, err := scanBlob(stored, o)
				if err != nil && !errors.Is(err, image.ErrCorrupt) {
					t.Fatalf("%s %d: %v is not corrupt", what, at, err)
				}
				if err == nil && (got.Digest == opts.Digest || o.Digest != "" || o.DiffID != "" && got.DiffID != opts.DiffID) {
					t.Fatalf("%s %d: passes for the layer", what, at)
				}
			}
		}
		for n := range b.Stored {
			check(b.Stored[:n], "cut at byte", n)
			for bit := range 8 {
				stored := bytes.Clone(b.Stored)
				stored[n] ^= 1 << bit
				check(stored, "flipped bit", 8*n+bit)
			}
		}
	}
}

func TestScanTruncatedTar(t *testing.T) {
	stream := tar(File("a", "hello"), Dir("d"), File("d/"+strings.Repeat("n", 120), "1").Xattr("user.k", "v"))
	for n := range stream {
		checkStream(t, stream[:n], 1+n%600)
	}
}

func TestScanProgress(t *testing.T) {
	for _, b := range []Blob{
		Layer(File("f", strings.Repeat("x", 3<<20))), Layer(File("f", strings.Repeat("x", 3<<20))).Gzip(),
		Layer().Gzip().As(GzipBytes(make([]byte, 1024)), make([]byte, 1<<20)),
	} {
		var last, calls int64
		opts := expect(b)
		opts.Progress = func(n int64) {
			if n < last {
				t.Errorf("progress goes back from %d to %d", last, n)
			}
			last, calls = n, calls+1
		}
		if _, err := scanBlob(b.Stored, opts); err != nil {
			t.Fatal(err)
		}
		if last != int64(len(b.Stored)) || calls == 0 {
			t.Errorf("progress ends at %d of %d after %d calls", last, len(b.Stored), calls)
		}
	}
}

func TestScanCancelled(t *testing.T) {
	before := runtime.NumGoroutine()
	b := Layer(File("f", strings.Repeat("x", 8<<20))).Gzip()
	ctx, cancel := context.WithCancel(context.Background())
	opts := expect(b)
	opts.Progress = func(int64) { cancel() }
	if _, err := toc.Scan(ctx, blobOf(b.Stored), opts); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	for i := 0; runtime.NumGoroutine() > before && i < 100; i++ {
		time.Sleep(time.Millisecond)
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines before, %d after", before, after)
	}
}

// A bomb is stopped by the limit, without decoding all of it.
func TestScanBomb(t *testing.T) {
	b := Layer(File("f", strings.Repeat("\x00", 8<<20)))
	for _, b := range []Blob{b.Gzip(), b.Zstd()} {
		opts := expect(b)
		opts.Budget = toc.NewBudget(image.Limits{Size: 1 << 20})
		_, err := scanBlob(b.Stored, opts)
		var limit *image.LimitError
		if !errors.As(err, &limit) || limit.Limit != "Size" {
			t.Errorf("error %v", err)
		}
	}
}
