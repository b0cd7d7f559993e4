// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	ggcr "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten/internal/regtest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// sleeps stands in for Options.Sleep: it notes the waits and does not wait.
type sleeps struct {
	mu    sync.Mutex
	waits []time.Duration
}

func (s *sleeps) sleep(ctx context.Context, d time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits = append(s.waits, d)
	return ctx.Err()
}

// quick are options that never wait, with an empty folder for the spool.
func quick(t *testing.T) Options {
	return Options{TmpDir: t.TempDir(), Sleep: new(sleeps).sleep}
}

// settled checks, when the test is over, that its goroutines have ended and
// that nothing is left in the spool's folder. It must be called before servers
// are started.
func settled(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		deadline := time.Now().Add(5 * time.Second)
		for runtime.NumGoroutine() > before {
			if time.Now().After(deadline) {
				stacks := make([]byte, 1<<20)
				t.Fatalf("%d goroutines where there were %d:\n%s", runtime.NumGoroutine(), before,
					stacks[:runtime.Stack(stacks, true)])
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
}

func checkEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("left in the spool's folder: %s", e.Name())
	}
}

// blobsImage is an image whose layers are the given bytes as stored.
func blobsImage(t *testing.T, blobs ...[]byte) ggcr.Image {
	t.Helper()
	layers := make([]mutate.Addendum, len(blobs))
	for i, b := range blobs {
		layers[i].Layer = static.NewLayer(b, types.DockerLayer)
	}
	base, err := mutate.ConfigFile(empty.Image, &ggcr.ConfigFile{
		OS: "linux", Architecture: runtime.GOARCH, RootFS: ggcr.RootFS{Type: "layers"},
	})
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.Append(base, layers...)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// noise is n bytes that differ from place to place and from seed to seed.
func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	x := uint32(seed) + 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// mustOpen opens an image that is closed when the test ends.
func mustOpen(t *testing.T, ref string, o Options) *image.Image {
	t.Helper()
	img, err := Open(t.Context(), ref, o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := img.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		checkEmpty(t, o.TmpDir)
	})
	return img
}

// readLayer reads a layer whole.
func readLayer(ctx context.Context, l image.Layer) ([]byte, error) {
	b, err := l.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	return io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
}

func checkLayers(t *testing.T, img *image.Image, want ...[]byte) {
	t.Helper()
	if len(img.Layers) != len(want) {
		t.Fatalf("%d layers, want %d", len(img.Layers), len(want))
	}
	for i, l := range img.Layers {
		got, err := readLayer(t.Context(), l)
		if err != nil {
			t.Errorf("layer %d: %v", i, err)
		} else if !bytes.Equal(got, want[i]) {
			t.Errorf("layer %d: other bytes than were stored", i)
		}
	}
}

// faultOn is a fault of the first n requests for a layer with these bytes, to
// the host that has it.
func faultOn(layer []byte, n int, f regtest.Fault) func(regtest.Request) regtest.Fault {
	return func(r regtest.Request) regtest.Fault {
		if r.IsBlob && r.N <= n && strings.HasSuffix(r.Path, digest.FromBytes(layer).String()) {
			return f
		}
		return regtest.Fault{}
	}
}

func status(code int, body string, header ...string) regtest.Fault {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return regtest.Fault{Status: code, Header: h, Body: body}
}
