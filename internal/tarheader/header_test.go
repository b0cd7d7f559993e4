// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package tarheader_test

import (
	"archive/tar"
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-81b0d42e/flatten/internal/tarheader"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// Each header is read back with the standard library's reader.
func TestHeader(t *testing.T) {
	base := tarheader.Header{Name: "f", Type: '0', Mode: 0o644, Sec: 1}
	with := func(change func(*tarheader.Header)) tarheader.Header {
		h := base
		change(&h)
		return h
	}
	for _, tt := range []struct {
		name   string
		header tarheader.Header
		blocks int      // 1: plain ustar
		pax    []string // the records that are there
	}{
		{name: "plain", header: base, blocks: 1},
		{name: "directory", header: with(func(h *tarheader.Header) { h.Name, h.Type = "d/", '5' }), blocks: 1},
		{name: "name-100", header: with(func(h *tarheader.Header) { h.Name = strings.Repeat("n", 100) }), blocks: 1},
		{name: "name-101", header: with(func(h *tarheader.Header) { h.Name = strings.Repeat("n", 101) }), blocks: 3, pax: []string{"path"}},
		{name: "name-split", header: with(func(h *tarheader.Header) { h.Name = strings.Repeat("p", 155) + "/" + strings.Repeat("n", 100) }), blocks: 1},
		{name: "name-split-too-long", header: with(func(h *tarheader.Header) { h.Name = strings.Repeat("p", 156) + "/n" }), blocks: 3, pax: []string{"path"}},
		{name: "directory-split", header: with(func(h *tarheader.Header) {
			h.Name, h.Type = strings.Repeat("p", 90)+"/"+strings.Repeat("d", 20)+"/", '5'
		}), blocks: 1},
		{name: "directory-101", header: with(func(h *tarheader.Header) { h.Name, h.Type = strings.Repeat("d", 100)+"/", '5' }), blocks: 3, pax: []string{"path"}},
		{name: "name-utf8", header: with(func(h *tarheader.Header) { h.Name = "größe" }), blocks: 3, pax: []string{"path"}},
		{name: "name-not-utf8", header: with(func(h *tarheader.Header) { h.Name = "a\xff" }), blocks: 3, pax: []string{"path"}},
		{name: "symlink", header: with(func(h *tarheader.Header) { h.Type, h.Link = '2', "../x" }), blocks: 1},
		{name: "symlink-long", header: with(func(h *tarheader.Header) { h.Type, h.Link = '2', strings.Repeat("l", 101) }), blocks: 3, pax: []string{"linkpath"}},
		{name: "setuid", header: with(func(h *tarheader.Header) { h.Mode = 0o4755 }), blocks: 1},
		{name: "id-octal", header: with(func(h *tarheader.Header) { h.UID, h.GID = 1<<21-1, 7 }), blocks: 1},
		{name: "id-large", header: with(func(h *tarheader.Header) { h.UID, h.GID = 1<<21, 1<<32-2 }), blocks: 3, pax: []string{"gid", "uid"}},
		{name: "size-octal", header: with(func(h *tarheader.Header) { h.Size = 1<<33 - 1 }), blocks: 1},
		{name: "size-large", header: with(func(h *tarheader.Header) { h.Size = 1 << 33 }), blocks: 3, pax: []string{"size"}},
		{name: "time-fraction", header: with(func(h *tarheader.Header) { h.Nsec = 120_000_000 }), blocks: 3, pax: []string{"mtime"}},
		{name: "time-late", header: with(func(h *tarheader.Header) { h.Sec = 1 << 33 }), blocks: 3, pax: []string{"mtime"}},
		{name: "device", header: with(func(h *tarheader.Header) { h.Type, h.Devmajor, h.Devminor = '3', 1, 3 }), blocks: 1},
		{name: "device-large", header: with(func(h *tarheader.Header) { h.Type, h.Devmajor, h.Devminor = '4', 1<<21, 1<<32-1 }), blocks: 1},
		{name: "xattr", header: with(func(h *tarheader.Header) {
			h.Records = []toc.Record{{Key: "SCHILY.xattr.user.z", Value: "a\x00\n="}, {Key: "SCHILY.xattr.user.a"}}
		}), blocks: 3, pax: []string{"SCHILY.xattr.user.a", "SCHILY.xattr.user.z"}},
		{name: "owner", header: with(func(h *tarheader.Header) { h.Uname, h.Gname = "root", strings.Repeat("g", 33) }), blocks: 3, pax: []string{"gname"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raw := tt.header.Append(nil)
			if len(raw) != tt.blocks*512 {
				t.Errorf("%d bytes, want %d blocks", len(raw), tt.blocks)
			}
			got, err := tar.NewReader(bytes.NewReader(raw)).Next()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want(tt.header), fields(got)); diff != "" {
				t.Errorf("read back (-want +got):\n%s", diff)
			}
			if keys := slices.Sorted(maps.Keys(got.PAXRecords)); !slices.Equal(keys, tt.pax) {
				t.Errorf("PAX records %q, want %q", keys, tt.pax)
			}
		})
	}
}

// want is what a header is to read back as.
func want(h tarheader.Header) tarheader.Header {
	h.Records = slices.Clone(h.Records)
	slices.SortFunc(h.Records, func(a, b toc.Record) int { return strings.Compare(a.Key, b.Key) })
	return h
}

func fields(h *tar.Header) tarheader.Header {
	out := tarheader.Header{
		Name: h.Name, Link: h.Linkname, Uname: h.Uname, Gname: h.Gname,
		Size: h.Size, Sec: h.ModTime.Unix(), Nsec: int32(h.ModTime.Nanosecond()),
		UID: uint32(h.Uid), GID: uint32(h.Gid), Mode: uint16(h.Mode), Type: h.Typeflag,
		Devmajor: uint32(h.Devmajor), Devminor: uint32(h.Devminor),
	}
	for _, key := range slices.Sorted(maps.Keys(h.PAXRecords)) {
		if strings.HasPrefix(key, toc.XattrPrefix) {
			out.Records = append(out.Records, toc.Record{Key: key, Value: h.PAXRecords[key]})
		}
	}
	return out
}

// Times are written as the standard library reads them, to the nanosecond and
// on both sides of the epoch.
func TestFormatTime(t *testing.T) {
	for want, at := range map[string]time.Time{
		"0":             time.Unix(0, 0),
		"1.5":           time.Unix(1, 500_000_000),
		"1.000000001":   time.Unix(1, 1),
		"-1":            time.Unix(-1, 0),
		"-0.5":          time.Unix(-1, 500_000_000),
		"-1.999999999":  time.Unix(-2, 1),
		"9223372035.25": time.Unix(9223372035, 250_000_000),
	} {
		if got := tarheader.FormatTime(at.Unix(), int32(at.Nanosecond())); got != want {
			t.Errorf("%v: got %q, want %q", at, got, want)
		}
	}
}
