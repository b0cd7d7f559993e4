// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/internal/tartest"
)

// good is a layer that nothing is wrong with.
var good = tartest.Layer(tartest.File("a", "1"))

// goodDescriptor and goodID are of that layer.
var (
	goodID         = digest.FromBytes(good.Tar)
	goodDescriptor = fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, v1.MediaTypeImageLayer, goodID, len(good.Tar))
	goodConfig     = fmt.Sprintf(`{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[%q]}}`, goodID)
)

const configDescriptor = `{"mediaType":"` + v1.MediaTypeImageConfig + `","digest":"%s","size":%d}`

// manifest is an input that is a layout of a manifest and a configuration, each the
// usual one where it is empty.
func manifest(name, err, manifest, config string) Input {
	if manifest == "" {
		manifest = `{"schemaVersion":2,"config":` + configDescriptor + `,"layers":[` + goodDescriptor + `]}`
	}
	if config == "" {
		config = goodConfig
	}
	return Input{Name: name, Exit: 3, Err: err, write: func(dir string) { writeDocuments(dir, manifest, config, good) }}
}

const (
	atManifest = `oci:\S+: manifest (sha256:[0-9a-f]{64}: )?`
	megabytes  = 100_000_000
)

// manifests are manifests that lie, or are none.
func manifests() []Input {
	layers := func(list string) string {
		return `{"schemaVersion":2,"config":` + configDescriptor + `,"layers":[` + list + `]}`
	}
	layer := func(digest, size string) string {
		return layers(fmt.Sprintf(`{"digest":%s,"size":%s}`, strings.ReplaceAll(string(encode(digest)), "%", "%%"), size))
	}
	var all []Input
	add := func(name, err, m string) { all = append(all, manifest(name, atManifest+err, m, "")) }
	for _, size := range []string{"-1", "-9223372036854775808"} {
		add("layer-size"+size, `layer 1: sha256:[0-9a-f]{64}: negative size `+size+` \(rule 165\)`, layer(string(goodID), size))
	}
	for _, size := range []string{"9223372036854775807", "17592186044417"} {
		add("layer-size-"+size, `layer 1: sha256:[0-9a-f]{64}: size `+size+` is over the limit of 17592186044416 bytes \(rule 165\)`, layer(string(goodID), size))
	}
	for _, size := range []string{"9223372036854775808", "1.5", `"1"`, "1e999", "[]"} {
		add("layer-size-of-"+size, `not a manifest: .*`, layer(string(goodID), size))
	}
	for i, d := range []string{
		"", "sha256", "sha256:", "sha256:../../../../etc/passwd", "sha256:" + strings.Repeat("A", 64), "sha256:" + strings.Repeat("a", 63),
		"sha256:" + strings.Repeat("a", 65), "md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:" + strings.Repeat("a", 62) + "/x",
		"../sha256:" + strings.Repeat("a", 64), "sha256:" + strings.Repeat("a", 64) + "\n", "SHA256:" + strings.Repeat("a", 64),
		strings.Repeat("x", 100_000) + ":aa", "sha256:\x1b[2J",
	} {
		add(fmt.Sprintf("layer-digest-%02d", i+1), `layer 1: (no digest|malformed digest .*|digest .* is neither sha256 nor sha512 and cannot be verified)`, layer(d, "1"))
	}
	add("layer-with-wrong-data", `layer 1: embedded data: .*`, layers(fmt.Sprintf(`{"digest":%q,"size":5,"data":"aGVsbG8="}`, goodID)))
	for i, m := range []string{` `, `null`, `[]`, `{}`, `1`, `"x"`, `{`, `{"layers":1}`, `{"config":[]}`, "\xef\xbb\xbf{}", `{"schemaVersion":2}`, `{"schemaVersion":3,"layers":[]}`, `{} {}`, "\x00", `{"layers":[` + strings.Repeat(`{},`, 70_000) + `{}]}`} {
		add(fmt.Sprintf("manifest-that-is-none-%02d", i+1), `.*`, m)
	}
	add("manifest-100000-levels-deep", `not a manifest: .*`, `{"schemaVersion":2,"layers":[],"x":`+strings.Repeat(`{"x":`, 100_000)+`1`+strings.Repeat(`}`, 100_001))
	add("manifest-lists-100000-levels-deep", `not a manifest: .*`, `{"schemaVersion":2,"layers":`+strings.Repeat(`[`, 100_000)+strings.Repeat(`]`, 100_000)+`}`)
	add("manifest-that-is-an-index-too", `not a manifest: has the fields of two kinds at once`, `{"schemaVersion":2,"layers":[],"config":{},"manifests":[]}`)
	add("manifest-of-schema-1", `media type "application/vnd.oci.image.manifest.v1\+json" means a manifest, but this is a schema 1 manifest`, `{"schemaVersion":1,"fsLayers":[],"history":[]}`)
	add("manifest-of-an-artifact", `not a container image: .*\(rule 154\)`, `{"schemaVersion":2,"artifactType":"application/x\u001b[2J","config":`+configDescriptor+`,"layers":[]}`)
	add("manifest-with-an-encrypted-layer", `layer 1 is encrypted: .*\(rule 147\)`, layers(strings.Replace(goodDescriptor, ".tar", ".tar+encrypted", 1)))
	add("manifest-with-a-layer-that-is-none", `layer 1 is not a layer: .*\(rule 156\)`, strings.Replace(layers(goodDescriptor), `"application/vnd.oci.image.layer.v1.tar"`, `"text/html"`, 1))
	add("config-size-of-exabytes", `configuration: sha256:[0-9a-f]{64}: size 9223372036854775807 is over the limit of 17592186044416 bytes \(rule 165\)`,
		strings.Replace(layers(goodDescriptor), `"size":%d}`, `"size":9223372036854775807,"annotations":{"x":"%d"}}`, 1))
	missing := fmt.Sprintf(`{"digest":"sha256:%064d","size":1}`, 0)
	all = append(all,
		manifest("layer-that-is-missing", `oci:\S+: layer 1: blob sha256:0{64} is missing \(rule 163\)`, layers(missing), ""),
		manifest("layer-of-another-size", `oci:\S+: layer 1: blob sha256:[0-9a-f]{64} has \d+ bytes instead of 1 \(rule 151\)`, layer(string(goodID), "1"), ""),
		manifest("manifest-of-100-MB", `oci:\S+: manifest sha256:[0-9a-f]{64} of 1\d+ bytes: a manifest of more than 4194304 bytes \(rule 165\)`,
			layers(goodDescriptor)+strings.Repeat(" ", megabytes), "").slow(),
		manifest("manifest-larger-than-asked-for", `oci:\S+: manifest sha256:[0-9a-f]{64} of \d+ bytes: a manifest of more than 100 bytes.*|oci:\S+: index.json: .*`, "", "").with("--max-manifest-size", "100"),
		manifest("manifest-full-of-layers", `oci:\S+: manifest sha256:[0-9a-f]{64}: \d+ layers, but the configuration has 1 diffIDs \(rule 152\)`,
			layers(goodDescriptor+strings.Repeat(`,`+goodDescriptor, 20_000)), ""),
		manifest("manifest-full-of-annotations", `oci:\S+: manifest sha256:[0-9a-f]{64}: 0 layers, but the configuration has 1 diffIDs \(rule 152\)`,
			`{"schemaVersion":2,"config":`+configDescriptor+`,"layers":[],"annotations":{`+many(200_000)+`}}`, "").slow(),
	)
	return group("manifests", all...)
}

