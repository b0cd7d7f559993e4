// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/seed-81b0d42e/flatten/internal/tartest"
)

// replaced is a layout one file of which is something else.
func replaced(name, err, file string, replace func(path string)) Input {
	return Input{Name: name, Exit: 3, Err: err, write: func(dir string) {
		writeImage(dir, []tartest.Blob{good})
		path := filepath.Join(dir, filepath.FromSlash(file))
		must(os.RemoveAll(path))
		replace(path)
	}}
}

// files are layouts that are not what they seem on disk.
func files() []Input {
	blob := blobName(goodID)
	link := func(target string) func(string) { return func(path string) { must(os.Symlink(target, path)) } }
	write := func(data string) func(string) {
		return func(path string) { must(os.WriteFile(path, []byte(data), 0o644)) }
	}
	folder := func(path string) { must(os.Mkdir(path, 0o755)) }
	atBlob := `oci:\S+: layer 1: blob sha256:[0-9a-f]{64}`
	all := []Input{
		replaced("blob-link-to-etc-passwd", atBlob+`: .*escapes.*`, blob, link(outside)),
		replaced("blob-link-climbing", atBlob+`: .*escapes.*`, blob, link("../../../../../../../../../../etc/passwd")),
		replaced("blob-link-to-proc", atBlob+`: .*escapes.*`, blob, link("/proc/self/exe")),
		replaced("blob-link-to-itself", atBlob+`: .*`, blob, link(filepath.Base(blob))),
		replaced("blob-link-to-nothing", atBlob+` is missing \(rule 163\)`, blob, link("nothing")),
		replaced("blob-link-to-another-blob", atBlob+` has \d+ bytes instead of \d+ \(rule 151\)`, blob, link("../../index.json")),
		replaced("blob-that-is-a-folder", atBlob+`: is a directory where a file belongs`, blob, folder),
		replaced("blob-that-is-missing", atBlob+` is missing \(rule 163\)`, blob, func(string) {}),
		replaced("blob-that-is-empty", atBlob+` has 0 bytes instead of \d+ \(rule 151\)`, blob, write("")),
		replaced("blob-that-is-longer", atBlob+` has \d+ bytes instead of \d+ \(rule 151\)`, blob, write(string(good.Tar)+"x")),
		replaced("blob-of-a-terabyte", atBlob+` has 1099511627776 bytes instead of \d+ \(rule 151\)`, blob, func(path string) {
			must(os.WriteFile(path, nil, 0o644))
			must(os.Truncate(path, 1<<40))
		}),
		replaced("blobs-link-out", `oci:\S+: reading manifest sha256:[0-9a-f]{64}: blob sha256:[0-9a-f]{64}: .*escapes.*`, "blobs", link("/tmp")),
		replaced("blobs-that-is-a-file", `oci:\S+: reading manifest sha256:[0-9a-f]{64}: blob sha256:[0-9a-f]{64}.*`, "blobs", write("")),
		replaced("index-link-out", `oci:\S+: index.json: .*escapes.*`, "index.json", link(outside)),
		replaced("index-that-is-a-folder", `oci:\S+: index.json: is a directory where a file belongs`, "index.json", folder),
		replaced("index-that-is-missing", `oci:\S+ is not an OCI image layout: it has no index.json`, "index.json", func(string) {}),
		replaced("index-that-is-empty", `oci:\S+: index.json: not a manifest: .*`, "index.json", write("")),
		replaced("index-of-100-MB", `oci:\S+: index.json: 100000000 bytes: a manifest of more than 4194304 bytes`, "index.json", write(strings.Repeat(" ", megabytes))).slow(),
		replaced("index-100000-levels-deep", `oci:\S+: index.json: not a manifest: .*`, "index.json", write(strings.Repeat(`{"x":`, 100_000))),
		replaced("layout-file-of-100-MB", `oci:\S+: oci-layout: 100000000 bytes, over the limit of 65536`, "oci-layout", write(strings.Repeat(" ", megabytes))).slow(),
		replaced("layout-file-deep", `oci:\S+: oci-layout: .*`, "oci-layout", write(strings.Repeat("[", 60_000))),
		replaced("layout-of-another-version", `oci:\S+: oci-layout: layout version "2\\x1b\[2J" is not supported, only 1.0.0 is`, "oci-layout", write(`{"imageLayoutVersion":"2\u001b[2J"}`)),
		replaced("layout-link-out", `oci:\S+: oci-layout: .*escapes.*`, "oci-layout", link(outside)),
		replaced("no-layout", `oci:\S+ is not an OCI image layout: it has no oci-layout file`, "oci-layout", func(string) {}),
	}
	return group("layouts", append(all, specialFiles()...)...)
}

// tarball is an archive of these members.
func tarball(members ...tartest.Entry) []byte {
	return tartest.Stream(append(members, tartest.Zeros(2))...)
}

