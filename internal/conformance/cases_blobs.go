// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

var (
	stream    = tartest.Stream
	plain     = tartest.Plain
	zeros     = tartest.Zeros
	gzipBytes = tartest.GzipBytes
	zstdBytes = tartest.ZstdBytes
)

// framingCases are rules 130 to 135: where a tar stream ends.
var framingCases = []Case{
	warns(130, "eoa-none", tree(`a "1"`), plain(stream(file("a", "1")))),
	warns(130, "eoa-one-block", tree(`a "1"`), plain(stream(file("a", "1"), zeros(1)))),
	warns(130, "rule-130-no-padding", tree(`a "12345"`), plain(stream(file("a", "12345"))[:512+5])),
	accepts(131, "eoa-garbage", tree(`a "1"`),
		plain(stream(file("a", "1"), zeros(2), tartest.Raw("not a header")))),
	accepts(131, "rule-131-more-zeros", tree(`a "1"`),
		plain(stream(file("a", "1"), zeros(18)))),
	warns(132, "eoa-concat", tree(`a "1"`),
		plain(stream(file("a", "1"), zeros(2), file("b", "2"), zeros(2)))),
	rejects(133, "eoa-single-zero-mid", "zero block",
		plain(stream(file("a", "1"), zeros(1), file("b", "2"), zeros(2)))),
	rejects(134, "trunc-mid-file", `"b"`,
		plain(stream(file("a", "1"), file("b", strings.Repeat("b", 2000)))[:2000])),
	rejects(134, "rule-134-trunc-mid-header", "",
		plain(stream(file("a", "1"), file("b", "2"))[:1300])),
	accepts(135, "empty-tar", tree(), layer()),
	accepts(135, "zero-bytes", tree(), plain(nil)),
	accepts(135, "empty-then-all-empty", tree(), layer(), plain(nil), layer().Gzip()),
}

// one is a layer of one file, and its tree.
var (
	one     = layer(file("a", "1"))
	oneTree = tree(`a "1"`)
)

// noise is bytes that do not compress, so that a blob of them can be cut.
var noise = func() string {
	b, x := make([]byte, 4096), uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return string(b)
}()

// big is a layer of a file that takes some bytes when compressed.
var big = layer(file("a", noise))

var bigTree = tree("a " + tartest.Content(noise))

// flip is b with one bit of the byte at i changed; i counts from the end when
// it is negative.
func flip(b []byte, i int) []byte {
	b = slices.Clone(b)
	if i < 0 {
		i += len(b)
	}
	b[i] ^= 1
	return b
}

// cutTail is b without its last n bytes.
func cutTail(b []byte, n int) []byte { return b[:len(b)-n] }

// emptyLayer is the blob that Docker writes for a layer of nothing.
const emptyLayer = "\x1f\x8b\x08\x00\x00\x09\x6e\x88\x00\xff\x62\x18\x05\xa3\x60\x14" +
	"\x8c\x58\x00\x08\x00\x00\xff\xff\x2e\xaf\xb5\xef\x00\x04\x00\x00"

