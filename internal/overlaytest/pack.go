// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package overlaytest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// compress stores a tar stream as a blob: plain, gzip with one member or several, zstd
// with one frame or several.
func compress(r *rand.Rand, stream []byte) (blob []byte, how string) {
	pieces := [][]byte{stream}
	if chance(r, 3) {
		pieces = cut(r, stream)
	}
	switch r.IntN(4) {
	case 0:
		return stream, "plain"
	case 1:
		return zstdFrames(r, pieces), fmt.Sprintf("zstd with %d frames", len(pieces))
	}
	return gzipMembers(r, pieces), fmt.Sprintf("gzip with %d members", len(pieces))
}

// cut divides bytes into pieces, some of them empty.
func cut(r *rand.Rand, b []byte) [][]byte {
	var pieces [][]byte
	for range r.IntN(4) {
		n := r.IntN(len(b) + 1)
		pieces, b = append(pieces, b[:n]), b[n:]
	}
	return append(pieces, b)
}

func gzipMembers(r *rand.Rand, pieces [][]byte) []byte {
	var b bytes.Buffer
	for _, p := range pieces {
		w, err := gzip.NewWriterLevel(&b, r.IntN(10))
		if err != nil {
			panic(err)
		}
		if chance(r, 4) {
			w.Name, w.Comment, w.Extra = "layer.tar", "a comment", []byte{'A', 'B', 2, 0, 1, 2}
		}
		if chance(r, 3) && len(p) > 600 {
			mustWrite(w.Write(p[:600]))
			if err := w.Flush(); err != nil {
				panic(err)
			}
			p = p[600:]
		}
		mustWrite(w.Write(p))
		if err := w.Close(); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

// mustWrite is for writers into memory.
func mustWrite(_ int, err error) {
	if err != nil {
		panic(err)
	}
}

func zstdFrames(r *rand.Rand, pieces [][]byte) []byte {
	var out []byte
	for _, p := range pieces {
		if chance(r, 4) {
			out = append(out, skippable(r)...)
		}
		w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<17), zstd.WithZeroFrames(true),
			zstd.WithEncoderLevel(pick(r, zstd.SpeedFastest, zstd.SpeedDefault)), zstd.WithEncoderCRC(chance(r, 2)))
		if err != nil {
			panic(err)
		}
		out = w.EncodeAll(p, out)
	}
	return out
}

// skippable is a zstd frame without content (RFC 8878, section 3.1.2).
func skippable(r *rand.Rand) []byte {
	frame := binary.LittleEndian.AppendUint32(nil, 0x184D2A50+r.Uint32N(16))
	frame = binary.LittleEndian.AppendUint32(frame, 5)
	return append(frame, "hello"...)
}

// repack has the layer's tar written again by another program, if the style
// wants it and the program is there, and says who wrote it. A program that
// loses something is not used: the tar stays as it was.
func (l *layer) repack(r *rand.Rand, s style) string {
	var out []byte
	var err error
	how := "go"
	switch s.writer {
	case "gnutar":
		options := []string{"--format=posix", "--xattrs", "--xattrs-include=*"}
		if chance(r, 2) {
			options = append(options, "--sparse")
		}
		how = "GNU tar " + strings.Join(options, " ")
		out, err = l.gnutar(options)
	case "bsdtar":
		format := "--format=pax"
		how = "bsdtar " + format
		out, err = filter(l.tar, "bsdtar", "-cf", "-", format, "--options", "hdrcharset=BINARY", "@-")
	default:
		return how
	}
	if err != nil || !sameTar(l.tar, out) {
		return "go"
	}
	l.tar = out
	return how
}

// gnutar unpacks the tar, markers and all, and packs the same names again.
func (l *layer) gnutar(options []string) ([]byte, error) {
	stage, err := os.MkdirTemp(l.dir+".work", "")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(stage)
	_, err = filter(l.tar, "tar", "-x", "-p", "-C", stage, "--numeric-owner", "--same-owner", "--delay-directory-restore",
		"--xattrs", "--xattrs-include=*")
	if err != nil {
		return nil, err
	}
	var list bytes.Buffer
	for i := range l.entries {
		list.WriteString(strings.TrimLeft(l.entries[i].Name, "/") + "\x00")
	}
	args := append([]string{"-c", "-C", stage, "--numeric-owner", "--no-recursion", "--null", "--verbatim-files-from", "-T", "-"}, options...)
	return filter(list.Bytes(), "tar", args...)
}

// filter runs a program on some input.
func filter(in []byte, name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdin = bytes.NewReader(in)
	return cmd.Output()
}

// sameTar tells whether two tars hold the same, entry by entry: GNU tar leaves the
// extended attributes out of the headers of hard links, of which an engine would
// lose a capability; bsdtar makes attributes of records of another meaning.
func sameTar(a, b []byte) bool {
	ta, errA := readEntries(a)
	tb, errB := readEntries(b)
	return errA == nil && errB == nil && slices.EqualFunc(ta, tb, func(x, y *Node) bool { return len(diffNode(x, y)) == 0 })
}

// readEntries reads the entries of a tar one by one. A hard link is like a symbolic
// link here, and a name is in the place of a group.
func readEntries(b []byte) ([]*Node, error) {
	var nodes []*Node
	tr := tar.NewReader(bytes.NewReader(b))
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return nodes, nil
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag == tar.TypeLink {
			h.Typeflag = typeSymlink
		}
		one := Tree{}
		if err := addEntry(one, nil, h, "entry", tr); err != nil {
			return nil, err
		}
		n := one["entry"]
		n.Group = strings.Trim(path.Clean("/"+h.Name), "/")
		n.Link = strings.TrimPrefix(n.Link, "/")
		nodes = append(nodes, n)
	}
}
