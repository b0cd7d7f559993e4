// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/image/imagetest"
)

var (
	base = imagetest.Layer("etc/", "etc/motd=hello")
	top  = imagetest.Layer("etc/motd=world")
)

// resolve resolves a document of the store; platform "" asks for none.
func resolve(s imagetest.Store, root v1.Descriptor, platform string) (*image.Image, []v1.Descriptor, error) {
	var opt image.Options
	if platform != "" {
		p, err := image.ParsePlatform(platform)
		if err != nil {
			return nil, nil, err
		}
		opt.Platform = &p
	}
	return image.Resolve(context.Background(), root, nil, opt, func(_ context.Context, d v1.Descriptor) ([]byte, error) {
		b, ok := s[d.Digest]
		if !ok {
			return nil, image.Corruptf("blob %s is missing: %w", d.Digest, fs.ErrNotExist)
		}
		return b, nil
	})
}

// here is the default platform, and elsewhere one that does not run on it.
var (
	here      = image.FormatPlatform(image.DefaultPlatform())
	elsewhere = "linux/s390x"
)

func init() {
	if here == elsewhere {
		elsewhere = "linux/riscv64"
	}
}

func TestResolveManifest(t *testing.T) {
	s := imagetest.Store{}
	d := s.Image(here, base, top)
	img, layers, err := resolve(s, d, "")
	if err != nil {
		t.Fatal(err)
	}
	if img.Digest != d.Digest || string(img.Manifest) != string(s[d.Digest]) || img.MediaType != v1.MediaTypeImageManifest {
		t.Errorf("manifest %s %s", img.Digest, img.MediaType)
	}
	if img.ConfigDigest != digest.FromBytes(img.RawConfig) || len(img.RawConfig) == 0 {
		t.Errorf("config %s", img.ConfigDigest)
	}
	if got := image.FormatPlatform(img.Platform); got != here {
		t.Errorf("platform %s", got)
	}
	if len(img.Layers) != 2 || len(layers) != 2 || len(img.Warnings) != 0 {
		t.Fatalf("%d layers, %d descriptors, warnings %v", len(img.Layers), len(layers), img.Warnings)
	}
	for i, blob := range [][]byte{base, top} {
		l := img.Layers[i]
		if l.Digest != digest.FromBytes(blob) || l.DiffID != digest.FromBytes(imagetest.Gunzip(blob)) ||
			l.Size != int64(len(blob)) || l.MediaType != v1.MediaTypeImageLayerGzip || layers[i].Digest != l.Digest {
			t.Errorf("layer %d: %+v", i, l)
		}
	}
}

// want is how a case ends: an error of a kind that has a text in it, or an image
// with a platform and the rules of its warnings.
type want struct {
	err  error
	text string
	hint string

	platform string
	warnings string
}

func check(t *testing.T, img *image.Image, err error, w want) {
	t.Helper()
	if w.err != nil {
		if !errors.Is(err, w.err) || !strings.Contains(fmt.Sprint(err), w.text) || !strings.Contains(image.Hint(err), w.hint) {
			t.Errorf("error %v (hint %q); want %q (hint %q)", err, image.Hint(err), w.text, w.hint)
		}
		if strings.ContainsAny(fmt.Sprint(err), "\n\x1b") || len(fmt.Sprint(err)) > 2000 {
			t.Errorf("error of several lines, or a long one: %q", err)
		}
		return
	}
	if err != nil {
		t.Fatalf("%v (hint %q)", err, image.Hint(err))
	}
	var rules []string
	for _, warning := range img.Warnings {
		rules = append(rules, fmt.Sprint(warning.Rule))
	}
	if got := strings.Join(rules, " "); got != w.warnings {
		t.Errorf("warnings %v, want rules %q", img.Warnings, w.warnings)
	}
	if strings.ContainsAny(fmt.Sprint(img.Warnings), "\n\x1b") {
		t.Errorf("warnings with control characters: %q", fmt.Sprint(img.Warnings))
	}
	if got := image.FormatPlatform(img.Platform); w.platform != "" && got != w.platform {
		t.Errorf("platform %s, want %s", got, w.platform)
	}
}

