// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten/internal/regtest"
)

// However often and by however many a layer is opened, it is fetched once.
func TestOneDownload(t *testing.T) {
	settled(t)
	layer := noise(1, 500_000)
	s := regtest.New(t, regtest.Config{})
	ref := s.Push(t, "app:1", blobsImage(t, layer, layer))
	img := mustOpen(t, ref, quick(t))
	var readers sync.WaitGroup
	for i := range 10 {
		readers.Go(func() {
			got, err := readLayer(t.Context(), img.Layers[i%2])
			if err != nil || !bytes.Equal(got, layer) {
				t.Errorf("reader %d: %v", i, err)
			}
		})
	}
	readers.Wait()
	checkLayers(t, img, layer, layer)
	if got := s.Sent(digest.FromBytes(layer).String()); got != 500_000 {
		t.Errorf("the registry sent %d bytes", got)
	}
}

// At most Options.Jobs downloads run at once, and that many do.
func TestJobs(t *testing.T) {
	settled(t)
	var layers [][]byte
	for i := range 12 {
		layers = append(layers, noise(byte(i), 1000))
	}
	var running, most atomic.Int64
	var configuration string
	s := regtest.New(t, regtest.Config{Fault: func(r regtest.Request) regtest.Fault {
		if !r.IsBlob || strings.HasSuffix(r.Path, configuration) {
			return regtest.Fault{}
		}
		now := running.Add(1)
		for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
		}
		time.Sleep(50 * time.Millisecond)
		running.Add(-1)
		return regtest.Fault{}
	}})
	stored := blobsImage(t, layers...)
	name, err := stored.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	configuration = name.String()
	o := quick(t)
	o.Jobs = 3
	img := mustOpen(t, s.Push(t, "app:1", stored), o)
	for _, l := range img.Layers {
		if _, err := l.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	checkLayers(t, img, layers...)
	if got := most.Load(); got != 3 {
		t.Errorf("%d downloads at once, want 3", got)
	}
}

// Reads return as soon as their bytes are there, not when the layer is.
func TestReadWhileDownloading(t *testing.T) {
	settled(t)
	layer := noise(1, 200_000)
	s := regtest.New(t, regtest.Config{Fault: faultOn(layer, 1, regtest.Fault{Stall: true, After: 100_000})})
	img := mustOpen(t, s.Push(t, "app:1", blobsImage(t, layer)), quick(t))
	b, err := img.Layers[0].Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 60_000)
	if n, err := b.ReadAt(got, 40_000); n != 60_000 || err != nil || !bytes.Equal(got, layer[40_000:100_000]) {
		t.Errorf("read %d bytes and %v", n, err)
	}
	for _, off := range []int64{200_000, 200_001, 1 << 60} {
		if n, err := b.ReadAt(got, off); n != 0 || err != io.EOF {
			t.Errorf("at %d: %d bytes and %v", off, n, err)
		}
	}
	if _, err := b.ReadAt(got, -1); err == nil {
		t.Error("at -1: no error")
	}

	// Nobody waits any longer: the download stops, and keeps what it has.
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if _, err := b.ReadAt(got, 0); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	checkLayers(t, img, layer)
	if got := s.Sent(digest.FromBytes(layer).String()); got != 200_000 {
		t.Errorf("the registry sent %d bytes", got)
	}
}

// The end of the context ends waits, and the download.
func TestCancel(t *testing.T) {
	settled(t)
	layer := noise(1, 200_000)
	s := regtest.New(t, regtest.Config{Fault: faultOn(layer, 1000, regtest.Fault{Stall: true})})
	img := mustOpen(t, s.Push(t, "app:1", blobsImage(t, layer)), quick(t))
	ctx, cancel := context.WithCancelCause(t.Context())
	b, err := img.Layers[0].Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	interrupted := errors.New("interrupted")
	time.AfterFunc(50*time.Millisecond, func() { cancel(interrupted) })
	start := time.Now()
	if _, err := b.ReadAt(make([]byte, 1), 0); !errors.Is(err, interrupted) {
		t.Errorf("error %v", err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("took %v", took)
	}
	if _, err := img.Layers[0].Open(ctx); !errors.Is(err, interrupted) {
		t.Errorf("opened after the end: %v", err)
	}
}

// Once a blob is there, the end of its context does not matter: whoever scans
// layers in a group has a context that ends with the group.
func TestReadAfterContext(t *testing.T) {
	settled(t)
	layer := noise(1, 200_000)
	s := regtest.New(t, regtest.Config{})
	img := mustOpen(t, s.Push(t, "app:1", blobsImage(t, layer)), quick(t))
	ctx, cancel := context.WithCancel(t.Context())
	b, err := img.Layers[0].Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(layer))
	if _, err := b.ReadAt(got, 0); err != nil {
		t.Fatal(err)
	}
	cancel()
	for range 10 {
		clear(got)
		if _, err := b.ReadAt(got, 0); err != nil || !bytes.Equal(got, layer) {
			t.Fatalf("after the end of the context: %v", err)
		}
		time.Sleep(time.Millisecond)
	}
}

