// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/seed-81b0d42e/flatten/internal/tartest"
)

// streams are layers that are cut, or damaged behind the back of their digests,
// which are true of what is stored.
func streams() []Input {
	tar := tartest.Stream(tartest.File("f", "hello"), tartest.Zeros(2))
	gz, zst := tartest.GzipBytes(tar), tartest.ZstdBytes(tar)
	decoding := func(c string) string { return layer1 + "decompressing " + c + ` near byte \d+ of the blob: .*` }
	var all []Input
	add := func(name, err string, stored ...[]byte) {
		all = append(all, refused(name, err, tartest.Plain(tar).As(stored...)))
	}
	for _, n := range []int{1, 2, 3, 9, 10, 11, len(gz) / 2, len(gz) - 9, len(gz) - 8, len(gz) - 1} {
		add(fmt.Sprintf("gzip-cut-at-%d", n), layer1+".*", gz[:n])
	}
	for _, n := range []int{3, 4, 5, 6, len(zst) / 2, len(zst) - 4, len(zst) - 1} {
		add(fmt.Sprintf("zstd-cut-at-%d", n), layer1+".*", zst[:n])
	}
	for _, n := range []int{1, 511, 513, 516} {
		all = append(all, refused(fmt.Sprintf("tar-cut-at-%d", n), layer1+".*", tartest.Plain(tar[:n])))
	}
	flip := func(b []byte, at int) []byte {
		b = slices.Clone(b)
		b[at] ^= 0xff
		return b
	}
	add("gzip-wrong-checksum", decoding("gzip"), flip(gz, len(gz)-8))
	add("gzip-wrong-length", decoding("gzip"), flip(gz, len(gz)-1))
	add("gzip-unknown-flags", decoding("gzip"), flip(gz, 3))
	add("gzip-endless-name", decoding("gzip"), []byte("\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\xff"), bytes.Repeat([]byte("n"), 4<<20))
	add("gzip-reserved-block", decoding("gzip"), gz[:10], []byte{0x07}, gz[11:])
	add("gzip-reaches-before-its-start", decoding("gzip"), gz[:10], []byte("\x03\x02\x00\x00\x00\x00\x00\x00\x00\x00"))
	add("gzip-garbage-behind", layer1+"diffID .*", tartest.GzipBytes(tar[:512]), []byte("garbage"))
	add("zstd-wrong-checksum", decoding("zstd"), flip(zst, len(zst)-1))
	add("zstd-dictionary", decoding("zstd"), []byte("\x28\xb5\x2f\xfd\x01\x00\x01\x01\x00\x00"))
	add("zstd-reserved-block", decoding("zstd"), []byte("\x28\xb5\x2f\xfd\x00\x58\x07\x00\x00"))
	add("zstd-block-too-large", decoding("zstd"), []byte("\x28\xb5\x2f\xfd\x00\x58\xfd\xff\xff"))
	add("another-tar", layer1+`diffID of the tar is sha256:[0-9a-f]{64}, the configuration says sha256:[0-9a-f]{64}`, tartest.Stream(tartest.Zeros(2)))
	for _, c := range []struct{ name, magic string }{{"bzip2", "BZh9"}, {"xz", "\xfd7zXZ\x00"}, {"lz4", "\x04\x22\x4d\x18"}, {"zip", "PK\x03\x04"}, {"lzip", "LZIP"}} {
		add("layer-in-"+c.name, layer1+"layers in "+c.name+" format are not supported", []byte(c.magic), make([]byte, 1024))
	}
	add("layer-of-random-bytes", layer1+"byte 0 of the tar: no tar header: its checksum is wrong", bytes.Repeat([]byte("\xa5\x3c\x99"), 1000))
	add("layer-of-text", layer1+"byte 0 of the tar: no tar header: its checksum is wrong", bytes.Repeat([]byte("#!/bin/sh\n"), 100))
	return group("streams", all...)
}