// The rows of docs/semantics.md about manifests and configurations, by number.
func TestManifestRules(t *testing.T) {
	type manifest = func(*v1.Manifest, *v1.Image)
	layers := func(n int, blob []byte) (all [][]byte) {
		for range n {
			all = append(all, blob)
		}
		return all
	}
	in := func(mediaType string) manifest {
		return func(m *v1.Manifest, _ *v1.Image) { m.Layers[1].MediaType = mediaType }
	}
	extra := func(mediaType string) manifest {
		return func(m *v1.Manifest, _ *v1.Image) {
			m.Layers = append(m.Layers, v1.Descriptor{MediaType: mediaType, Digest: digest.FromString("x"), Size: 1})
		}
	}
	corrupt := func(text string) want { return want{err: image.ErrCorrupt, text: text} }
	for _, tc := range []struct {
		name     string
		platform string // of the image; empty means here
		change   manifest
		asked    string
		want     want
	}{
		{name: "127-os-windows", platform: "windows/amd64", want: want{err: image.ErrCorrupt, text: "windows/amd64", hint: "--platform windows/amd64"}},
		{name: "127-os-windows-asked", platform: "windows/amd64", asked: "windows/amd64", want: want{platform: "windows/amd64"}},
		{name: "127-os-empty", platform: strings.Replace(here, "linux", "", 1), want: want{platform: here}},
		{name: "147-encrypted", change: in("application/vnd.oci.image.layer.v1.tar+gzip+encrypted"), want: corrupt("tar+gzip+encrypted")},
		{name: "148-foreign", change: in("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"), want: want{}},
		{name: "148-nondistributable", change: in("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"), want: want{}},
		{name: "150-same-layer-twice", change: func(m *v1.Manifest, c *v1.Image) {
			m.Layers = append(m.Layers, m.Layers[0])
			c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, c.RootFS.DiffIDs[0])
		}, want: want{}},
		{name: "152-layer-missing", change: func(m *v1.Manifest, _ *v1.Image) { m.Layers = m.Layers[:1] }, want: corrupt("1 layers, but the configuration has 2 diffIDs")},
		{name: "152-diffid-missing", change: func(_ *v1.Manifest, c *v1.Image) { c.RootFS.DiffIDs = c.RootFS.DiffIDs[:1] }, want: corrupt("2 layers")},
		{name: "152-no-diffids", change: func(_ *v1.Manifest, c *v1.Image) { c.RootFS.DiffIDs = nil }, want: corrupt("0 diffIDs")},
		{name: "152-nothing-at-all", change: func(m *v1.Manifest, c *v1.Image) { m.Layers, c.RootFS.DiffIDs = nil, nil }, want: want{}},
		{name: "152-diffid-malformed", change: func(_ *v1.Manifest, c *v1.Image) { c.RootFS.DiffIDs[1] = "sha256:../x" }, want: corrupt("diffID 2: malformed digest")},
		{name: "153-rootfs-type", change: func(_ *v1.Manifest, c *v1.Image) { c.RootFS.Type = "snapshot" }, want: corrupt(`rootfs.type is "snapshot"`)},
		{name: "153-rootfs-type-empty", change: func(_ *v1.Manifest, c *v1.Image) { c.RootFS.Type = "" }, want: want{}},
		{name: "154-empty-config", change: func(m *v1.Manifest, _ *v1.Image) { m.Config = v1.DescriptorEmptyJSON }, want: corrupt("not a container image")},
		{name: "154-helm", change: func(m *v1.Manifest, _ *v1.Image) { m.Config.MediaType = "application/vnd.cncf.helm.config.v1+json" }, want: corrupt("helm")},
		{name: "154-wasm", change: func(m *v1.Manifest, _ *v1.Image) { m.Config.MediaType = "application/vnd.wasm.config.v0+json" }, want: corrupt("wasm")},
		{name: "154-artifact-type", change: func(m *v1.Manifest, _ *v1.Image) { m.ArtifactType = "application/vnd.example+type" }, want: corrupt("vnd.example+type")},
		{name: "154-artifact-type-image", change: func(m *v1.Manifest, _ *v1.Image) { m.ArtifactType = v1.MediaTypeImageConfig }, want: want{}},
		{name: "154-config-octet-stream", change: func(m *v1.Manifest, _ *v1.Image) { m.Config.MediaType = "application/octet-stream" }, want: want{}},
		{name: "155-in-toto-layers", change: func(m *v1.Manifest, _ *v1.Image) {
			for i := range m.Layers {
				m.Layers[i].MediaType = "application/vnd.in-toto+json"
			}
		}, want: corrupt("attestation")},
		{name: "156-extra-not-a-layer", change: extra("application/vnd.example.sbom+json"), want: want{warnings: "156"}},
		{name: "156-instead-of-a-layer", change: in("application/vnd.example.sbom+json"), want: corrupt("layer 2 is not a layer")},
		{name: "156-squashfs", change: in("application/vnd.oci.image.layer.squashfs"), want: corrupt("squashfs")},
		{name: "159-arm-without-variant", platform: "linux/arm", asked: "linux/arm/v7", want: want{platform: "linux/arm/v7"}},
		{name: "159-variant-left-out", platform: "linux/arm", asked: "linux/arm/v6", want: want{platform: "linux/arm/v7"}},
		{name: "159-arm64-v8", platform: "linux/arm64/v8", asked: "linux/arm64", want: want{platform: "linux/arm64"}},
		{name: "159-variant-too-high", platform: "linux/arm/v7", asked: "linux/arm/v6", want: want{err: image.ErrNotFound, text: "there is linux/arm/v7"}},
		{name: "160-other-arch", platform: elsewhere, want: want{platform: elsewhere, warnings: "160"}},
		{name: "160-other-arch-asked", platform: elsewhere, asked: here, want: want{err: image.ErrNotFound, text: "there is " + elsewhere}},
		{name: "160-hostile-arch", platform: "linux/\x1b[2J\n", want: want{warnings: "160"}},
		{name: "160-hostile-arch-asked", platform: "linux/\x1b[2J\n", asked: here, want: want{err: image.ErrNotFound, text: `"linux/\x1b[2j\n"`}},
		{name: "160-no-arch", platform: "linux", want: want{warnings: "160"}},
		{name: "164-history", change: func(_ *v1.Manifest, c *v1.Image) {
			c.History = []v1.History{{EmptyLayer: true}, {CreatedBy: "x"}, {}, {}, {}}
		}, want: want{}},
		{name: "165-negative-size", change: func(m *v1.Manifest, _ *v1.Image) { m.Layers[1].Size = -1 }, want: corrupt("layer 2: sha256:")},
		{name: "165-huge-size", change: func(m *v1.Manifest, _ *v1.Image) { m.Layers[1].Size = 1 << 62 }, want: corrupt("over the limit")},
		{name: "165-malformed-digest", change: func(m *v1.Manifest, _ *v1.Image) { m.Layers[0].Digest = "sha256:../../etc/passwd" }, want: corrupt("malformed digest")},
		{name: "165-upper-case-digest", change: func(m *v1.Manifest, _ *v1.Image) {
			m.Layers[0].Digest = "sha256:" + digest.Digest(strings.ToUpper(m.Layers[0].Digest.Encoded()))
		}, want: corrupt("malformed digest")},
		{name: "165-unknown-algorithm", change: func(m *v1.Manifest, _ *v1.Image) { m.Layers[0].Digest = "blake3:abcdef" }, want: corrupt("cannot be verified")},
		{name: "165-sha384", change: func(m *v1.Manifest, _ *v1.Image) { m.Layers[0].Digest = digest.SHA384.FromString("") }, want: corrupt("cannot be verified")},
		{name: "165-sha512", change: func(m *v1.Manifest, _ *v1.Image) { m.Layers[0].Digest = digest.SHA512.FromBytes(base) }, want: want{}},
		{name: "165-data-right", change: func(m *v1.Manifest, _ *v1.Image) { m.Layers[0].Data = base }, want: want{}},
		{name: "165-data-wrong", change: func(m *v1.Manifest, _ *v1.Image) { m.Layers[0].Data = top }, want: corrupt("embedded data")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := imagetest.Store{}
			platform := tc.platform
			if platform == "" {
				platform = here
			}
			d := s.Manifest(platform, [][]byte{base, top}, tc.change)
			img, _, err := resolve(s, d, tc.asked)
			check(t, img, err, tc.want)
		})
	}
	t.Run("166-many-layers", func(t *testing.T) {
		s := imagetest.Store{}
		img, _, err := resolve(s, s.Image(here, layers(1000, base)...), "")
		check(t, img, err, want{})
		if len(img.Layers) != 1000 {
			t.Errorf("%d layers", len(img.Layers))
		}
	})
	t.Run("165-data-instead-of-config", func(t *testing.T) {
		s := imagetest.Store{}
		d := s.Manifest(here, [][]byte{base}, func(m *v1.Manifest, c *v1.Image) {
			m.Config = s.JSON(v1.MediaTypeImageConfig, c)
			m.Config.Data = s[m.Config.Digest]
			delete(s, m.Config.Digest)
		})
		img, _, err := resolve(s, d, "")
		check(t, img, err, want{})
	})
	t.Run("148-urls", func(t *testing.T) {
		s := imagetest.Store{}
		d := s.Manifest(here, [][]byte{base}, func(m *v1.Manifest, _ *v1.Image) { m.Layers[0].URLs = []string{"https://example.com/l"} })
		if _, layers, err := resolve(s, d, ""); err != nil || layers[0].URLs[0] != "https://example.com/l" {
			t.Errorf("%v, %v", layers, err)
		}
	})
}

