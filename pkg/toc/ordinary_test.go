// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc_test

import (
	gotar "archive/tar"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// long is a name that no header block holds.
var long = strings.Repeat("directory/", 30) + "file"

// checkOrdinary checks that an archive as tools write it is taken without a
// warning, and that its headers may be carried over as they are.
func checkOrdinary(t *testing.T, stream []byte, entries int) {
	t.Helper()
	got := scan(stream, 0, image.Limits{})
	if got.err != nil || len(got.warnings) > 0 {
		t.Fatalf("error %v, warnings %v", got.err, got.warnings)
	}
	if len(got.entries) < entries {
		t.Fatalf("%d entries, want %d or more", len(got.entries), entries)
	}
	for _, e := range got.entries {
		if e.Flags != 0 {
			t.Errorf("not clean: %s", line(&e))
		}
	}
	checkStream(t, stream, 1000)
}

// Headers as Go's writer makes them, and with it Docker, BuildKit and buildah.
func TestOrdinaryGo(t *testing.T) {
	for name, format := range map[string]gotar.Format{"ustar": gotar.FormatUSTAR, "pax": gotar.FormatPAX, "gnu": gotar.FormatGNU} {
		t.Run(name, func(t *testing.T) {
			headers := []gotar.Header{
				{Typeflag: '5', Name: "d/", Mode: 0o1777},
				{Typeflag: '0', Name: "d/f", Size: 5, Mode: 0o4755, Uname: "root", Gname: "root"},
				{Typeflag: '1', Name: "l", Linkname: "d/f"},
				{Typeflag: '2', Name: "s", Linkname: "../d"},
				{Typeflag: '3', Name: "c", Devmajor: 1, Devminor: 3},
				{Typeflag: '6', Name: "p"},
			}
			if format != gotar.FormatUSTAR {
				headers = append(headers,
					gotar.Header{Typeflag: '2', Name: long, Linkname: long},
					gotar.Header{Typeflag: '0', Name: "ümläut", Uid: 1 << 30, Gid: 1<<31 - 1})
			}
			if format == gotar.FormatPAX {
				headers = append(headers, gotar.Header{
					Typeflag: '0', Name: "x", AccessTime: time.Unix(1, 5), ChangeTime: time.Unix(2, 0),
					PAXRecords: map[string]string{"SCHILY.xattr.user.k": "v"},
				})
			}
			var b bytes.Buffer
			w := gotar.NewWriter(&b)
			for _, h := range headers {
				h.Format, h.ModTime = format, time.Unix(1e9, 0)
				if err := w.WriteHeader(&h); err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write(make([]byte, h.Size)); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			checkOrdinary(t, b.Bytes(), len(headers))
		})
	}
}

// Headers as the tar commands at hand make them.
func TestOrdinaryTools(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, filepath.Dir(long))
	for _, err := range []error{
		os.MkdirAll(deep, 0o755),
		os.WriteFile(filepath.Join(dir, long), []byte("hello"), 0o600),
		os.Symlink(long, filepath.Join(dir, "symlink")),
		os.Link(filepath.Join(dir, long), filepath.Join(dir, "hard link")),
		os.WriteFile(filepath.Join(dir, "\xff\n"), nil, 0o4711),
	} {
		if err != nil {
			t.Skip(err)
		}
	}
	const python = "import tarfile, sys\nwith tarfile.open(mode='w|', fileobj=sys.stdout.buffer) as t: t.add('.')"
	for name, command := range map[string][]string{
		"gnu":             {"tar", "-c", "--format=gnu", "."},
		"gnu-oldgnu":      {"tar", "-c", "--format=oldgnu", "."},
		"gnu-posix":       {"tar", "-c", "--format=posix", "."},
		"gnu-posix-xattr": {"tar", "-c", "--format=posix", "--xattrs", "."},
		"gnu-ustar":       {"tar", "-c", "--format=ustar", "hard link"},
		"bsd":             {"bsdtar", "-c", "-f", "-", "."},
		"bsd-pax":         {"bsdtar", "-c", "-f", "-", "--format=pax", "."},
		"bsd-gnu":         {"bsdtar", "-c", "-f", "-", "--format=gnutar", "."},
		"busybox":         {"busybox", "tar", "-c", "-f", "-", "."},
		"python":          {"python3", "-c", python},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(command[0], command[1:]...)
			cmd.Dir = dir
			stream, err := cmd.Output()
			if err != nil {
				t.Skip(err)
			}
			checkOrdinary(t, stream, 1)
		})
	}
}
