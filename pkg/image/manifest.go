// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	_ "crypto/sha256" // the algorithms that a digest may use
	_ "crypto/sha512"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// The limits of what is read before a layer is: defaults of [Limits], and those
// that are not for a caller to choose.
const (
	// MaxManifestSize is the largest manifest or index, unless a caller chooses
	// otherwise. Registries refuse to store larger ones.
	MaxManifestSize = 4 << 20

	// MaxConfigSize is the largest configuration, unless a caller chooses
	// otherwise: history and labels make some of them large.
	MaxConfigSize = 8 << 20

	// MaxLayerSize is the largest layer that a descriptor may announce. As many as
	// fit into a manifest still add up to an int64.
	MaxLayerSize = 16 << 40

	// MaxDepth is how many indexes may lie within each other, unless a caller
	// chooses otherwise.
	MaxDepth = 8

	// MaxEntries is how many entries an index and how many layers a manifest may
	// have, unless it is larger than MaxManifestSize. More with digests do not fit
	// into one; without this limit ones without would take much memory.
	MaxEntries = MaxManifestSize / minEntry

	// MaxHistory is how many entries a configuration's history may have.
	MaxHistory = 100_000

	// MaxDocuments is how many manifests, indexes and configurations are read to
	// find one image.
	MaxDocuments = 1000

	minEntry = 64 // bytes that an entry with a digest takes at least
)

// Media types of Docker's that mean what the OCI's mean.
const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerSchema1  = "application/vnd.docker.distribution.manifest.v1+json"
	dockerSigned1  = "application/vnd.docker.distribution.manifest.v1+prettyjws"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
)

// kind is what a document is.
type kind uint8

const (
	kindUnknown kind = iota
	kindManifest
	kindIndex
	kindSchema1
	kindOther // some other media type
)

func (k kind) String() string {
	return [...]string{"a document", "a manifest", "an index", "a schema 1 manifest", "a document"}[k]
}

// kindOf is the kind that a media type promises. Registries and files give many
// documents a type that says nothing.
func kindOf(mediaType string) kind {
	mediaType, _, _ = strings.Cut(mediaType, ";")
	switch strings.TrimSpace(mediaType) {
	case v1.MediaTypeImageManifest, dockerManifest:
		return kindManifest
	case v1.MediaTypeImageIndex, dockerList:
		return kindIndex
	case dockerSchema1, dockerSigned1:
		return kindSchema1
	case "", "application/json", "application/octet-stream", "text/plain", "text/html":
		return kindUnknown
	}
	return kindOther
}

// field is a JSON value that is only asked whether it is there.
type field bool

func (f *field) UnmarshalJSON(b []byte) error {
	*f = string(b) != "null"
	return nil
}

// count is a JSON array that is only asked whether it is there and how many
// elements it has, which take no memory.
type count = *[]struct{}

// shape is what tells one kind of document from another.
type shape struct {
	SchemaVersion int    `json:"schemaVersion"`
	MediaType     string `json:"mediaType"`
	Manifests     count  `json:"manifests"`
	Config        field  `json:"config"`
	Layers        count  `json:"layers"`
	FSLayers      field  `json:"fsLayers"`
}

// kind says what the fields make of a document.
func (s shape) kind() (kind, error) {
	isIndex, isManifest := s.Manifests != nil, bool(s.Config) || s.Layers != nil
	switch {
	case isManifest && isIndex, bool(s.FSLayers) && (bool(s.Config) || isIndex):
		return kindUnknown, Corruptf("not a manifest: has the fields of two kinds at once")
	case s.SchemaVersion == 1, bool(s.FSLayers):
		return kindSchema1, nil
	case isIndex:
		return kindIndex, nil
	case isManifest:
		return kindManifest, nil
	}
	return kindUnknown, nil
}

// classify says what a document is, from the media type of its descriptor, the
// one it states itself, and its fields; these must agree.
func classify(mediaType string, raw []byte) (kind, error) {
	var doc shape
	if err := json.Unmarshal(raw, &doc); err != nil {
		return kindUnknown, jsonError("a manifest", err)
	}
	if err := CheckKeys(raw); err != nil {
		return kindUnknown, err
	}
	most := max(MaxEntries, len(raw)/minEntry)
	for _, list := range []count{doc.Manifests, doc.Layers} {
		if list != nil && len(*list) > most {
			return kindUnknown, Corruptf("not a manifest: %d entries, over the limit of %d", len(*list), most)
		}
	}
	k, err := doc.kind()
	if err != nil {
		return kindUnknown, err
	}
	for _, stated := range []string{mediaType, doc.MediaType} {
		s := kindOf(stated)
		switch {
		case s == kindOther:
			return kindUnknown, Corruptf("not a container image: its media type is %s (rule 154)", Quote(stated))
		case s == kindUnknown || s == k:
		case k == kindUnknown:
			k = s
		default:
			return kindUnknown, Corruptf("media type %s means %s, but this is %s", Quote(stated), s, k)
		}
	}
	switch {
	case k == kindSchema1:
		return kindUnknown, schema1Error()
	case k == kindUnknown:
		return kindUnknown, Corruptf("not a manifest: has neither layers nor manifests")
	case doc.SchemaVersion != 0 && doc.SchemaVersion != 2:
		return kindUnknown, Corruptf("schema version %d of a manifest is not supported", doc.SchemaVersion)
	}
	return k, nil
}