// Closing the image ends everything: waits, downloads and those that wait for
// their turn.
func TestCloseWhileDownloading(t *testing.T) {
	settled(t)
	layers := [][]byte{noise(1, 1000), noise(2, 1000), noise(3, 1000)}
	s := regtest.New(t, regtest.Config{Fault: func(r regtest.Request) regtest.Fault {
		for _, l := range layers {
			if f := faultOn(l, 1, regtest.Fault{Stall: true, After: 10})(r); f.Stall {
				return f
			}
		}
		return regtest.Fault{}
	}})
	o := quick(t)
	o.Jobs = 2
	img := mustOpen(t, s.Push(t, "app:1", blobsImage(t, layers...)), o)
	var readers sync.WaitGroup
	for _, l := range img.Layers {
		b, err := l.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		readers.Go(func() {
			if _, err := b.ReadAt(make([]byte, 1000), 0); !errors.Is(err, fs.ErrClosed) {
				t.Errorf("error %v", err)
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	if err := img.Close(); err != nil {
		t.Error(err)
	}
	readers.Wait()
	if _, err := img.Layers[0].Open(t.Context()); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("opened after Close: %v", err)
	}
}

func TestNoRoom(t *testing.T) {
	settled(t)
	layers := [][]byte{noise(1, 1000), noise(2, 3000), noise(1, 1000)}
	s := regtest.New(t, regtest.Config{})
	ref := s.Push(t, "app:1", blobsImage(t, layers...))
	o := quick(t)
	available := int64(3999)
	o.available = func(string) (int64, bool) { return available, true }
	img := mustOpen(t, ref, o)
	_, err := img.Layers[0].Open(t.Context())
	checkError(t, err, nil, []string{"4000 bytes are needed, 3999 are free", o.TmpDir}, "--tmpdir")
	available = 4000
	if _, err := readLayer(t.Context(), img.Layers[0]); err != nil {
		t.Error(err)
	}
	available = 3000 // the first is there now
	checkLayers(t, img, layers...)
	available = 0
	checkLayers(t, img, layers...)
}

func TestDiskFull(t *testing.T) {
	sp := &spool{dir: "/spool"}
	err := sp.writeError(&fs.PathError{Op: "write", Path: "/spool/#123", Err: syscall.ENOSPC})
	checkError(t, err, nil, []string{"writing to /spool: no space left on device"}, "--tmpdir")
	if retryable(err) {
		t.Error("tries again when the disk is full")
	}
}

func TestNoFolder(t *testing.T) {
	settled(t)
	s := regtest.New(t, regtest.Config{})
	o := quick(t)
	ref := s.Push(t, "app:1", blobsImage(t, noise(1, 10)))
	missing := o
	missing.TmpDir += "/missing"
	img, err := Open(t.Context(), ref, missing)
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	_, err = img.Layers[0].Open(t.Context())
	checkError(t, err, nil, []string{"spool file", "/missing"}, "--tmpdir")
}

// Layers that a registry need not have are fetched from where their descriptor
// says, by HTTPS (rule 148).
func TestForeignLayers(t *testing.T) {
	settled(t)
	layer := noise(1, 100_000)
	id := digest.FromBytes(layer).String()
	elsewhere := regtest.New(t, regtest.Config{TLS: true, Fault: faultOn(layer, 1, regtest.Fault{Cut: true, After: 1000})})
	elsewhere.Push(t, "files:1", blobsImage(t, layer))
	foreign, err := mutate.Append(blobsImage(t), mutate.Addendum{
		Layer:     static.NewLayer(layer, types.DockerForeignLayer),
		MediaType: types.DockerForeignLayer,
		URLs: []string{
			"http://" + elsewhere.Host + "/v2/files/blobs/" + id,
			"https://" + elsewhere.Host + "/v2/files/blobs/nothing",
			"https://" + elsewhere.Host + "/v2/files/blobs/" + id,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := regtest.New(t, regtest.Config{Auth: regtest.Basic})
	ref := s.Push(t, "app:1", foreign)
	o := quick(t)
	o.Insecure = true
	o.User, o.Password = regtest.User, regtest.Password
	checkLayers(t, mustOpen(t, ref, o), layer)
	if got := elsewhere.Sent(id); got != 100_000 {
		t.Errorf("the other host sent %d bytes", got)
	}
	for _, r := range elsewhere.Requests() {
		if r.Header.Get("Authorization") != "" {
			t.Errorf("%s: got credentials", r.Path)
		}
	}
}

// The empty layer is known (rule 149).
func TestEmptyLayer(t *testing.T) {
	settled(t)
	if got := digest.FromString(emptyLayerBytes); got != emptyLayer {
		t.Fatalf("the empty layer has digest %s", got)
	}
	s := regtest.New(t, regtest.Config{})
	ref := s.Push(t, "app:1", blobsImage(t, []byte(emptyLayerBytes)))
	checkLayers(t, mustOpen(t, ref, quick(t)), []byte(emptyLayerBytes))
	if got := s.Sent(emptyLayer.String()); got != 0 {
		t.Errorf("the registry sent %d bytes", got)
	}
}