// many are n members of an object.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"%x":"",`, i)
	}
	return b.String() + `"x":""`
}

// configs are configurations that lie, or are none.
func configs() []Input {
	var all []Input
	add := func(name, err, c string) { all = append(all, manifest(name, atManifest+err, "", c)) }
	with := func(more string) string { return strings.TrimSuffix(goodConfig, "}") + "," + more + "}" }
	ids := func(list string) string {
		return `{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":` + list + `}}`
	}
	add("diff-ids-missing", `1 layers, but the configuration has 0 diffIDs \(rule 152\)`, `{"os":"linux","architecture":"amd64"}`)
	add("diff-ids-null", `1 layers, but the configuration has 0 diffIDs \(rule 152\)`, ids(`null`))
	add("diff-ids-too-many", `1 layers, but the configuration has 2 diffIDs \(rule 152\)`, ids(fmt.Sprintf(`[%q,%q]`, goodID, goodID)))
	add("diff-ids-200000", `configuration: diffID 1: .*`, ids(`[""`+strings.Repeat(`,""`, 200_000)+`]`))
	add("diff-id-malformed", `configuration: diffID 1: malformed digest "sha256:\.\./\.\./x"`, ids(`["sha256:../../x"]`))
	add("diff-id-empty", `configuration: diffID 1: no digest`, ids(`[""]`))
	all = append(all, manifest("diff-id-of-another-layer", layer1+`diffID of the tar is .*, the configuration says sha256:0{64}`, "", ids(fmt.Sprintf(`["sha256:%064d"]`, 0))))
	add("rootfs-of-another-type", `configuration: rootfs.type is "layers\+base", not "layers" \(rule 153\)`, `{"rootfs":{"type":"layers+base"}}`)
	for i, c := range []string{` `, `[]`, `"x"`, `{`, `{"rootfs":[]}`, `{"config":1}`, `{"history":{}}`, `{"created":"yesterday"}`, `{"config":{"Env":{}}}`, "\xff\xfe{}", `{}{}`} {
		add(fmt.Sprintf("config-that-is-none-%02d", i+1), `not an image configuration: .*`, c)
	}
	add("config-null", `1 layers, but the configuration has 0 diffIDs \(rule 152\)`, `null`)
	add("config-100000-levels-deep", `not an image configuration: .*`, with(`"x":`+strings.Repeat(`[`, 100_000)+strings.Repeat(`]`, 100_000)))
	add("config-labels-100000-levels-deep", `not an image configuration: .*`, with(`"config":{"Labels":`+strings.Repeat(`{"x":`, 100_000)+`1`+strings.Repeat(`}`, 100_001)))
	add("config-history-of-200000", `configuration: history of 200001 entries, over the limit of 100000`, with(`"history":[{}`+strings.Repeat(`,{}`, 200_000)+`]`))
	all = append(all,
		manifest("config-of-100-MB", `oci:\S+: configuration sha256:[0-9a-f]{64} of 1\d+ bytes: a configuration of more than 8388608 bytes \(rule 165\)`, "", goodConfig+strings.Repeat(" ", megabytes)).slow(),
		manifest("config-larger-than-asked-for", `oci:\S+: configuration sha256:[0-9a-f]{64} of \d+ bytes: a configuration of more than 10 bytes \(rule 165\)`, "", "").with("--max-config-size", "10"),
		manifest("config-for-windows", `oci:\S+: the image is for windows/amd64: only linux images are flattened unless asked for \(rule 127\)`, "", strings.Replace(goodConfig, "linux", "windows", 1)),
		manifest("config-for-a-system-that-a-terminal-obeys", `oci:\S+: the image is for "\\x1b.*\(rule 127\)`, "", strings.Replace(goodConfig, "linux", `\u001b[2J`, 1)),
	)
	tree := []string{`a "1"`}
	for name, more := range map[string]string{
		"config-full-of-environment": `"config":{"Env":["x"` + strings.Repeat(`,""`, 2_500_000) + `]}`,
		"config-full-of-labels":      `"config":{"Labels":{` + many(600_000) + `}}`,
		"config-full-of-volumes":     `"config":{"Volumes":{` + strings.ReplaceAll(many(500_000), `""`, `{}`) + `}}`,
		"config-full-of-history":     `"history":[{}` + strings.Repeat(`,{}`, 99_000) + `]`,
		"config-full-of-nothing":     `"nothing":[0` + strings.Repeat(`,0`, 4_000_000) + `]`,
		"config-10000-levels-deep":   `"nothing":` + strings.Repeat(`[`, 9000) + strings.Repeat(`]`, 9000),
	} {
		in := manifest(name, "", "", with(more))
		in.Slow = strings.HasPrefix(more, `"config":{`) && name != "config-full-of-environment"
		in.Exit, in.Why, in.Tree = 0, "within 8 MiB, and what it holds is for the container", tree
		all = append(all, in)
	}
	return group("configurations", all...)
}