// archives are archives whose members are not what they seem.
func archives() []Input {
	var all []Input
	config := tartest.File("c.json", goodConfig)
	add := func(name, err string, members ...tartest.Entry) {
		all = append(all, Input{Name: name, Form: DockerArchive, Exit: 3, Err: `docker-archive:\S+: ` + err,
			write: func(dir string) { put(dir, tarFile, tarball(members...)) }})
	}
	saved := func(config, layer string) tartest.Entry {
		return tartest.File("manifest.json", fmt.Sprintf(`[{"Config":%s,"RepoTags":null,"Layers":[%s]}]`, encode(config), encode(layer)))
	}
	layer := tartest.File("l.tar", string(good.Tar))
	for i, name := range []string{outside, "../../../../etc/passwd", "a/../../etc/passwd", "./../c.json"} {
		add(fmt.Sprintf("manifest-points-outside-%02d", i+1), `layer 1: member .*: leads outside the archive`, config, layer, saved("c.json", name))
		add(fmt.Sprintf("config-points-outside-%02d", i+1), `configuration: member .*: leads outside the archive`, config, layer, saved(name, "l.tar"))
	}
	for i, target := range []string{outside, "../../../../etc/passwd", "../l.tar"} {
		add(fmt.Sprintf("member-links-outside-%02d", i+1), `layer 1: member "link": leads outside the archive`, config, tartest.Symlink("link", target), saved("c.json", "link"))
	}
	add("member-links-round", `layer 1: member "a": more than 40 symbolic links to follow`, config, tartest.Symlink("a", "b"), tartest.Symlink("b", "a"), saved("c.json", "a"))
	add("member-links-to-itself", `layer 1: member "a": more than 40 symbolic links to follow`, config, tartest.Symlink("a", "a"), saved("c.json", "a"))
	add("member-links-grow", `layer 1: member "a/x": more than 40 symbolic links to follow`, config, tartest.Symlink("a", "a/a/a/a"), saved("c.json", "a/x"))
	add("member-hard-link-outside", `member "l": hard link to ".*", which is not before it in the archive`, config, tartest.Link("l", outside), saved("c.json", "l"))
	add("member-that-is-a-device", `layer 1: member "d" is not in the archive`, config, tartest.Char("d", 1, 5), saved("c.json", "d"))
	add("member-that-is-a-fifo", `layer 1: member "d" is not in the archive`, config, tartest.Fifo("d"), saved("c.json", "d"))
	add("member-that-is-sparse", `member "l.tar" is sparse, which is not supported in an archive`, config, tartest.OldSparse("l.tar", 1<<40, "x", tartest.Fragment{Offset: 0, Length: 1}), saved("c.json", "l.tar"))
	add("member-past-the-end", `member "l.tar" of \d+ bytes at offset \d+: the archive ends at \d+`, config, saved("c.json", "l.tar"), tartest.File("l.tar", "").Size(1<<40))
	add("member-negative", `tar header after member .*`, config, saved("c.json", "l.tar"), tartest.File("l.tar", "").Size(-1))
	add("member-bad-checksum", `tar header after member .*`, config, tartest.File("x", "").BadChecksum())
	add("member-name-of-64-KiB", `layer 1: member "n+"…: more than 1024 bytes or 128 parts to follow`, config, layer, tartest.File(strings.Repeat("n", 1<<16), ""), saved("c.json", strings.Repeat("n", 1<<16)))
	add("layer-named-twice-config-once", `configuration "c.json": 2 layers, but the configuration has 1 diffIDs \(rule 152\)`, config, layer,
		tartest.File("manifest.json", `[{"Config":"c.json","Layers":["l.tar","l.tar"]}]`))
	add("layer-that-is-not-there", `layer 1: member "\\x1b\[2J" is not in the archive`, config, saved("c.json", "\x1b[2J"))
	add("config-that-is-not-there", `configuration: member "x" is not in the archive`, layer, saved("x", "l.tar"))
	add("config-with-another-digest", `configuration "blobs/sha256/0{64}": the bytes have digest .*\(rule 151\)`, layer,
		tartest.File(fmt.Sprintf("blobs/sha256/%064d", 0), goodConfig), saved(fmt.Sprintf("blobs/sha256/%064d", 0), "l.tar"))
	for i, m := range []string{``, `{}`, `[1]`, `[{"Config":1}]`, `[{}]`, `[{"Layers":[]}]`, `[{"Config":"c.json","Layers":{}}]`, `[`, strings.Repeat(`[`, 100_000), `[{"Config":"c.json"` + strings.Repeat(`},{"Config":"c.json"`, 20_000) + `}]`} {
		add(fmt.Sprintf("manifest.json-that-is-none-%02d", i+1), `manifest.json: .*`, config, layer, tartest.File("manifest.json", m))
	}
	add("manifest.json-larger-than-4-MiB", `member "manifest.json" of 5000000 bytes: a manifest of more than 4194304 bytes`, config, tartest.File("manifest.json", strings.Repeat(" ", 5_000_000)))
	add("config-larger-than-8-MiB", `configuration: member "c.json" of 9000000 bytes: a configuration of more than 8388608 bytes`, tartest.File("c.json", strings.Repeat(" ", 9_000_000)), layer, saved("c.json", "l.tar"))
	add("a-tar-of-something-else", `a tar file, but not of an image: .*|an oci-archive, not a docker-archive|.*`, tartest.File("hello", "world"))
	crowd := Input{Name: "archive-of-200000-members", Form: DockerArchive, Exit: 3, Err: `docker-archive:\S+: more than 131072 members, the limit`,
		write: func(dir string) { put(dir, tarFile, append(emptyFiles(200_000, "%08d"), make([]byte, 1024)...)) }}
	names := Input{Name: "archive-of-long-names", Form: DockerArchive, Exit: 3, Err: `docker-archive:\S+: more than 67108864 bytes of member names, the limit`,
		write: func(dir string) { put(dir, tarFile, append(longNames(1100, 64<<10), make([]byte, 1024)...)) }}
	return group("archives", append(all, crowd.slow(), names.slow())...)
}

