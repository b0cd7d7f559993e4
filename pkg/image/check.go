// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// errNotImage is a manifest of something that is not a container image.
var errNotImage = errors.New("not a container image")

const (
	attestationKey   = "vnd.docker.reference.type"
	attestationValue = "attestation-manifest"
	inTotoType       = "application/vnd.in-toto+json"
)

// IsAttestation reports whether a descriptor is that of a statement about an
// image, which BuildKit puts beside the image and which is never chosen (155).
func IsAttestation(d v1.Descriptor) bool {
	if d.Annotations[attestationKey] == attestationValue {
		return true
	}
	return d.Platform != nil && d.Platform.OS == "unknown" && d.Platform.Architecture == "unknown"
}

// Eligible reports whether an entry of an index may be chosen when it is not named
// itself: whether it can be an image or an index of images (154, 155).
func Eligible(d v1.Descriptor) bool {
	return !IsAttestation(d) && !isArtifactType(d.ArtifactType) && kindOf(d.MediaType) != kindOther
}

func attestationError(d digest.Digest) error {
	return Corruptf("manifest %s: %w: it is an attestation about one (rule 155)", d, errNotImage)
}

// isArtifactType reports whether an artifactType says that a manifest is not an
// image's.
func isArtifactType(t string) bool {
	return t != "" && !isConfigType(t) && kindOf(t) != kindManifest
}

// isConfigType reports whether a media type is that of an image's configuration.
// The ones that say nothing are what Docker before 1.10 and some registries stored.
func isConfigType(t string) bool {
	switch t {
	case v1.MediaTypeImageConfig, dockerConfig, "", "application/octet-stream", "application/json", "text/html":
		return true
	}
	return false
}

// checkImage checks that a manifest is an image's and not an artifact's, without
// a look at its configuration (154, 155).
func checkImage(m v1.Manifest) error {
	inToto := func(l v1.Descriptor) bool { return l.MediaType == inTotoType }
	switch {
	case len(m.Layers) > 0 && !slices.ContainsFunc(m.Layers, func(l v1.Descriptor) bool { return !inToto(l) }):
		return Corruptf("%w: it is an attestation about one (rule 155)", errNotImage)
	case isArtifactType(m.ArtifactType):
		return Corruptf("%w: its artifact type is %s (rule 154)", errNotImage, Quote(m.ArtifactType))
	case !isConfigType(m.Config.MediaType):
		return Corruptf("%w: its configuration's media type is %s (rule 154)", errNotImage, Quote(m.Config.MediaType))
	}
	return nil
}

// New makes an image of a manifest, by its descriptor, and its configuration,
// both verified already. Like [Resolve], it returns the layers' descriptors.
func New(d v1.Descriptor, manifest, config []byte) (*Image, []v1.Descriptor, error) {
	return newImage(&document{Descriptor: d, raw: manifest, config: config})
}

func newImage(doc *document) (*Image, []v1.Descriptor, error) {
	m, err := ParseManifest(doc.MediaType, doc.raw)
	if err == nil {
		err = checkImage(m)
	}
	if err != nil {
		return nil, nil, err
	}
	img, err := parseConfig(doc.config)
	if err != nil {
		return nil, nil, err
	}
	layers, err := pairLayers(img, m.Layers)
	if err != nil {
		return nil, nil, err
	}
	img.Digest, img.Manifest = doc.Digest, doc.raw
	img.MediaType = m.MediaType
	if img.MediaType == "" {
		img.MediaType = doc.MediaType
	}
	if doc.Platform != nil && doc.Platform.Architecture != "" {
		adoptPlatform(img, NormalizePlatform(*doc.Platform))
	}
	return img, layers, nil
}

// NewFromConfig makes an image of a configuration alone, for a source without
// manifests that has this many layers. Its layers have a diffID and no more.
func NewFromConfig(config []byte, layers int) (*Image, error) {
	img, err := parseConfig(config)
	if err != nil {
		return nil, err
	}
	if n := len(img.Config.RootFS.DiffIDs); n != layers {
		return nil, pairError(layers, n)
	}
	for _, d := range img.Config.RootFS.DiffIDs {
		img.Layers = append(img.Layers, Layer{DiffID: d, Size: -1})
	}
	return img, nil
}