// The rows about indexes, by number.
func TestIndexRules(t *testing.T) {
	s := imagetest.Store{}
	at := func(platform string) v1.Descriptor { return s.Image(platform, base) }
	bare := func(platform string) v1.Descriptor {
		d := at(platform)
		d.Platform = nil
		return d
	}
	list := func(platforms ...string) v1.Descriptor {
		var all []v1.Descriptor
		for _, p := range platforms {
			all = append(all, at(p))
		}
		return s.Index(all...)
	}
	attestation := imagetest.Attestation(s.JSON(v1.MediaTypeImageManifest, v1.Manifest{Config: v1.DescriptorEmptyJSON}))
	artifact := s.Manifest(here, [][]byte{top}, func(m *v1.Manifest, _ *v1.Image) { m.Config.MediaType = "application/vnd.cncf.helm.config.v1+json" })
	artifact.Platform = nil
	nested := func(depth int) v1.Descriptor {
		d := at(here)
		for range depth {
			d = s.Index(d)
		}
		return d
	}
	gone := v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: digest.FromString("gone"), Size: 4, Platform: imagetest.Platform(elsewhere)}
	lies := at("linux/amd64")
	lies.Platform = imagetest.Platform("linux/arm64")
	other := at(here)
	other.MediaType = "application/vnd.example.manifest.v9+json"
	notFound := func(text string) want { return want{err: image.ErrNotFound, text: text} }
	for _, tc := range []struct {
		name  string
		root  v1.Descriptor
		asked string
		want  want
	}{
		{"155-attestation-passed-over", s.Index(attestation, at(here)), "", want{platform: here}},
		{"155-attestation-only", s.Index(attestation), "", notFound("lists no images")},
		{"155-attestation-asked", s.Index(attestation, at(here)), "unknown/unknown", notFound("there is " + here)},
		{"155-attestation-named", attestation, "", want{err: image.ErrCorrupt, text: "attestation"}},
		{"154-artifact-passed-over", s.Index(artifact, bare(here)), "", want{platform: here}},
		{"154-artifact-only", s.Index(artifact), "", want{err: image.ErrCorrupt, text: "helm"}},
		{"154-unknown-type-passed-over", s.Index(other, bare(here)), "", want{platform: here}},
		{"157-nested", nested(3), "", want{platform: here}},
		{"157-nested-to-the-cap", nested(image.MaxDepth), "", want{platform: here}},
		{"157-nested-too-deep", nested(image.MaxDepth + 1), "", want{err: image.ErrCorrupt, text: "nested more than 8 deep (rule 157)"}},
		{"157-nested-then-manifest", s.Index(list("windows/amd64"), bare(here)), "", want{platform: here}},
		{"158-none", list("linux/mips", "windows/amd64"), "", want{err: image.ErrNotFound, text: "there is linux/mips, windows/amd64", hint: "--platform linux/mips"}},
		{"158-none-nested", s.Index(list("linux/mips"), bare("linux/ppc64le")), "linux/386", notFound("there is linux/mips, linux/ppc64le")},
		{"158-empty", s.Index(), "", notFound("lists no images")},
		{"159-first-of-equals", s.Index(at("linux/arm/v6"), at("linux/arm/v5")), "linux/arm/v7", want{platform: "linux/arm/v6"}},
		{"159-exact-first", list("linux/arm/v5", "linux/arm/v6", "linux/arm"), "linux/arm/v7", want{platform: "linux/arm/v7"}},
		{"159-amd64-v3", list("linux/386", "linux/amd64", "linux/amd64/v2"), "linux/amd64/v3", want{platform: "linux/amd64/v2"}},
		{"159-not-another-arch", list("linux/386", "linux/arm/v7"), "linux/amd64", notFound("linux/386, linux/arm/v7")},
		{"159-alias", list("linux/amd64", "linux/arm64/v8"), "linux/aarch64", want{platform: "linux/arm64"}},
		{"159-without-platform", s.Index(bare("linux/arm/v5"), bare("linux/arm/v6")), "linux/arm/v7", want{platform: "linux/arm/v6"}},
		{"159-stated-before-unstated", s.Index(bare("linux/arm/v7"), at("linux/arm/v6")), "linux/arm/v7", want{platform: "linux/arm/v6"}},
		{"160-index-and-config-differ", s.Index(lies), "linux/arm64", want{platform: "linux/arm64", warnings: "160"}},
		{"163-other-platform-missing", s.Index(gone, at(here)), "", want{platform: here}},
		{"163-missing", s.Index(gone), elsewhere, want{err: image.ErrCorrupt, text: gone.Digest.String()}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			img, _, err := resolve(s, tc.root, tc.asked)
			check(t, img, err, tc.want)
		})
	}
}