// indexes are indexes that contain themselves, nest without end or lead nowhere.
func indexes() []Input {
	var all []Input
	add := func(name string, exit int, err string, write func(dir string)) {
		all = append(all, Input{Name: name, Exit: exit, Err: err, write: write})
	}
	index := func(dir string, entries ...v1.Descriptor) v1.Descriptor {
		return putBlob(dir, v1.MediaTypeImageIndex, encode(v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: entries}))
	}
	nested := func(depth int) func(string) {
		return func(dir string) {
			writeImage(dir, []tartest.Blob{good})
			img := tartest.Image(good)
			d := v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: img.Digest, Size: int64(len(img.Manifest))}
			for range depth {
				d = index(dir, d)
			}
			writeIndex(dir, d)
		}
	}
	deep := `oci:\S+: index sha256:[0-9a-f]{64}: indexes nested more than 8 deep \(rule 157\)`
	add("index-9-deep", 3, deep, nested(9))
	add("index-1000-deep", 3, deep, nested(1000))
	add("index-deeper-than-asked-for", 3, `oci:\S+: index sha256:[0-9a-f]{64}: indexes nested more than 1 deep \(rule 157\)`, nested(2))
	all[len(all)-1].Args = []string{"--max-index-depth", "1"}
	all = append(all, Input{Name: "index-8-deep", Why: "rule 157: to a depth of 8", Tree: []string{`a "1"`}, write: nested(8)})
	// No index can have its own digest in it. This one is stored under another's.
	add("index-that-contains-itself", 3, `oci:\S+: manifest sha256:a{64}: .*\(rule 151\)`, func(dir string) {
		d := v1.Descriptor{MediaType: v1.MediaTypeImageIndex, Digest: digest.Digest("sha256:" + strings.Repeat("a", 64))}
		for range 10 {
			raw := encode(v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: []v1.Descriptor{d}})
			d.Size = int64(len(raw))
			put(dir, blobName(d.Digest), raw)
		}
		writeIndex(dir, d)
	})
	add("index-web", 4, `oci:\S+: no image for linux/\S+: index sha256:[0-9a-f]{64} lists no images \(rule 158\)`, func(dir string) {
		d := index(dir)
		for range 7 {
			d = index(dir, repeatDescriptor(d, 5000)...)
		}
		writeIndex(dir, d)
	})
	add("index-of-2000-indexes", 3, `oci:\S+: manifest sha256:[0-9a-f]{64}: more than 1000 documents to read for one image \(rule 157\)`, func(dir string) {
		var list []v1.Descriptor
		for i := range 2000 {
			list = append(list, putBlob(dir, v1.MediaTypeImageIndex, fmt.Appendf(nil, `{"schemaVersion":2,"manifests":[],"annotations":{"n":"%d"}}`, i)))
		}
		writeIndex(dir, index(dir, list...))
	})
	add("index-of-nothing", 4, `oci:\S+ has no images`, func(dir string) { writeIndex(dir) })
	add("index-of-null", 4, `oci:\S+: no image for linux/\S+: .*|oci:\S+ has no images|.*no digest.*`, func(dir string) {
		writeIndex(dir)
		put(dir, "index.json", []byte(`{"schemaVersion":2,"manifests":[null,null]}`))
	})
	all[len(all)-1].Exit = 3
	add("index-of-names-that-a-terminal-obeys", 4, `oci:\S+ has 2 images and none is named: there is .*`, func(dir string) {
		entries := []v1.Descriptor{}
		for i := range 2 {
			d := putBlob(dir, v1.MediaTypeImageManifest, fmt.Appendf(nil, "{}%d", i))
			d.Annotations = map[string]string{v1.AnnotationRefName: "\x1b[2J\nflatten: done"}
			entries = append(entries, d)
		}
		writeIndex(dir, entries...)
	})
	add("index-of-65537-entries", 3, `oci:\S+: index.json: not a manifest: 70001 entries, over the limit of 65536`, func(dir string) {
		writeIndex(dir)
		put(dir, "index.json", []byte(`{"schemaVersion":2,"manifests":[{}`+strings.Repeat(`,{}`, 70_000)+`]}`))
	})
	add("index-negative-size", 3, `oci:\S+: manifest sha256:[0-9a-f]{64}: negative size -1 \(rule 165\)`, func(dir string) {
		writeImage(dir, []tartest.Blob{good})
		writeIndex(dir, v1.Descriptor{Digest: goodID, Size: -1})
	})
	add("index-size-of-exabytes", 3, `oci:\S+: manifest sha256:[0-9a-f]{64} of 9223372036854775807 bytes: a manifest of more than 4194304 bytes \(rule 165\)`, func(dir string) {
		writeIndex(dir, v1.Descriptor{Digest: goodID, Size: 1<<63 - 1})
	})
	return group("indexes", all...)
}

