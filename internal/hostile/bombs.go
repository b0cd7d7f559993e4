// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"github.com/seed-81b0d42e/flatten/internal/tartest"
)

// layer1 begins what is said of the lowest layer.
const layer1 = `layer 1 sha256:[0-9a-f]{12}: `

// ratio is what is said of what decompresses to too much.
const ratio = `more than 200 times as large as it is compressed`

// zeros are 64 MiB of them in one gzip member, and in one zstd frame.
var zeros = sync.OnceValues(func() (gz, zst []byte) {
	b := make([]byte, 64<<20)
	return squeeze(b), tartest.ZstdBytes(b)
})

// squeeze is a gzip member as small as can be.
func squeeze(b []byte) []byte {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	must(err)
	_, err = w.Write(b)
	must(err)
	must(w.Close())
	return out.Bytes()
}

// gzipZeros and zstdZeros are n times 64 MiB of zeros.
func gzipZeros(n int) []byte { gz, _ := zeros(); return bytes.Repeat(gz, n) }
func zstdZeros(n int) []byte { _, zst := zeros(); return bytes.Repeat(zst, n) }

// stored is a layer of which only the blob is what it is; its diffID is another's.
func stored(parts ...[]byte) tartest.Blob { return tartest.Layer().Gzip().As(parts...) }

// later is an input of layers that are made only when they are written.
func later(in Input, layers func() []tartest.Blob) Input {
	in.write = func(dir string) { writeAll(dir, layers()) }
	return in
}

// bombs are small and decompress to much.
func bombs() []Input {
	big := tartest.Stream(tartest.File("zeros", "").Size(16 << 30))
	end := tartest.Stream(tartest.File("a", "1"), tartest.Zeros(2))
	entry := layer1 + `entry "zeros" at byte 0 of the tar: `
	bomb := func(name, err string, layer func() []byte) Input {
		return later(refused(name, err), func() []tartest.Blob { return []tartest.Blob{stored(layer())} })
	}
	return group("bombs",
		bomb("gzip-bomb", entry+ratio, func() []byte { return append(squeeze(big), gzipZeros(256)...) }),
		bomb("zstd-bomb", entry+ratio, func() []byte { return append(tartest.ZstdBytes(big), zstdZeros(256)...) }),
		bomb("gzip-bomb-behind-the-end", layer1+`byte \d+ of the tar: `+ratio,
			func() []byte { return append(squeeze(end), gzipZeros(64)...) }),
		bomb("zstd-bomb-behind-the-end", layer1+`byte \d+ of the tar: `+ratio,
			func() []byte { return append(tartest.ZstdBytes(end), zstdZeros(64)...) }).slow(),
		bomb("gzip-bomb-of-padding", layer1+`byte \d+ of the tar: `+ratio, func() []byte { return gzipZeros(64) }).slow(),
		bomb("gzip-over-the-size", layer1+`byte \d+ of the tar: more than 104857600 uncompressed bytes`,
			func() []byte { return gzipZeros(2) }).with("--max-size", "100M"),
		bomb("gzip-over-another-ratio", entry+`more than 2 times as large as it is compressed`,
			func() []byte { return append(squeeze(big), gzipZeros(1)...) }).with("--max-ratio", "2"),
		bomb("gzip-of-gzip", layer1+`byte 0 of the tar: it is not a tar but gzip data: compressed twice`,
			func() []byte { return squeeze(squeeze(longNames(100, 4000))) }),
		bomb("gzip-of-zstd", layer1+`byte 0 of the tar: it is not a tar but zstd data: compressed twice`,
			func() []byte { return squeeze(zstdZeros(1)) }),
		later(refused("many-layers-that-are-bombs", `layer \d+ sha256:[0-9a-f]{12}: (entry "zeros" at )?byte \d+ of the tar: `+ratio),
			smallBombs).slow(),
		bomb("a-million-empty-gzip-members", manyBlocks,
			func() []byte { return bytes.Repeat(squeeze(nil), 1_000_000) }).slow(),
		bomb("a-million-empty-deflate-blocks", manyBlocks, emptyBlocks),
		bomb("a-million-skippable-frames", layer1+`diffID of the tar is .*, the configuration says .*`,
			func() []byte { return bytes.Repeat(tartest.Skippable(0, ""), 1_000_000) }),
		bomb("a-skippable-frame-without-end", layer1+`decompressing zstd near byte \d+ of the blob: .*`,
			func() []byte { return []byte("\x50\x2a\x4d\x18\xff\xff\xff\xff") }),
		bomb("zstd-window-of-2-GiB", layer1+`decompressing zstd near byte \d+ of the blob: .*`,
			func() []byte { return tartest.ZstdWindow(31, end) }),
		bomb("zstd-window-of-256-MiB", layer1+`decompressing zstd near byte \d+ of the blob: .*`,
			func() []byte { return tartest.ZstdWindow(28, end) }),
		bomb("zstd-size-of-exabytes", layer1+`decompressing zstd near byte \d+ of the blob: .*`, hugeFrame),
		windows(),
		outer("archive-gzip-bomb", OCIArchive, func() []byte { return append(squeeze(big), gzipZeros(64)...) }),
		outer("archive-zstd-bomb", DockerArchive, func() []byte { return append(tartest.ZstdBytes(big), zstdZeros(64)...) }).slow(),
		outer("stdin-gzip-bomb", Stdin, func() []byte { return append(squeeze(big), gzipZeros(64)...) }).slow(),
		outer("stdin-zstd-bomb", Stdin, func() []byte { return append(tartest.ZstdBytes(big), zstdZeros(64)...) }),
	)
}

