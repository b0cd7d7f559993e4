// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package layout_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/image/imagetest"
	"github.com/seed-81b0d42e/flatten/pkg/layout"
)

// linked is a layout whose blobs are links to files elsewhere in it, as those of
// Docker's official busybox are.
func linked(t *testing.T) (dir string, s imagetest.Store) {
	t.Helper()
	s = imagetest.Store{}
	dir = writeDir(t, s.Layout(s.Image(here, base)))
	if err := os.Mkdir(filepath.Join(dir, "rootfs"), 0o755); err != nil {
		t.Fatal(err)
	}
	for d := range s {
		replace(t, dir, d, func(name string) error {
			file := filepath.Join(dir, "rootfs", d.Encoded()[:8]+".bin")
			if err := os.WriteFile(file, s[d], 0o644); err != nil {
				return err
			}
			return os.Symlink("../../rootfs/"+filepath.Base(file), name)
		})
	}
	return dir, s
}

// replace puts something else in a blob's place.
func replace(t *testing.T, dir string, d digest.Digest, put func(name string) error) {
	t.Helper()
	name := filepath.Join(dir, "blobs", "sha256", d.Encoded())
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := put(name); err != nil {
		t.Fatal(err)
	}
}

func TestLinkedBlobs(t *testing.T) {
	dir, _ := linked(t)
	img, err := layout.OpenDir(ctx, dir, layout.Options{})
	if err != nil {
		t.Fatal(err)
	}
	checkLayers(t, img, base)
	if err := img.Close(); err != nil {
		t.Error(err)
	}
	// The layout itself may be reached through a link.
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	img, err = layout.OpenDir(ctx, link, layout.Options{})
	if err != nil {
		t.Fatal(err)
	}
	checkLayers(t, img, base)
	if err := img.Close(); err != nil {
		t.Error(err)
	}
}

// A blob that leads out of the layout or is no file is refused at once, whichever
// blob it is.
func TestHostileBlobs(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	for _, tc := range []struct {
		name string
		put  func(s imagetest.Store, d digest.Digest, name string) error
		text string
	}{
		{"absolute", func(_ imagetest.Store, _ digest.Digest, name string) error { return os.Symlink("/etc/passwd", name) }, "escapes"},
		{"relative", func(_ imagetest.Store, _ digest.Digest, name string) error {
			return os.Symlink("../../../../../../../../../etc/passwd", name)
		}, "escapes"},
		{"right-bytes-outside", func(s imagetest.Store, d digest.Digest, name string) error {
			if err := os.WriteFile(outside, s[d], 0o644); err != nil {
				return err
			}
			return os.Symlink(outside, name)
		}, "escapes"},
		{"out-and-in", func(_ imagetest.Store, d digest.Digest, name string) error {
			dir := filepath.Base(filepath.Dir(filepath.Dir(filepath.Dir(name))))
			return os.Symlink("../../../"+dir+"/rootfs/"+d.Encoded()[:8]+".bin", name)
		}, "escapes"},
		{"fifo", func(_ imagetest.Store, _ digest.Digest, name string) error { return syscall.Mkfifo(name, 0o644) }, "is a FIFO"},
		{"device", func(_ imagetest.Store, _ digest.Digest, name string) error { return os.Symlink("/dev/zero", name) }, "escapes"},
		{"real-device", func(_ imagetest.Store, _ digest.Digest, name string) error {
			return syscall.Mknod(name, syscall.S_IFCHR|0o666, 1<<8|5)
		}, "is a device"},
		{"circle", func(_ imagetest.Store, _ digest.Digest, name string) error {
			return os.Symlink(filepath.Base(name), name)
		}, ""},
		{"dangling", func(_ imagetest.Store, _ digest.Digest, name string) error { return os.Symlink("nowhere", name) }, "missing"},
		{"through-a-file", func(_ imagetest.Store, _ digest.Digest, name string) error {
			return os.Symlink("../../index.json/x", name)
		}, ""},
		{"directory", func(_ imagetest.Store, _ digest.Digest, name string) error { return os.Mkdir(name, 0o755) }, "is a directory"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, s := linked(t)
			for d := range s {
				dir, _ := linked(t)
				if tc.name == "real-device" && os.Getuid() != 0 {
					t.Skip("only root makes devices")
				}
				replace(t, dir, d, func(name string) error { return tc.put(s, d, name) })
				within(t, 10*time.Second, func() {
					_, err := layout.OpenDir(ctx, dir, layout.Options{})
					checkError(t, err, image.ErrCorrupt, tc.text, "")
					checkError(t, err, image.ErrCorrupt, d.String(), "")
				})
			}
		})
	}
	for _, file := range []string{"index.json", "oci-layout"} {
		t.Run("fifo-"+file, func(t *testing.T) {
			dir, _ := linked(t)
			name := filepath.Join(dir, file)
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Mkfifo(name, 0o644); err != nil {
				t.Fatal(err)
			}
			within(t, 10*time.Second, func() {
				_, err := layout.OpenDir(ctx, dir, layout.Options{})
				checkError(t, err, image.ErrCorrupt, "is a FIFO", "")
			})
		})
	}
}

// A file that turns into a FIFO after it was looked at does not block either.
func TestReplacedByFIFO(t *testing.T) {
	dir, _ := linked(t)
	img, err := layout.OpenDir(ctx, dir, layout.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	replace(t, dir, digest.FromBytes(base), func(name string) error { return syscall.Mkfifo(name, 0o644) })
	within(t, 10*time.Second, func() {
		_, err := img.Layers[0].Open(ctx)
		checkError(t, err, image.ErrCorrupt, "is a FIFO", "")
	})
}

// A file that may not be read is no fault of the layout.
func TestUnreadable(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	dir, _ := linked(t)
	if err := os.Chmod(filepath.Join(dir, "index.json"), 0); err != nil {
		t.Fatal(err)
	}
	_, err := layout.OpenDir(ctx, dir, layout.Options{})
	checkError(t, err, os.ErrPermission, "index.json", "")
}

func within(t *testing.T, limit time.Duration, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(limit):
		t.Fatal("blocks")
	}
}
