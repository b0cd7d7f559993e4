// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/reference"
)

// form is what a file is by its first bytes.
type form uint8

const (
	formUnknown form = iota
	formTar
	formGzip
	formZstd
)

func (f form) String() string { return [...]string{"unknown", "tar", "gzip", "zstd"}[f] }

// headSize is how many bytes [sniff] wants: a tar header.
const headSize = 512

// sniff says what begins with these bytes, or what is wrong with it.
func sniff(head []byte) (form, error) {
	has := func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }
	switch {
	case len(head) == 0:
		return formUnknown, image.Corruptf("empty")
	case has("\x1f\x8b"):
		return formGzip, nil
	case has("\x28\xb5\x2f\xfd"), len(head) >= 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:4], []byte("\x2a\x4d\x18")):
		return formZstd, nil
	case isTarHeader(head):
		return formTar, nil
	case has("BZh"):
		return formUnknown, unsupported("bzip2", "bzip2 -dc FILE | flatten -")
	case has("\xfd7zXZ\x00"):
		return formUnknown, unsupported("xz", "xz -dc FILE | flatten -")
	case has("PK\x03\x04"):
		return formUnknown, image.Corruptf("a zip file, not an image archive")
	case bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("{")):
		return formUnknown, image.Corruptf("JSON, not an image archive")
	}
	return formUnknown, image.Corruptf("neither a tar file nor one compressed with gzip or zstd")
}

func unsupported(what, command string) error {
	err := image.Corruptf("compressed with %s, which is not supported", what)
	return image.WithHint(err, "decompress it: %s", command)
}

// checkInner checks that what was compressed is a tar file.
func checkInner(outer form, head []byte) error {
	if isTarHeader(head) {
		return nil
	}
	if len(head) == 0 {
		return image.Corruptf("an empty file, compressed with %s", outer)
	}
	return image.Corruptf("compressed with %s, but no tar file", outer)
}

// isTarHeader checks the sum of a tar header, which every variety of tar has.
func isTarHeader(b []byte) bool {
	if len(b) < headSize {
		return false
	}
	field := bytes.Trim(b[148:156], " \x00")
	want, err := strconv.ParseInt(string(field), 8, 64)
	if err != nil {
		return false
	}
	var unsigned, signed int64
	for i, c := range b[:headSize] {
		if 148 <= i && i < 156 {
			c = ' '
		}
		unsigned += int64(c)
		signed += int64(int8(c))
	}
	return want == unsigned || want == signed
}

// Detect says what is at a path: reference.OCI, reference.OCIArchive or
// reference.DockerArchive. Otherwise its error says what was found there. It
// reads as much of a compressed archive as it takes, and stores nothing.
func Detect(path string) (reference.Kind, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, image.NotFoundf("%s: no such file or directory", path)
	case err != nil:
		return 0, err
	case info.IsDir():
		return reference.OCI, checkDir(path)
	case !info.Mode().IsRegular():
		return 0, image.Corruptf("%s is not a file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	k, err := detectFile(f)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

func detectFile(f *os.File) (reference.Kind, error) {
	magic, err := readMagic(f)
	if err != nil {
		return 0, err
	}
	var r io.Reader = f // which is sought in when it is not compressed
	if magic != formTar {
		plain, err := decompress(f)
		if err != nil {
			return 0, asCorrupt("decompressing the archive", err)
		}
		defer plain.Close()
		r = plain
	}
	seen := &tarFS{members: map[string]member{}}
	done := errors.New("done")
	err = scan(r, func(h *tar.Header, name string) error {
		seen.members[name] = member{}
		if seen.has(v1.ImageLayoutFile) && seen.has("index.json") {
			return done
		}
		return nil
	})
	if err != nil && err != done {
		return 0, err
	}
	return seen.form()
}

// checkDir fails with what a directory is if it is no layout.
func checkDir(dir string) error {
	has := func(name string) bool {
		_, err := os.Lstat(filepath.Join(dir, name))
		return err == nil
	}
	switch {
	case has(v1.ImageLayoutFile):
		return nil
	case has("manifest.json") && has("version"):
		err := image.Corruptf("%s is a directory of skopeo's dir: form, not an OCI image layout", dir)
		return image.WithHint(err, "convert it: skopeo copy dir:%s oci:DIR:TAG", dir)
	case has(dockerManifest):
		err := image.Corruptf("%s is an unpacked docker-archive, not an OCI image layout", dir)
		return image.WithHint(err, "pack it again: tar -C %s -c . | flatten -", dir)
	}
	return image.Corruptf("%s is a directory but not an OCI image layout: it has no %s file", dir, v1.ImageLayoutFile)
}

// form says which archive this is, an error which other tar file.
func (t *tarFS) form() (reference.Kind, error) {
	switch {
	case t.has(v1.ImageLayoutFile) && t.has("index.json"):
		return reference.OCIArchive, nil
	case t.has(dockerManifest):
		return reference.DockerArchive, nil
	case t.has("repositories"):
		err := image.Corruptf("an archive of Docker before 1.10, which is not supported: it has no %s", dockerManifest)
		return 0, image.WithHint(err, "load it into Docker and save it again")
	}
	inside := ""
	for name := range t.members {
		if strings.HasSuffix(name, "/"+v1.ImageLayoutFile) && (inside == "" || name < inside) {
			inside = name
		}
	}
	if inside != "" {
		err := image.Corruptf("a tar file with a layout in a directory of its own: %s", image.Quote(inside))
		return 0, image.WithHint(err, "unpack it, or pack it again from within that directory")
	}
	return 0, image.Corruptf("a tar file, but not of an image: it has neither %s and index.json nor %s", v1.ImageLayoutFile, dockerManifest)
}