const manyBlocks = layer1 + `decompressing gzip near byte \d+ of the blob: inflate: too many blocks: more than 67108864 bytes of names and records`

// smallBombs are four layers each of which alone would be let through: blobs that
// differ, of one tar.
func smallBombs() []tartest.Blob {
	const n = 5
	head := tartest.Stream(tartest.File("zeros", "").Size(n * 64 << 20))
	tar := append(head, make([]byte, n*64<<20)...)
	var layers []tartest.Blob
	for i := range 4 {
		b := tartest.Plain(tar).As(squeeze(head), gzipZeros(n), bytes.Repeat(squeeze(nil), i))
		layers = append(layers, b)
	}
	return layers
}

// outer is an archive that is a bomb itself.
func outer(name string, form Form, data func() []byte) Input {
	return Input{Name: name, Form: form, Exit: 3, Err: `\S+: the archive decompressed: ` + ratio,
		write: func(dir string) { put(dir, tarFile, data()) }}
}

// emptyBlocks is a gzip member of a million stored blocks of no bytes.
func emptyBlocks() []byte {
	b := []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff")
	b = append(b, bytes.Repeat([]byte{0, 0, 0, 0xff, 0xff}, 1_000_000)...)
	return append(b, 1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0)
}

// hugeFrame is a zstd frame that claims 2^62 bytes in a single segment, which is
// then also its window.
func hugeFrame() []byte {
	b := []byte{0x28, 0xB5, 0x2F, 0xFD, 0xE0}
	b = binary.LittleEndian.AppendUint64(b, 1<<62)
	return append(b, 1, 0, 0)
}

// windows is an image of many layers that all ask for the largest window.
func windows() Input {
	in := accepted("many-zstd-windows-of-128-MiB", "a window of 128 MiB is what zstd itself takes (rule 145)", nil)
	return later(in, func() []tartest.Blob {
		var layers []tartest.Blob
		for i := range 16 {
			b := tartest.Layer(tartest.File(fmt.Sprint("f", i), strings.Repeat(fmt.Sprint(i), 1<<20)))
			b.Stored, b.MediaType = tartest.ZstdWindow(27, b.Tar), "application/vnd.oci.image.layer.v1.tar+zstd"
			layers = append(layers, b)
		}
		return layers
	})
}