// What is not a manifest, by the number of the row where there is one.
func TestDocumentRules(t *testing.T) {
	const sha = `"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0`
	for _, tc := range []struct {
		name, mediaType, doc, text string
	}{
		{"161-schema1", "application/vnd.docker.distribution.manifest.v1+prettyjws", `{"schemaVersion":1}`, "schema 1"},
		{"161-schema1-by-version", "", `{"schemaVersion":1,"name":"x"}`, "schema 1"},
		{"161-schema1-by-layers", "", `{"fsLayers":[]}`, "schema 1"},
		{"not-json", "", `hello`, "not a manifest"},
		{"trailing", v1.MediaTypeImageManifest, `{"layers":[]} x`, "not a manifest"},
		{"array", v1.MediaTypeImageManifest, `[]`, "not a manifest"},
		{"empty", v1.MediaTypeImageManifest, ``, "not a manifest"},
		{"neither", "", `{"schemaVersion":2}`, "neither layers nor manifests"},
		{"both", "", `{"schemaVersion":2,"layers":[],"manifests":[]}`, "two kinds at once"},
		{"index-called-manifest", v1.MediaTypeImageManifest, `{"schemaVersion":2,"manifests":[]}`, "means a manifest, but this is an index"},
		{"manifest-called-index", v1.MediaTypeImageIndex, `{"schemaVersion":2,"config":{` + sha + `},"layers":[]}`, "means an index"},
		{"calls-itself-index", v1.MediaTypeImageManifest, `{"mediaType":"` + v1.MediaTypeImageIndex + `"}`, "means an index"},
		{"version-3", "", `{"schemaVersion":3,"layers":[]}`, "schema version 3"},
		{"no-config", "", `{"schemaVersion":2,"layers":[]}`, "no digest"},
		{"154-unknown-type", "application/vnd.example+json", `{"layers":[]}`, "vnd.example+json"},
		{"deep", "", strings.Repeat("[", 100000), "not a manifest"},
		{"deep-inside", "", `{"layers":[],"x":` + strings.Repeat(`[`, 100000) + strings.Repeat(`]`, 100000) + `}`, "not a manifest"},
		{"many-entries", "", `{"manifests":[{}` + strings.Repeat(",{}", 1<<17) + `]}`, "over the limit of 65536"},
		{"many-layers", "", `{"layers":[null` + strings.Repeat(",{}", 1<<17) + `]}`, "over the limit of 65536"},
		{"too-large", "", `{"layers":[]}` + strings.Repeat(" ", image.MaxManifestSize), "a manifest of more than 4194304 bytes (rule 165)"},
		{"twice", "", `{"layers":[],"layers":[]}`, `key "layers" occurs twice`},
		{"twice-in-another-case", "", `{"layers":[],"Layers":[]}`, `key "Layers" occurs twice`},
		{"twice-deep-inside", "", `{"layers":[{"x":[[{"a":1,"b":"a","a":2}]]}]}`, `key "a" occurs twice`},
		{"twice-an-annotation", "", `{"layers":[],"annotations":{"a":"","a":""}}`, `key "a" occurs twice`},
		{"annotations-differ-in-case", "", `{"layers":[],"annotations":{"a":"","A":""}}`, "no digest"}, // that is all
		{"same-in-two-objects", "", `{"layers":[{"a":1},{"a":1}],"x":{"a":{"a":["a","a"]}}}`, "no digest"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := imagetest.Store{}
			_, _, err := resolve(s, s.Add(tc.mediaType, []byte(tc.doc)), "")
			check(t, nil, err, want{err: image.ErrCorrupt, text: tc.text})
		})
	}
}

