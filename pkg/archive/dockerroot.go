// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/reference"
)

// openDockerRoot opens an image of a docker-archive with a manifest that is made
// for it: the OCI's, of the configuration and the layers as they are stored. The
// same configuration and layers give the same manifest.
func openDockerRoot(ctx context.Context, t *tarFS, opt Options) (*image.Root, error) {
	s, err := t.saved(opt)
	if err != nil {
		return nil, err
	}
	img, err := t.image(s)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", opt.Source, err)
	}
	m := &madeManifest{config: img.RawConfig, layers: map[digest.Digest]image.Layer{}}
	manifest := v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: v1.MediaTypeImageManifest,
		Config:    v1.Descriptor{MediaType: v1.MediaTypeImageConfig, Digest: img.ConfigDigest, Size: int64(len(img.RawConfig))},
		Layers:    []v1.Descriptor{},
	}
	for i, l := range img.Layers {
		d, err := describeLayer(ctx, l)
		if err != nil {
			return nil, fmt.Errorf("%s: layer %d: %w", opt.Source, i+1, err)
		}
		manifest.Layers = append(manifest.Layers, d)
		m.layers[d.Digest] = l
	}
	raw, err := json.Marshal(manifest)
	if err != nil {
		return nil, err
	}
	root := &image.Root{
		Reference:  opt.Source + selector(opt),
		Descriptor: v1.Descriptor{MediaType: v1.MediaTypeImageManifest},
		Document:   raw,
		Fetch:      m.fetch,
		Copy:       m.copy,
	}
	root.Tag, root.Name = dockerName(s, opt.Tag)
	return root, nil
}

// dockerName is the name of an image in two forms: the wanted one of its tags, or
// the first.
func dockerName(s saved, wanted string) (tag, name string) {
	i := slices.IndexFunc(s.RepoTags, func(tag string) bool { return wanted == "" || sameTag(tag, wanted) })
	if i < 0 {
		return "", ""
	}
	r, err := reference.Parse("docker://" + s.RepoTags[i])
	if err != nil || r.Tag == "" {
		return "", ""
	}
	return r.Tag, r.Name + ":" + r.Tag
}

// madeManifest is what a manifest refers to that is made here.
type madeManifest struct {
	config []byte
	layers map[digest.Digest]image.Layer
}

func (m *madeManifest) fetch(_ context.Context, d v1.Descriptor) ([]byte, error) {
	return m.config, nil // the only document; whoever asks verifies it
}

func (m *madeManifest) copy(ctx context.Context, d v1.Descriptor, offset int64, w io.Writer) error {
	l, ok := m.layers[d.Digest]
	if !ok {
		_, err := w.Write(m.config[min(offset, int64(len(m.config))):])
		return err
	}
	b, err := l.Open(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	return image.CopyBlob(ctx, b, offset, w)
}

// layerTypes are the media types of layers by how they are stored.
var layerTypes = map[form]string{
	formTar:  v1.MediaTypeImageLayer,
	formGzip: v1.MediaTypeImageLayerGzip,
	formZstd: v1.MediaTypeImageLayerZstd,
}

// describeLayer is the descriptor of a layer. One that is not compressed has its
// diffID for a digest. Another one is read, and must have the diffID when it is
// decompressed.
func describeLayer(ctx context.Context, l image.Layer) (v1.Descriptor, error) {
	b, err := l.Open(ctx)
	if err != nil {
		return v1.Descriptor{}, err
	}
	defer b.Close()
	magic, err := readMagic(b)
	if err != nil && magic == formUnknown {
		magic = formTar // whatever it is: its digest will tell
	}
	d := v1.Descriptor{MediaType: layerTypes[magic], Digest: l.DiffID, Size: b.Size()}
	if magic == formTar {
		return d, nil
	}
	stored, plain := digest.SHA256.Digester(), l.DiffID.Algorithm().Digester()
	raw := io.TeeReader(&source{ctx: ctx, r: io.NewSectionReader(b, 0, b.Size())}, stored.Hash())
	z, err := decompressor(magic, raw)
	if err != nil {
		return d, asCorrupt("decompressing", err)
	}
	defer z.Close()
	if _, err := io.Copy(plain.Hash(), z); err != nil {
		return d, asCorrupt("decompressing", err)
	}
	if _, err := io.Copy(io.Discard, raw); err != nil {
		return d, asCorrupt("reading", err)
	}
	if got := plain.Digest(); got != l.DiffID {
		return d, image.Corruptf("the tar has diffID %s instead of %s (rule 151)", got, l.DiffID)
	}
	d.Digest = stored.Digest()
	return d, nil
}
