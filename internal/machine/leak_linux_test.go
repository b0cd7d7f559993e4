// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/internal/regtest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/reference"
	"github.com/seed-81b0d42e/flatten/pkg/registry"
	"github.com/seed-81b0d42e/flatten/pkg/source"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// However a run of the library ends, with success, with an error or by the end of
// its context, at any moment, its goroutines end and its files are closed.
func TestLeaks(t *testing.T) {
	img := sample(t, 1, 4, 300_000)
	dir := layoutOf(t, img)
	archive := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(archive, archiveOf(t, dir), 0o644); err != nil {
		t.Fatal(err)
	}
	spoilt := layoutOf(t, img)
	spoil(t, spoilt)
	spoiltArchive := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(spoiltArchive, archiveOf(t, spoilt), 0o644); err != nil {
		t.Fatal(err)
	}
	server := regtest.New(t, regtest.Config{})
	liar := regtest.New(t, regtest.Config{Fault: func(r regtest.Request) regtest.Fault {
		if !r.IsBlob {
			return regtest.Fault{}
		}
		return regtest.Fault{Change: func(b []byte) []byte {
			b = bytes.Clone(b)
			if len(b) > 10_000 {
				b[len(b)/2] ^= 1
			}
			return b
		}}
	}})
	for name, refs := range map[string][2]string{
		"layout":   {"oci:" + dir, "oci:" + spoilt},
		"archive":  {"oci-archive:" + archive, "oci-archive:" + spoiltArchive},
		"registry": {"docker://" + server.Push(t, "app:1", img), "docker://" + liar.Push(t, "app:1", img)},
	} {
		t.Run(name, func(t *testing.T) {
			cache := &toc.Cache{Dir: t.TempDir()}
			for _, opts := range []flatten.Options{
				{Dir: t.TempDir()}, {Dir: t.TempDir(), Canonical: true}, {Dir: t.TempDir(), TarDigest: true},
				{Dir: t.TempDir(), Cache: cache}, {Dir: t.TempDir(), Cache: cache},
			} {
				settles(t, "success", func() error { return run(t.Context(), refs[0], opts) }, nil)
			}
			settles(t, "corrupt", func() error { return run(t.Context(), refs[1], flatten.Options{Dir: t.TempDir()}) }, image.ErrCorrupt)
			settles(t, "no folder", func() error { return run(t.Context(), refs[0], flatten.Options{Dir: "missing"}) }, os.ErrNotExist)
			settles(t, "over a limit", func() error {
				return run(t.Context(), refs[0], flatten.Options{Dir: t.TempDir(), Limits: image.Limits{Entries: 30}})
			}, image.ErrCorrupt)
			for i := range 20 {
				settles(t, "cancelled", func() error {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*3*time.Millisecond)
					defer cancel()
					err := run(ctx, refs[0], flatten.Options{Dir: t.TempDir()})
					if ctx.Err() == nil || err == nil {
						return context.DeadlineExceeded // it was faster
					}
					return err
				}, context.DeadlineExceeded)
			}
		})
	}
}

// spoil changes a byte of the largest blob of a layout.
func spoil(t *testing.T, dir string) {
	t.Helper()
	blobs := filepath.Join(dir, "blobs", "sha256")
	var largest []byte
	var path string
	for _, name := range names(t, blobs) {
		b, err := os.ReadFile(filepath.Join(blobs, name))
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > len(largest) {
			largest, path = b, filepath.Join(blobs, name)
		}
	}
	largest[len(largest)/2] ^= 1
	if err := os.WriteFile(path, largest, 0o644); err != nil {
		t.Fatal(err)
	}
}

// run flattens an image with the library.
func run(ctx context.Context, text string, opts flatten.Options) error {
	ref, err := reference.Parse(text)
	if err != nil {
		return err
	}
	img, err := source.Open(ctx, ref, source.Options{Registry: registry.Options{Insecure: true}})
	if err != nil {
		return err
	}
	defer img.Close()
	_, err = flatten.Flatten(ctx, img, opts)
	return err
}

// settles demands the error of do, and as many goroutines and open files afterwards
// as before. Some take a moment to end.
func settles(t *testing.T, how string, do func() error, want error) {
	t.Helper()
	goroutines, files := runtime.NumGoroutine(), len(names(t, "/proc/self/fd"))
	if err := do(); !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", how, err, want)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		g, f := runtime.NumGoroutine(), len(names(t, "/proc/self/fd"))
		if g <= goroutines && f <= files {
			return
		}
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			stacks = stacks[:runtime.Stack(stacks, true)]
			t.Fatalf("%s: %d goroutines, before %d; %d open files, before %d\n%s\n%s", how, g, goroutines, f, files, openFiles(), stacks)
		}
	}
}

// openFiles is what the open files of this process are.
func openFiles() string {
	list, _ := os.ReadDir("/proc/self/fd")
	var all []string
	for _, e := range list {
		target, _ := os.Readlink("/proc/self/fd/" + e.Name())
		all = append(all, target)
	}
	return strings.Join(all, "\n")
}
