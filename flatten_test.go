// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package flatten_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten"
	. "github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/layout"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

func Example() {
	ctx := context.Background()
	img, err := layout.OpenDir(ctx, "fixtures/hello", layout.Options{
		Platform: &v1.Platform{OS: "linux", Architecture: "amd64"},
	})
	if err != nil {
		panic(err)
	}
	defer img.Close()

	var out bytes.Buffer
	result, err := flatten.Flatten(ctx, img, flatten.Options{Output: &out})
	if err != nil {
		panic(err)
	}
	fmt.Println(result.Entries, "entries from", len(result.Layers), "layers")

	z, err := gzip.NewReader(&out)
	if err != nil {
		panic(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			panic(err)
		}
		if strings.HasPrefix(h.Name, "etc/") {
			fmt.Println(h.Name)
		}
	}
	// Output:
	// 49 entries from 5 layers
	// etc/
	// etc/app.d/
	// etc/passwd
	// etc/os-release
	// etc/app.d/90-site.conf
}

// hello opens the fixture.
func hello(t testing.TB) *image.Image {
	t.Helper()
	img, err := layout.OpenDir(context.Background(), "fixtures/hello", layout.Options{
		Platform: &v1.Platform{OS: "linux", Architecture: "amd64"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { img.Close() })
	return img
}

// The names of the fixture's assets are part of what a release promises: a
// change of one is a change of all users' digests, to be made knowingly.
func TestGoldenDigests(t *testing.T) {
	for name, tt := range map[string]struct {
		opts flatten.Options
		want string
	}{
		"default":   {flatten.Options{}, goldenDefault},
		"canonical": {flatten.Options{Canonical: true}, goldenCanonical},
		"level 6":   {flatten.Options{Level: 6}, goldenLevel6},
		"tar":       {flatten.Options{Uncompressed: true}, goldenTar},
	} {
		for _, jobs := range []int{1, 5} {
			var out bytes.Buffer
			tt.opts.Output, tt.opts.Jobs = &out, jobs
			r, err := flatten.Flatten(context.Background(), hello(t), tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Digest.Encoded()[:16]; got != tt.want || digest.FromBytes(out.Bytes()) != r.Digest {
				t.Errorf("%s, %d jobs: %s, want %s", name, jobs, got, tt.want)
			}
		}
	}
}

const (
	goldenDefault   = "9e5ef864c6b5561b"
	goldenCanonical = "7f34ab106bdd374b"
	goldenLevel6    = "07da29de07c0023a"
	goldenTar       = "fa1352920c9fa1f6"
)

// The result tells the truth about the file.
func TestResult(t *testing.T) {
	dir := t.TempDir()
	r, err := flatten.Flatten(context.Background(), hello(t), flatten.Options{Dir: dir, TarDigest: true})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(r.Path)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, digest.FromBytes(b).Encoded()+".tar.gz"); r.Path != want {
		t.Errorf("path %s, want %s", r.Path, want)
	}
	if r.Digest != digest.FromBytes(b) || r.Size != int64(len(b)) {
		t.Errorf("digest %s and size %d are not the file's", r.Digest, r.Size)
	}
	plain, err := Gunzip(b)
	if err != nil {
		t.Fatal(err)
	}
	if r.TarDigest != digest.FromBytes(plain) || r.TarSize != int64(len(plain)) {
		t.Errorf("digest %s and size %d are not the tar's", r.TarDigest, r.TarSize)
	}
}

// With a cache that knows every layer the bytes are the same.
func TestCache(t *testing.T) {
	cache := &toc.Cache{Dir: t.TempDir()}
	var want digest.Digest
	for _, c := range []*toc.Cache{nil, cache, cache} {
		r, err := flatten.Flatten(context.Background(), hello(t), flatten.Options{Output: io.Discard, Cache: c})
		if err != nil {
			t.Fatal(err)
		}
		if want == "" {
			want = r.Digest
		}
		if r.Digest != want {
			t.Errorf("%s, want %s", r.Digest, want)
		}
	}
}

// A layer is blamed by its place and digest, and nothing is left behind.
func TestLayerError(t *testing.T) {
	bad := Layer(File("b", "2")).Gzip()
	bad = bad.As(bad.Stored[:len(bad.Stored)-4])
	dir := t.TempDir()
	_, err := flatten.Flatten(context.Background(), Image(Layer(File("a", "1")), bad), flatten.Options{Dir: dir})
	var e *flatten.LayerError
	if !errors.As(err, &e) || e.Layer != 1 || !errors.Is(err, image.ErrCorrupt) {
		t.Errorf("error %v", err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 0 {
		t.Errorf("left behind: %v", list)
	}
}

// The same blob under two diffIDs cannot be right.
func TestTwoDiffIDs(t *testing.T) {
	b := Layer(File("a", "1")).Gzip()
	img := Image(b, b)
	img.Layers[1].DiffID = digest.FromString("another")
	_, err := flatten.Flatten(context.Background(), img, flatten.Options{Output: io.Discard})
	if !errors.Is(err, image.ErrCorrupt) || !strings.Contains(err.Error(), "diffID") {
		t.Errorf("error %v", err)
	}
}

// A full disk, at any byte: an error, and nothing under a final name.
func TestOutputFails(t *testing.T) {
	for _, n := range []int{0, 5, 1000, 6000} {
		w := &limited{n: n}
		_, err := flatten.Flatten(context.Background(), hello(t), flatten.Options{Output: w})
		if !errors.Is(err, errFull) {
			t.Errorf("full after %d bytes: %v", n, err)
		}
	}
}

var errFull = errors.New("full")

type limited struct{ n int }

func (w *limited) Write(p []byte) (int, error) {
	if len(p) > w.n {
		return 0, errFull
	}
	w.n -= len(p)
	return len(p), nil
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dir := t.TempDir()
	_, err := flatten.Flatten(ctx, hello(t), flatten.Options{Dir: dir})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 0 {
		t.Errorf("left behind: %v", list)
	}
}

// Progress never goes back and ends at the end.
func TestProgress(t *testing.T) {
	last := map[flatten.Event]flatten.Event{}
	_, err := flatten.Flatten(context.Background(), hello(t), flatten.Options{Output: io.Discard, Jobs: 1, Progress: func(e flatten.Event) {
		key := flatten.Event{Stage: e.Stage, Layer: e.Layer}
		if e.Done < last[key].Done || e.Done > e.Total {
			t.Errorf("%+v after %+v", e, last[key])
		}
		last[key] = e
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(last) != 6 {
		t.Errorf("%d steps, want 5 layers and the output", len(last))
	}
	for _, e := range last {
		if e.Done != e.Total {
			t.Errorf("ends with %+v", e)
		}
	}
}