// blobCases are rules 136 to 166 where they are about layers: compression,
// digests, how many.
var blobCases = []Case{
	warns(136, "rule-136-gzip-called-plain", oneTree, one.Gzip().Typed(v1.MediaTypeImageLayer)),
	warns(136, "rule-136-gzip-called-zstd", oneTree, one.Gzip().Typed(v1.MediaTypeImageLayerZstd)),
	warns(136, "rule-136-plain-called-gzip", oneTree, one.Typed(v1.MediaTypeImageLayerGzip)),
	warns(136, "rule-136-plain-called-docker-gzip", oneTree,
		one.Typed("application/vnd.docker.image.rootfs.diff.tar.gzip")),
	warns(136, "rule-136-zstd-called-gzip", oneTree, one.Zstd().Typed(v1.MediaTypeImageLayerGzip)),
	accepts(136, "rule-136-docker-gzip", oneTree,
		one.Gzip().Typed("application/vnd.docker.image.rootfs.diff.tar.gzip")),
	accepts(136, "rule-136-no-media-type", oneTree, one.Gzip().Typed("")),
	accepts(137, "rule-137-multi-member", bigTree, big.GzipMembers(0, 100, 512, 512, 3000, len(big.Tar))),
	warns(138, "rule-138-gzip-trailing-zeros", oneTree, one.Gzip().As(one.Gzip().Stored, make([]byte, 512))),
	warns(138, "rule-138-gzip-trailing-garbage", oneTree, one.Gzip().As(one.Gzip().Stored, []byte("garbage"))),
	rejects(139, "rule-139-gzip-truncated", "gzip", big.Gzip().As(cutTail(big.Gzip().Stored, 1000))),
	rejects(139, "rule-139-gzip-bad-crc", "gzip", big.Gzip().As(flip(big.Gzip().Stored, -8))),
	rejects(139, "rule-139-gzip-bad-length", "gzip", big.Gzip().As(flip(big.Gzip().Stored, -4))),
	rejects(139, "rule-139-gzip-no-footer", "gzip", big.Gzip().As(cutTail(big.Gzip().Stored, 8))),
	rejects(139, "rule-139-gzip-half-header", "gzip", one.Gzip().As(one.Gzip().Stored[:5])),
	accepts(140, "rule-140-zstd-frames", bigTree, big.ZstdFrames(0, 100, 512, 512, 3000)),
	accepts(140, "rule-140-zstd-skippable", bigTree,
		big.Zstd().As(zstdBytes(big.Tar[:700]), tartest.Skippable(0, "toc"),
			zstdBytes(big.Tar[700:]), tartest.Skippable(15, strings.Repeat("x", 5000)))),
	accepts(141, "rule-141-zstd-leading-skippable", oneTree,
		one.Zstd().As(tartest.Skippable(7, "first"), tartest.Skippable(0, ""), one.Zstd().Stored)),
	rejects(142, "rule-142-zstd-trailing-zeros", "zstd", one.Zstd().As(one.Zstd().Stored, make([]byte, 512))),
	rejects(142, "rule-142-zstd-trailing-garbage", "zstd", one.Zstd().As(one.Zstd().Stored, []byte("garbage"))),
	rejects(142, "rule-142-zstd-truncated", "zstd", big.Zstd().As(cutTail(big.Zstd().Stored, 1000))),
	rejects(142, "rule-142-zstd-bad-checksum", "zstd", big.Zstd().As(flip(big.Zstd().Stored, -1))),
	rejects(143, "rule-143-gzip-of-gzip", "gzip", plain(gzipBytes(one.Tar)).Gzip()),
	rejects(144, "rule-144-bzip2", "bzip2", one.Gzip().As([]byte("BZh91AY&SY\x4c\x3e\x07\x2a\x00\x00"))),
	rejects(144, "rule-144-xz", "xz", one.Gzip().As([]byte("\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4\x46"))),
	warns(145, "rule-145-zstd-window-16m", oneTree, one.Zstd().As(tartest.ZstdWindow(24, one.Tar))),
	accepts(145, "rule-145-zstd-window-8m", oneTree, one.Zstd().As(tartest.ZstdWindow(23, one.Tar))),
	rejects(145, "rule-145-zstd-window-256m", "zstd", one.Zstd().As(tartest.ZstdWindow(28, one.Tar))),
	accepts(146, "x-estargz", tree(`.no.prefetch.landmark "\x0f"`, `a "1"`, `stargz.index.json "{}"`),
		layer(file("a", "1"), file(".no.prefetch.landmark", "\x0f"), file("stargz.index.json", "{}")).
			GzipMembers(512, 1024, 1536, 2048, 2560, 3072)),
	accepts(149, "rule-149-empty-layer", oneTree,
		one, plain(make([]byte, 1024)).Gzip().As([]byte(emptyLayer)), one.Gzip()),
	accepts(150, "x-dup-layers-add-rm-add", oneTree, one, layer(whiteout("a")), one),
	accepts(150, "x-same-layer-twice", oneTree, one.Gzip(), one.Gzip()),
	rejects(151, "rule-151-blob-digest", "digest", one.Gzip()).with(func(c *Case) {
		c.Spoil = func(img *image.Image) { img.Layers[0].Digest = digest.FromString("other") }
	}),
	rejects(151, "rule-151-diffid", "diffID", one.Gzip()).with(func(c *Case) {
		c.Spoil = func(img *image.Image) { img.Layers[0].DiffID = digest.FromString("other") }
	}),
	rejects(151, "rule-151-size-too-large", "the manifest says", one.Gzip()).with(func(c *Case) {
		c.Spoil = func(img *image.Image) { img.Layers[0].Size++ }
	}),
	rejects(151, "rule-151-size-too-small", "the manifest says", one.Gzip()).with(func(c *Case) {
		c.Spoil = func(img *image.Image) { img.Layers[0].Size-- }
	}),
	manyLayers(200),
}

// manyLayers is a stack that no single overlay mount takes: each layer adds a
// file and removes that of the layer below.
func manyLayers(n int) Case {
	var layers []tartest.Blob
	for i := range n {
		layers = append(layers, layer(file(fmt.Sprintf("f%d", i), "1"), whiteout(fmt.Sprintf("f%d", i-1))))
	}
	return accepts(166, "rule-166-200-layers", tree(fmt.Sprintf(`f%d "1"`, n-1)), layers...)
}