func TestConfigRules(t *testing.T) {
	for _, tc := range []struct{ name, config, text string }{
		{"not-json", `x`, "not an image configuration"},
		{"wrong-type", `{"rootfs":[]}`, "not an image configuration"},
		{"deep", `{"x":` + strings.Repeat(`[`, 100000) + `}`, "not an image configuration"},
		{"many-history", `{"history":[{}` + strings.Repeat(",{}", 1<<17) + `]}`, "over the limit of 100000"},
		{"time", `{"created":"` + strings.Repeat("x", 10000) + `"}`, "not an image configuration"},
		{"too-large", `{}` + strings.Repeat(" ", image.MaxConfigSize), "a configuration of more than 8388608 bytes (rule 165)"},
		{"twice", `{"rootfs":{},"rootfs":{}}`, `configuration: the JSON key "rootfs" occurs twice`},
		{"twice-in-another-case", `{"config":{"Env":[],"env":[]}}`, `key "env" occurs twice`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := imagetest.Store{}
			d := s.Manifest(here, nil, func(m *v1.Manifest, _ *v1.Image) { m.Config = s.Add(v1.MediaTypeImageConfig, []byte(tc.config)) })
			_, _, err := resolve(s, d, "")
			check(t, nil, err, want{err: image.ErrCorrupt, text: tc.text})
		})
	}
}

