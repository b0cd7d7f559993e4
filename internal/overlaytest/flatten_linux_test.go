// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package overlaytest

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// TestKernelAgrees compares what flatten writes with what overlayfs shows of the
// same layers: paths, types, modes, owners, times to the nanosecond, contents,
// link targets, hard links, extended attributes and device numbers.
func TestKernelAgrees(t *testing.T) {
	gnuTar := hasGNUTar()
	testSeeds(t, func(t *testing.T, seed uint64, dir string, layers []*layer) {
		want, err := readMerged(dir, dirsOf(layers))
		if err != nil {
			t.Fatal(err)
		}
		img := imageOf(layers)
		file := run(t, img, flatten.Options{Jobs: 2})
		got, err := ReadTar(bytes.NewReader(gunzip(t, file)))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range Diff(want, got) {
			t.Error(d)
		}
		if again := run(t, img, flatten.Options{Jobs: 1}); !bytes.Equal(file, again) {
			t.Error("other bytes with one job than with two")
		}
		if encoded := run(t, img, flatten.Options{Level: 1}); !bytes.Equal(gunzip(t, file), gunzip(t, encoded)) {
			t.Error("spliced and encoded outputs hold different tars")
		}
		if gnuTar && seed%10 == 0 {
			compareUnpacked(t, dir, file, want)
		}
		if !hasMarker(want) {
			compareCanonical(t, seed, img, want)
		}
	})
}

// compareUnpacked has GNU tar unpack the output and compares what lies there.
func compareUnpacked(t *testing.T, dir string, file []byte, want Tree) {
	out := filepath.Join(dir, "unpacked")
	if err := os.Mkdir(out, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("tar", "-xzp", "-C", out, "--numeric-owner", "--same-owner", "--delay-directory-restore",
		"--xattrs", "--xattrs-include=*")
	cmd.Stdin = bytes.NewReader(file)
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("GNU tar: %v: %s", err, b)
	}
	got, err := ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range Diff(want, got) {
		t.Errorf("unpacked by GNU tar: %s", d)
	}
}

// compareCanonical makes a second image, of one layer that holds all that the
// kernel shows. Flattened with --canonical both give the same bytes.
func compareCanonical(t *testing.T, seed uint64, img *image.Image, want Tree) {
	r := rand.New(rand.NewPCG(seed, 1))
	s := randomStyle(r)
	s.whole, s.dropParent, s.rewhite, s.writer = false, 0, false, "go"
	w := &scribe{r: r, s: s, lower: Tree{}, raw: want}
	squashed := &layer{entries: w.write()}
	var err error
	if squashed.tar, err = writeTar(squashed.entries); err != nil {
		t.Fatal(err)
	}
	squashed.blob, squashed.how = compress(r, squashed.tar)
	a := run(t, img, flatten.Options{Canonical: true})
	b := run(t, imageOf([]*layer{squashed}), flatten.Options{Canonical: true})
	if bytes.Equal(a, b) {
		return
	}
	ta, errA := ReadTar(bytes.NewReader(gunzip(t, a)))
	tb, errB := ReadTar(bytes.NewReader(gunzip(t, b)))
	t.Errorf("canonical: other bytes for the same file system in one layer (%v, %v): %q", errA, errB, Diff(ta, tb))
}

// hasMarker tells whether a directory is named like a whiteout (rule 24). A layer
// can imply one but have no entry for it.
func hasMarker(t Tree) bool {
	for p := range t {
		if strings.Contains("/"+p, "/"+whiteoutPrefix) {
			return true
		}
	}
	return false
}

// run flattens an image into memory.
func run(t *testing.T, img *image.Image, opts flatten.Options) []byte {
	t.Helper()
	var b bytes.Buffer
	opts.Output = &b
	if _, err := flatten.Flatten(context.Background(), img, opts); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// gunzip is the content of a file that must be a single gzip member.
func gunzip(t *testing.T, file []byte) []byte {
	t.Helper()
	in := bytes.NewReader(file)
	z, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	z.Multistream(false)
	out, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if in.Len() > 0 {
		t.Fatalf("%d bytes behind the gzip member", in.Len())
	}
	return out
}

// blob is a layer's blob in memory.
type blob struct{ *bytes.Reader }

func (blob) Close() error { return nil }

// imageOf is the image of the layers.
func imageOf(layers []*layer) *image.Image {
	img := &image.Image{Reference: "a test"}
	img.Config.RootFS.Type = "layers"
	for _, l := range layers {
		diffID := digest.FromBytes(l.tar)
		img.Config.RootFS.DiffIDs = append(img.Config.RootFS.DiffIDs, diffID)
		img.Layers = append(img.Layers, image.Layer{
			Digest: digest.FromBytes(l.blob), DiffID: diffID, Size: int64(len(l.blob)), MediaType: mediaType(l),
			Open: func(context.Context) (image.Blob, error) { return blob{bytes.NewReader(l.blob)}, nil },
		})
	}
	return img
}

func mediaType(l *layer) string {
	switch {
	case strings.Contains(l.how, "gzip with"):
		return v1.MediaTypeImageLayerGzip
	case strings.Contains(l.how, "zstd with"):
		return v1.MediaTypeImageLayerZstd
	}
	return v1.MediaTypeImageLayer
}

func hasGNUTar() bool {
	out, err := exec.Command("tar", "--version").Output()
	return err == nil && strings.Contains(string(out), "GNU tar")
}

// TestDiff checks that the comparison sees every kind of difference.
func TestDiff(t *testing.T) {
	node := func() *Node {
		return &Node{Type: typeReg, Mode: 0o644, Data: []byte("x"), Xattrs: map[string]string{"user.a": "1"}}
	}
	changes := map[string]func(n *Node){
		"type":    func(n *Node) { n.Type = typeFifo },
		"mode":    func(n *Node) { n.Mode |= 0o4000 },
		"uid":     func(n *Node) { n.UID = 1 },
		"gid":     func(n *Node) { n.GID = 1 },
		"second":  func(n *Node) { n.Sec++ },
		"nano":    func(n *Node) { n.Nsec++ },
		"content": func(n *Node) { n.Data = []byte("y") },
		"link":    func(n *Node) { n.Link = "y" },
		"major":   func(n *Node) { n.Major = 1 },
		"minor":   func(n *Node) { n.Minor = 1 },
		"group":   func(n *Node) { n.Group = "b" },
		"value":   func(n *Node) { n.Xattrs["user.a"] = "" },
		"missing": func(n *Node) { delete(n.Xattrs, "user.a") },
		"extra":   func(n *Node) { n.Xattrs["user.b"] = "" },
	}
	if d := Diff(Tree{"a": node()}, Tree{"a": node()}); len(d) > 0 {
		t.Errorf("equal trees differ: %q", d)
	}
	for name, change := range changes {
		n := node()
		change(n)
		if d := Diff(Tree{"a": node()}, Tree{"a": n}); len(d) != 1 {
			t.Errorf("%s: %q, want one difference", name, d)
		}
	}
	if d := Diff(Tree{"a": node()}, Tree{"b": node()}); len(d) != 2 {
		t.Errorf("paths: %q, want two differences", d)
	}
}
