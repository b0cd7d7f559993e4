// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc_test

import (
	"bytes"
	"errors"
	"testing"

	. "github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// FuzzScan checks any stream against archive/tar, in one piece and in chunks:
// see checkStream. Checksums are made right first, or nothing but them would be
// tried.
func FuzzScan(f *testing.F) {
	for _, v := range vectors {
		if len(v.stream) < 1<<13 {
			f.Add(v.stream)
		}
	}
	for _, stream := range goArchives() {
		if len(stream) < 1<<13 {
			f.Add(stream)
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		chunk := 1 + len(stream)%1031
		checkStream(t, stream, chunk)
		checkStream(t, summed(stream), chunk)
	})
}

// summed is the stream with the checksum of each block made right that is not
// zero and has a type that a header may have.
func summed(stream []byte) []byte {
	stream = bytes.Clone(stream)
	for i := 0; i+512 <= len(stream); i += 512 {
		h := stream[i:][:512]
		if bytes.IndexByte([]byte("\x0001234567SxgLK"), h[156]) >= 0 && bytes.Count(h, []byte{0}) < 512 {
			sum(h)
		}
	}
	return stream
}

// FuzzBlob checks that any blob is refused, or has digests that are right, and
// that ranges of it read as they were scanned.
func FuzzBlob(f *testing.F) {
	layer := Layer(File("f", "hello"), Dir("d"))
	for _, b := range []Blob{
		layer, layer.Gzip(), layer.Zstd(), layer.GzipMembers(0, 512, 512), layer.ZstdFrames(100, 1024),
		layer.As(Skippable(3, "skipped"), ZstdBytes(layer.Tar), Skippable(0, "")),
		layer.As(GzipBytes(layer.Tar), []byte("garbage")), layer.As(GzipBytes(GzipBytes(layer.Tar))),
		layer.As(ZstdWindow(27, layer.Tar)), layer.As(ZstdWindow(28, layer.Tar)),
		layer.As([]byte("BZh91AY&SY")), layer.As([]byte("\xfd7zXZ\x00")), Plain(nil),
	} {
		f.Add(b.Stored)
	}
	f.Fuzz(func(t *testing.T, stored []byte) {
		got, err := scanBlob(stored, toc.Options{Budget: toc.NewBudget(image.Limits{Size: 64 << 20})})
		if err != nil {
			if !errors.Is(err, image.ErrCorrupt) {
				t.Fatalf("%v is not corrupt", err)
			}
			return
		}
		stream := readAll(t, got, stored)
		checkLayer(t, got, stored, stream)
		if d := scan(stream, 0, image.Limits{}); d.err != nil || len(d.entries) != len(got.Entries) {
			t.Fatalf("%d entries, error %v in the stream; %d in the layer", len(d.entries), d.err, len(got.Entries))
		}
	})
}