// ten million entries and other crowds: much memory for few bytes.
func crowds() []Input {
	names := layer1 + `entry ".*" at byte \d+ of the tar: more than 67108864 bytes of names and records`
	crowd := func(name, err string, layers func() []tartest.Blob) Input {
		return later(refused(name, err), layers).slow()
	}
	one := func(b []byte) []tartest.Blob { return []tartest.Blob{stored(b)} }
	return group("crowds",
		crowd("10-million-empty-files", layer1+`entry ".*" at byte \d+ of the tar: `+ratio,
			func() []tartest.Blob { return one(bytes.Repeat(squeeze(emptyFiles(100_000, "f%08d")), 100)) }),
		crowd("10-million-times-one-name", layer1+`entry ".*" at byte \d+ of the tar: `+ratio,
			func() []tartest.Blob {
				return one(bytes.Repeat(squeeze(bytes.Repeat(tartest.Stream(tartest.File("f", "")), 100_000)), 100))
			}),
		crowd("10-million-empty-files-in-zstd", layer1+`entry ".*" at byte \d+ of the tar: `+ratio,
			func() []tartest.Blob { return one(bytes.Repeat(tartest.ZstdBytes(emptyFiles(100_000, "f%08d")), 100)) }),
		crowd("10-million-whiteouts", layer1+`entry ".*" at byte \d+ of the tar: `+ratio,
			func() []tartest.Blob { return one(bytes.Repeat(squeeze(emptyFiles(100_000, ".wh.%08d")), 100)) }),
		crowd("one-layer-5000-times", `layer \d+ sha256:[0-9a-f]{12}: `+ratio,
			func() []tartest.Blob {
				b := tartest.Plain(append(emptyFiles(50, "f%08d"), make([]byte, 1024)...)).Gzip()
				layers := make([]tartest.Blob, 5000)
				for i := range layers {
					layers[i] = b
				}
				return layers
			}).as(DockerArchive),
		crowd("names-of-64-KiB", names, func() []tartest.Blob { return one(squeeze(longNames(1200, 64<<10))) }),
		crowd("records-of-1-MiB", names, func() []tartest.Blob { return one(squeeze(longRecords(80, 1<<20-20, 1))) }),
		crowd("records-of-few-bytes", names, func() []tartest.Blob { return one(squeeze(longRecords(80, 1, 80_000))) }),
		crowd("paths-of-2000-folders", `merging: layer 1: entry ".*"… at offset \d+: \d+ directories that the layers have no entry for: `+
			`more than 67108864 bytes of names and records`,
			func() []tartest.Blob { return []tartest.Blob{tartest.Plain(deepPaths(200, 2000)).Gzip()} }),
		crowd("the-longest-ways-through-links", `merging: layer 1: entry ".*" at offset \d+: the symbolic links in all paths lead through more than \d+ components \(rule 51\)`,
			func() []tartest.Blob { return []tartest.Blob{tartest.Plain(longWays(20000)).Gzip()} }),
		later(accepted("paths-of-2000-folders-in-both-layers", "as many as a runtime makes, too", nil), func() []tartest.Blob {
			b := tartest.Plain(deepPaths(60, 2000)).Gzip()
			return []tartest.Blob{b, tartest.Plain(append(deepPaths(60, 2000), tartest.Stream(tartest.File("x", ""))...)).Gzip()}
		}).slow(),
		later(accepted("names-in-the-worst-order", "any order is one; --canonical needs another", nil), backwards).with("--canonical").slow(),
		refused("more-entries-than-asked-for", layer1+`entry "b" at byte 512 of the tar: more than 1 entries`,
			tartest.Layer(tartest.File("a", ""), tartest.File("b", ""))).with("--max-entries", "1"),
		refused("more-headers-than-asked-for", layer1+`entry "n+" at byte 0 of the tar: more than 1 bytes of names and records`,
			tartest.Layer(tartest.File(strings.Repeat("n", 200), ""))).with("--max-headers", "1"),
		refused("a-longer-path-than-asked-for", `merging: layer 1: entry "abcd" at offset 0: the path is 4 bytes long, more than the 3 bytes that a path may have \(rule 94\)`,
			tartest.Layer(tartest.File("abcd", ""))).with("--max-path", "3"),
	)
}

func emptyFiles(n int, format string) []byte {
	var entries []tartest.Entry
	for i := range n {
		entries = append(entries, tartest.File(fmt.Sprintf(format, i), ""))
	}
	return tartest.Stream(entries...)
}

func longNames(n, size int) []byte {
	var entries []tartest.Entry
	for i := range n {
		entries = append(entries, tartest.File(fmt.Sprintf("%08d", i)+strings.Repeat("x", size-8), ""))
	}
	return tartest.Stream(entries...)
}

// longRecords are n files, each with a header of so many records of a length.
func longRecords(n, size, records int) []byte {
	var all []tartest.Record
	for i := range records {
		all = append(all, tartest.Record{Key: fmt.Sprintf("k%d", i), Value: strings.Repeat("v", size)})
	}
	for len(tartest.Stream(tartest.ExtensionHeader(all...))) > 1<<20 {
		all = all[:len(all)*9/10]
		if len(all) < 2 {
			all = []tartest.Record{{Key: "k", Value: strings.Repeat("v", size-1024)}}
		}
	}
	return bytes.Repeat(tartest.Stream(tartest.ExtensionHeader(all...), tartest.File("f", "")), n)
}

// deepPaths are n files, each below so many folders of its own.
func deepPaths(n, depth int) []byte {
	var entries []tartest.Entry
	for i := range n {
		entries = append(entries, tartest.File(fmt.Sprintf("%04d", i)+strings.Repeat("/a", depth), ""))
	}
	return tartest.Stream(append(entries, tartest.Zeros(2))...)
}

// backwards are files whose names go down, in a compression that cannot be entered.
func backwards() []tartest.Blob {
	var entries []tartest.Entry
	body := string(make([]byte, 256<<10))
	for i := 600; i > 0; i-- {
		entries = append(entries, tartest.File(fmt.Sprintf("f%06d", i), body))
	}
	return []tartest.Blob{tartest.Layer(entries...).Zstd()}
}

// longWays are n files in different folders, each reached through 200 links.
func longWays(n int) []byte {
	entries := []tartest.Entry{tartest.Dir("d")}
	const links, parts = 200, 15
	way := strings.Repeat("d/../", parts)
	for i := range links {
		target := way + fmt.Sprintf("l%d", i+1)
		if i == links-1 {
			target = "d"
		}
		entries = append(entries, tartest.Symlink(fmt.Sprintf("l%d", i), target))
	}
	for i := range n {
		entries = append(entries, tartest.File(fmt.Sprintf("l0/%d/f", i), ""))
	}
	return tartest.Stream(append(entries, tartest.Zeros(2))...)
}

// outside is a file that no input may lead to.
var outside = filepath.FromSlash("/etc/passwd")