// Rule 151: what a source hands out is verified, whatever it is.
func TestResolveVerifies(t *testing.T) {
	s := imagetest.Store{}
	idx := s.Index(s.Image(here, base))
	for d := range s {
		for _, change := range []func([]byte) []byte{
			func(b []byte) []byte { return append(b[:len(b):len(b)], ' ') },
			func(b []byte) []byte { return b[:len(b)-1] },
			func(b []byte) []byte { c := append([]byte{}, b...); c[len(c)/2] ^= 1; return c },
		} {
			if d == digest.FromBytes(base) {
				continue // a layer, which is not read here
			}
			good := s[d]
			s[d] = change(good)
			_, _, err := resolve(s, idx, "")
			check(t, nil, err, want{err: image.ErrCorrupt, text: d.String()})
			s[d] = good
		}
	}
	if _, _, err := resolve(s, idx, ""); err != nil {
		t.Error(err)
	}
}

// A web of indexes that list each other many times is searched once each, and not without end.
func TestResolveBounded(t *testing.T) {
	s := imagetest.Store{}
	d := s.Index(s.Image("linux/mips", base))
	d.Platform = nil
	for range image.MaxDepth - 1 {
		many := make([]v1.Descriptor, 500)
		for i := range many {
			many[i] = d
		}
		d = s.Index(many...)
	}
	_, _, err := resolve(s, d, "linux/amd64")
	check(t, nil, err, want{err: image.ErrNotFound, text: "there is linux/mips"})

	var many []v1.Descriptor
	for i := range image.MaxDocuments {
		d := s.Image("linux/mips", imagetest.Layer(fmt.Sprint(i, "=")))
		d.Platform = nil
		many = append(many, d)
	}
	_, _, err = resolve(s, s.Index(many...), "linux/amd64")
	check(t, nil, err, want{err: image.ErrCorrupt, text: "more than 1000 documents"})
}

func TestResolveGivenBytes(t *testing.T) {
	s := imagetest.Store{}
	d := s.Image(here, base)
	raw := s[d.Digest]
	delete(s, d.Digest)
	fetch := func(_ context.Context, d v1.Descriptor) ([]byte, error) { return s[d.Digest], nil }
	img, _, err := image.Resolve(context.Background(), v1.Descriptor{MediaType: "text/plain"}, raw, image.Options{}, fetch)
	if err != nil || img.Digest != d.Digest || img.MediaType != v1.MediaTypeImageManifest {
		t.Errorf("%v, %v", img, err)
	}
	wrong := v1.Descriptor{Digest: digest.FromString("x"), Size: int64(len(raw))}
	if _, _, err := image.Resolve(context.Background(), wrong, raw, image.Options{}, fetch); !errors.Is(err, image.ErrCorrupt) {
		t.Errorf("wrong digest: %v", err)
	}
	// A source's own error keeps its kind.
	denied := func(context.Context, v1.Descriptor) ([]byte, error) { return nil, image.Deniedf("no") }
	if _, _, err := image.Resolve(context.Background(), d, nil, image.Options{}, denied); !errors.Is(err, image.ErrDenied) || errors.Is(err, image.ErrCorrupt) {
		t.Errorf("denied: %v", err)
	}
}