// parseConfig makes an image without layers.
func parseConfig(raw []byte) (*Image, error) {
	c, err := ParseConfig(raw)
	if err != nil {
		return nil, err
	}
	img := &Image{
		ConfigDigest: digest.FromBytes(raw),
		RawConfig:    raw,
		Config:       c,
		Platform:     NormalizePlatform(c.Platform),
	}
	return img, nil
}

// isLayerType reports whether a media type is that of a layer, in whatever
// compression.
func isLayerType(t string) bool {
	return t == "" ||
		strings.HasPrefix(t, v1.MediaTypeImageLayer) ||
		strings.HasPrefix(t, "application/vnd.oci.image.layer.nondistributable.v1.tar") ||
		strings.HasPrefix(t, "application/vnd.docker.image.rootfs.diff.tar") ||
		strings.HasPrefix(t, "application/vnd.docker.image.rootfs.foreign.diff.tar")
}

// pairLayers gives the image its layers, each with the diffID in the same place.
func pairLayers(img *Image, layers []v1.Descriptor) ([]v1.Descriptor, error) {
	diffIDs := img.Config.RootFS.DiffIDs
	kept := make([]v1.Descriptor, 0, len(layers))
	var odd string
	for i, l := range layers {
		switch {
		case strings.Contains(l.MediaType, "+encrypted"):
			return nil, Corruptf("layer %d is encrypted: its media type is %s (rule 147)", i+1, Quote(l.MediaType))
		case isLayerType(l.MediaType):
			kept = append(kept, l)
		case odd == "":
			odd = fmt.Sprintf("layer %d is not a layer: its media type is %s", i+1, Quote(l.MediaType))
		}
	}
	switch {
	case len(kept) == len(diffIDs) && odd != "":
		img.warn(156, "%s; left out, as the configuration does not count it", odd)
	case odd != "":
		return nil, Corruptf("%s (rule 156)", odd)
	case len(kept) != len(diffIDs):
		return nil, pairError(len(kept), len(diffIDs))
	}
	for i, l := range kept {
		img.Layers = append(img.Layers, Layer{Digest: l.Digest, DiffID: diffIDs[i], Size: l.Size, MediaType: l.MediaType})
	}
	return kept, nil
}

func pairError(layers, diffIDs int) error {
	return Corruptf("%d layers, but the configuration has %d diffIDs (rule 152)", layers, diffIDs)
}

// adoptPlatform gives the image the platform that its descriptor in an index
// states: by that it was chosen.
func adoptPlatform(img *Image, stated v1.Platform) {
	said := img.Platform
	img.Platform = stated
	if img.Config.Architecture != "" && (said.OS != stated.OS || said.Architecture != stated.Architecture) {
		img.warn(160, "the index says %s, the configuration says %s", ShowPlatform(stated), ShowPlatform(said))
	}
}

// CheckPlatform compares an image with the platform that is wanted. A mismatch is
// [ErrNotFound] when it was asked for; otherwise it adds a warning, or is an
// error when the operating system is not linux (127, 160).
func CheckPlatform(img *Image, opt Options) error {
	want, asked := opt.platform()
	have := img.Platform
	if have.Architecture == "" {
		img.warn(160, "the configuration does not say for which architecture the image is")
		have.Architecture, have.Variant = want.Architecture, want.Variant
	}
	// Most configurations leave the variant out, and then it is not known.
	if img.Config.Variant == "" && have.Variant == NormalizePlatform(img.Config.Platform).Variant && have.Architecture == want.Architecture {
		have.Variant = want.Variant
	}
	runs := rank(want, have) < otherArch
	switch {
	case have.OS != want.OS && !asked:
		err := Corruptf("the image is for %s: only linux images are flattened unless asked for (rule 127)", ShowPlatform(img.Platform))
		return WithHint(err, "ask for it with --platform %s", ShowPlatform(img.Platform))
	case !runs && asked:
		err := NotFoundf("no image for %s: there is %s (rule 160)", ShowPlatform(want), ShowPlatform(img.Platform))
		return WithHint(err, "choose it with --platform %s", ShowPlatform(img.Platform))
	case !runs:
		img.warn(160, "the image is for %s, not for %s", ShowPlatform(img.Platform), ShowPlatform(want))
	}
	return nil
}

func (img *Image) warn(rule int, format string, args ...any) {
	img.Warnings = append(img.Warnings, Warning{Rule: rule, Layer: -1, Text: fmt.Sprintf(format, args...)})
}