// jsonError is what is wrong with a document, which may be repeated in part.
func jsonError(what string, err error) error {
	text := err.Error()
	if len(text) > maxQuote {
		text = strings.ToValidUTF8(text[:maxQuote], "") + "…"
	}
	return Corruptf("not %s: %s", what, text)
}

func schema1Error() error {
	err := Corruptf("image manifest of schema 1, which is not supported (rule 161)")
	return WithHint(err, "convert it first: skopeo copy --format oci SOURCE oci:DIR:TAG")
}

// ParseManifest parses a manifest of OCI's or of Docker's schema 2 and checks
// the descriptors in it. The media type is that of its descriptor, empty when
// there is none.
func ParseManifest(mediaType string, raw []byte) (v1.Manifest, error) {
	if err := expect(kindManifest, mediaType, raw); err != nil {
		return v1.Manifest{}, err
	}
	var m v1.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return v1.Manifest{}, jsonError("a manifest", err)
	}
	if err := CheckDescriptor(m.Config, MaxLayerSize); err != nil {
		return v1.Manifest{}, Corruptf("configuration: %w", err)
	}
	for i, l := range m.Layers {
		if err := CheckDescriptor(l, MaxLayerSize); err != nil {
			return v1.Manifest{}, Corruptf("layer %d: %w", i+1, err)
		}
	}
	return m, nil
}

// ParseIndex parses an OCI index or a Docker manifest list. Its descriptors are
// not checked: an entry of another platform may be of a kind not known yet.
func ParseIndex(mediaType string, raw []byte) (v1.Index, error) {
	if err := expect(kindIndex, mediaType, raw); err != nil {
		return v1.Index{}, err
	}
	var idx v1.Index
	if err := json.Unmarshal(raw, &idx); err != nil {
		return v1.Index{}, jsonError("an index", err)
	}
	return idx, nil
}

func expect(want kind, mediaType string, raw []byte) error {
	got, err := classify(mediaType, raw)
	if err == nil && got != want {
		return Corruptf("%s where %s belongs", got, want)
	}
	return err
}

// ParseConfig parses an image's configuration and checks what the layers depend
// on: the type of rootfs and the diffIDs.
func ParseConfig(raw []byte) (v1.Image, error) {
	var lists struct {
		History count `json:"history"`
	}
	if err := json.Unmarshal(raw, &lists); err != nil {
		return v1.Image{}, jsonError("an image configuration", err)
	}
	if err := CheckKeys(raw); err != nil {
		return v1.Image{}, Corruptf("configuration: %w", err)
	}
	if h := lists.History; h != nil && len(*h) > MaxHistory {
		return v1.Image{}, Corruptf("configuration: history of %d entries, over the limit of %d", len(*h), MaxHistory)
	}
	var c v1.Image
	if err := json.Unmarshal(raw, &c); err != nil {
		return v1.Image{}, jsonError("an image configuration", err)
	}
	if t := c.RootFS.Type; t != "" && t != "layers" {
		return v1.Image{}, Corruptf("configuration: rootfs.type is %s, not \"layers\" (rule 153)", Quote(t))
	}
	for i, d := range c.RootFS.DiffIDs {
		if err := CheckDigest(d); err != nil {
			return v1.Image{}, Corruptf("configuration: diffID %d: %w", i+1, err)
		}
	}
	return c, nil
}

// CheckDigest accepts the digests that can be verified: sha256 and sha512, in
// lower-case hexadecimal digits.
func CheckDigest(d digest.Digest) error {
	algorithm, _, _ := strings.Cut(string(d), ":")
	switch digest.Algorithm(algorithm) {
	case digest.SHA256, digest.SHA512:
		if d.Validate() == nil {
			return nil
		}
	default:
		if digest.DigestRegexpAnchored.MatchString(string(d)) {
			return Corruptf("digest %s is neither sha256 nor sha512 and cannot be verified", Quote(string(d)))
		}
	}
	if d == "" {
		return Corruptf("no digest")
	}
	return Corruptf("malformed digest %s", Quote(string(d)))
}

// CheckDescriptor checks a descriptor's digest, its size against the limit, and
// its embedded data, if any, against both.
func CheckDescriptor(d v1.Descriptor, limit int64) error {
	if err := CheckDigest(d.Digest); err != nil {
		return err
	}
	if d.Size < 0 {
		return Corruptf("%s: negative size %d (rule 165)", d.Digest, d.Size)
	}
	if d.Size > limit {
		return Corruptf("%s: size %d is over the limit of %d bytes (rule 165)", d.Digest, d.Size, limit)
	}
	if len(d.Data) > 0 {
		if err := Verify(d, d.Data); err != nil {
			return Corruptf("embedded data: %w", err)
		}
	}
	return nil
}

// Verify checks that a blob is what its descriptor says.
func Verify(d v1.Descriptor, blob []byte) error {
	if err := CheckDigest(d.Digest); err != nil {
		return err
	}
	if int64(len(blob)) != d.Size {
		return Corruptf("%s: %d bytes instead of %d (rule 151)", d.Digest, len(blob), d.Size)
	}
	if got := d.Digest.Algorithm().FromBytes(blob); got != d.Digest {
		return Corruptf("%s: the bytes have digest %s (rule 151)", d.Digest, got)
	}
	return nil
}

// ReadBlob reads r to its end, but at most one byte more than size, which then
// fails in [Verify]: what a [Fetch] function needs.
func ReadBlob(r io.Reader, size int64) ([]byte, error) {
	if size < 0 {
		return nil, fmt.Errorf("reading a blob of negative size %d", size)
	}
	return io.ReadAll(io.LimitReader(r, size+1))
}