// standardInput is what is no archive, or the beginning of one.
func standardInput() []Input {
	whole := tarball(tartest.File("c.json", goodConfig), tartest.File("l.tar", string(good.Tar)),
		tartest.File("manifest.json", `[{"Config":"c.json","Layers":["l.tar"]}]`))
	gz, zst := tartest.GzipBytes(whole), tartest.ZstdBytes(whole)
	var all []Input
	add := func(name, err string, data ...[]byte) {
		all = append(all, Input{Name: "stdin-" + name, Form: Stdin, Exit: 3, Err: `-: ` + err, write: func(dir string) { put(dir, tarFile, bytes.Join(data, nil)) }})
	}
	add("empty", "empty")
	add("zeros", "neither a tar file nor one compressed with gzip or zstd", make([]byte, 1<<20))
	add("text", "neither a tar file nor one compressed with gzip or zstd", []byte("hello, world\n"))
	add("json", "JSON, not an image archive", []byte(`{"a":1}`))
	add("zip", "a zip file, not an image archive", []byte("PK\x03\x04"), make([]byte, 512))
	add("xz", "compressed with xz, which is not supported", []byte("\xfd7zXZ\x00"), make([]byte, 512))
	add("bzip2", "compressed with bzip2, which is not supported", []byte("BZh9"), make([]byte, 512))
	add("gzip-of-nothing", "an empty file, compressed with gzip", tartest.GzipBytes(nil))
	add("gzip-of-text", "compressed with gzip, but no tar file", tartest.GzipBytes([]byte("hello")))
	add("gzip-of-gzip", "compressed with gzip, but no tar file", tartest.GzipBytes(gz))
	for _, n := range []int{2, 9, len(gz) / 2, len(gz) - 1} {
		add(fmt.Sprintf("gzip-cut-at-%d", n), ".*", gz[:n])
	}
	for _, n := range []int{4, 9, len(zst) / 2, len(zst) - 1} {
		add(fmt.Sprintf("zstd-cut-at-%d", n), ".*", zst[:n])
	}
	for _, n := range []int{100, 512, 700, 3000} {
		add(fmt.Sprintf("cut-at-%d", n), ".*", whole[:n])
	}
	add("header-only", ".*", whole[:512], make([]byte, 1024))
	add("a-layer", "a tar file, but not of an image: .*", good.Tar)
	return group("standard input", all...)
}

// Small are small archives that the others are cut and changed from: an
// oci-archive and a docker-archive of the same two layers, as Stdin takes them.
func Small() map[Form][]byte {
	dir, err := os.MkdirTemp("", "hostile")
	must(err)
	defer os.RemoveAll(dir)
	layers := []tartest.Blob{
		tartest.Layer(tartest.Dir("d"), tartest.File("d/f", "hello"), tartest.Link("l", "d/f")).Gzip(),
		tartest.Layer(tartest.Whiteout("l"), tartest.Symlink("s", "d/f")).Zstd(),
	}
	writeImage(dir, layers)
	pack(dir)
	oci, err := os.ReadFile(filepath.Join(dir, tarFile))
	must(err)
	img := tartest.Image(layers...)
	docker := tarball(tartest.File("c.json", string(img.RawConfig)),
		tartest.File("1/layer.tar", string(layers[0].Stored)), tartest.File("2/layer.tar", string(layers[1].Stored)),
		tartest.File("manifest.json", `[{"Config":"c.json","RepoTags":["app:1"],"Layers":["1/layer.tar","2/layer.tar"]}]`))
	return map[Form][]byte{OCIArchive: oci, DockerArchive: docker}
}
