// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/internal/regtest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// nowhere are options whose spool cannot be written to.
func nowhere(t *testing.T) Options {
	o := quick(t)
	o.TmpDir = filepath.Join(o.TmpDir, "missing")
	return o
}

func mustOpenRoot(t *testing.T, ref string, o Options) *image.Root {
	t.Helper()
	root, err := OpenRoot(t.Context(), ref, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := root.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return root
}

// The layer of an image with one, by its descriptor.
func layerOf(t *testing.T, root *image.Root) v1.Descriptor {
	t.Helper()
	c, err := image.ReadContents(t.Context(), root.Descriptor, root.Document, image.Limits{}, root.Fetch)
	if err != nil {
		t.Fatal(err)
	}
	return c.Blobs[1]
}

// A copy goes on from its offset, whatever breaks on the way, and is stored
// nowhere else.
func TestCopy(t *testing.T) {
	const size = 300_000
	layer := noise(1, size)
	for name, config := range map[string]regtest.Config{
		"whole":          {},
		"broken":         {Fault: faultOn(layer, 3, regtest.Fault{Cut: true, After: 50_000})},
		"without ranges": {NoRange: true, Fault: faultOn(layer, 1, regtest.Fault{Cut: true, After: 150_000})},
		"second host":    {CDN: true, Auth: regtest.Token, TokenUses: 1},
	} {
		t.Run(name, func(t *testing.T) {
			settled(t)
			s := regtest.New(t, config)
			o := nowhere(t)
			o.User, o.Password = regtest.User, regtest.Password
			root := mustOpenRoot(t, s.Push(t, "app:1", blobsImage(t, layer)), o)
			desc := layerOf(t, root)
			for _, offset := range []int64{0, 1, 100_000, size - 1, size} {
				before := s.Sent(desc.Digest.String())
				var b bytes.Buffer
				if err := root.Copy(t.Context(), desc, offset, &b); err != nil || !bytes.Equal(b.Bytes(), layer[offset:]) {
					t.Errorf("from %d: %d bytes, %v", offset, b.Len(), err)
				}
				if sent := s.Sent(desc.Digest.String()) - before; !config.NoRange && sent != size-offset {
					t.Errorf("from %d: the registry sent %d bytes", offset, sent)
				}
			}
		})
	}
}

func TestCopyEmptyLayer(t *testing.T) {
	settled(t)
	s := regtest.New(t, regtest.Config{})
	root := mustOpenRoot(t, s.Push(t, "app:1", blobsImage(t, noise(1, 10))), nowhere(t))
	var b bytes.Buffer
	d := v1.Descriptor{Digest: emptyLayer, Size: int64(len(emptyLayerBytes))}
	if err := root.Copy(t.Context(), d, 0, &b); err != nil || digest.FromBytes(b.Bytes()) != emptyLayer {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}
}

// fullDisk fails after some bytes.
type fullDisk struct{ room int }

var errFull = errors.New("disk full")

func (d *fullDisk) Write(p []byte) (int, error) {
	if len(p) > d.room {
		return 0, errFull
	}
	d.room -= len(p)
	return len(p), nil
}

func TestCopyErrors(t *testing.T) {
	settled(t)
	layer := noise(1, 300_000)
	waits := new(sleeps)
	ctx, cancel := context.WithCancel(t.Context())
	s := regtest.New(t, regtest.Config{Fault: func(r regtest.Request) regtest.Fault {
		if r.IsBlob && r.N == 2 {
			cancel()
			return regtest.Fault{Stall: true, After: 10}
		}
		return faultOn(layer, 1000, regtest.Fault{})(r)
	}})
	o := nowhere(t)
	o.Sleep = waits.sleep
	root := mustOpenRoot(t, s.Push(t, "app:1", blobsImage(t, layer)), o)
	desc := layerOf(t, root)
	if err := root.Copy(t.Context(), desc, 0, &fullDisk{200_000}); !errors.Is(err, errFull) || len(waits.waits) > 0 {
		t.Errorf("a full disk: %v after %d retries", err, len(waits.waits))
	}
	if err := root.Copy(ctx, desc, 0, new(bytes.Buffer)); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the context: %v", err)
	}
	missing := v1.Descriptor{Digest: digest.FromString("missing"), Size: 7}
	err := root.Copy(t.Context(), missing, 0, new(bytes.Buffer))
	checkError(t, err, image.ErrNotFound, []string{"blob " + string(missing.Digest), "not found"}, "")
}