func repeatDescriptor(d v1.Descriptor, n int) []v1.Descriptor {
	list := make([]v1.Descriptor, n)
	for i := range list {
		list[i] = d
	}
	return list
}

// keys are documents with a key twice.
func keys() []Input {
	twice := func(key string) string {
		return `(configuration: )?the JSON key "` + key + `" occurs twice: readers differ on which one counts`
	}
	layers := `"layers":[` + goodDescriptor + `]`
	m := func(fields string) string {
		return `{"schemaVersion":2,"config":` + configDescriptor + `,` + fields + `}`
	}
	c := func(fields string) string { return strings.TrimSuffix(goodConfig, "}") + "," + fields + "}" }
	return group("keys that occur twice",
		manifest("layers-twice", atManifest+twice("layers"), m(layers+`,"layers":[]`), ""),
		manifest("layers-twice-in-another-case", atManifest+twice("LAYERS"), m(layers+`,"LAYERS":[{}]`), ""),
		manifest("config-twice", atManifest+twice("config"), m(layers+`,"config":{}`), ""),
		manifest("digest-twice", atManifest+twice("digest"), m(strings.Replace(layers, `"digest"`, `"digest":"sha256:00","digest"`, 1)), ""),
		manifest("escaped-key-twice", atManifest+twice("layers"), m(layers+`,"\u006cayers":[]`), ""),
		manifest("annotation-twice", atManifest+twice("a"), m(layers+`,"annotations":{"a":"1","a":"2"}`), ""),
		manifest("diff-ids-twice", atManifest+twice("diff_ids"), "", strings.Replace(goodConfig, `"diff_ids"`, `"diff_ids":[],"diff_ids"`, 1)),
		manifest("rootfs-twice", atManifest+twice("rootfs"), "", c(`"rootfs":{}`)),
		manifest("system-twice", atManifest+twice("OS"), "", c(`"OS":"windows"`)),
		manifest("label-twice", atManifest+twice("l"), "", c(`"config":{"Labels":{"l":"1","l":"2"}}`)),
		Input{Name: "manifests-twice", Exit: 3, Err: `oci:\S+: index.json: ` + twice("manifests"), write: func(dir string) {
			writeImage(dir, []tartest.Blob{good})
			put(dir, "index.json", []byte(`{"schemaVersion":2,"manifests":[],"manifests":[]}`))
		}},
		Input{Name: "docker-config-twice", Form: DockerArchive, Exit: 3, Err: `docker-archive:\S+: manifest.json: ` + twice("config"), write: func(dir string) {
			put(dir, "manifest.json", []byte(`[{"Config":"a","config":"b","Layers":[]}]`))
			pack(dir)
		}},
	)
}
