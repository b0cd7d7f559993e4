// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"io"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten/internal/nameless"
	"github.com/seed-81b0d42e/flatten/internal/regtest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// randomImage is a real image of random files: five layers and a platform.
func randomImage(t *testing.T) ggcr.Image {
	t.Helper()
	img, err := random.Image(200_000, 5)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", image.DefaultPlatform().Architecture
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	return img
}

// checkSame compares an image that was opened with the one that was stored.
func checkSame(t *testing.T, img *image.Image, stored ggcr.Image) {
	t.Helper()
	want, err := stored.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if img.Digest.String() != want.String() {
		t.Errorf("digest %s, want %s", img.Digest, want)
	}
	layers, err := stored.Layers()
	if err != nil {
		t.Fatal(err)
	}
	blobs := make([][]byte, len(layers))
	for i, l := range layers {
		r, err := l.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		if blobs[i], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
		r.Close()
	}
	checkLayers(t, img, blobs...)
	for i, l := range img.Layers {
		if got := digest.FromBytes(blobs[i]); got != l.Digest {
			t.Errorf("layer %d: digest %s, want %s", i, l.Digest, got)
		}
	}
}

func TestDistribution(t *testing.T) {
	host := regtest.Distribution(t, regtest.Basic)
	alice := remote.WithAuth(&authn.Basic{Username: regtest.User, Password: regtest.Password})
	oci := func(img ggcr.Image) ggcr.Image {
		return mutate.ConfigMediaType(mutate.MediaType(img, types.OCIManifestSchema1), types.OCIConfigJSON)
	}
	o := quick(t)
	o.User, o.Password = regtest.User, regtest.Password
	for as, stored := range map[string]ggcr.Image{
		"team/app:docker": randomImage(t),
		"team/app:oci":    oci(randomImage(t)),
	} {
		ref, err := name.ParseReference(host + "/" + as)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(ref, stored, alice); err != nil {
			t.Fatal(err)
		}
		checkSame(t, mustOpen(t, ref.String(), o), stored)
		want, err := stored.Digest()
		if err != nil {
			t.Fatal(err)
		}
		checkSame(t, mustOpen(t, host+"/team/app@"+want.String(), o), stored)
	}

	file := filepath.Join(t.TempDir(), "config.json")
	write(t, file, `{"auths":{"`+host+`":{"auth":"`+basic(regtest.User, regtest.Password)+`"}}}`)
	found := quick(t)
	found.Keychain = NewKeychain(KeychainOptions{AuthFile: file})
	mustOpen(t, host+"/team/app:oci", found)

	_, err := Open(t.Context(), host+"/team/app:none", o)
	checkError(t, err, image.ErrNotFound, []string{"/team/app:none: not found"}, "check the name")
	_, err = Open(t.Context(), host+"/team/app:oci", quick(t))
	checkError(t, err, image.ErrDenied, []string{"access denied"}, "docker login "+host)
	o.Password = "wrong"
	_, err = Open(t.Context(), host+"/team/app:oci", o)
	checkError(t, err, image.ErrDenied, []string{"access denied"}, `"alice" were not accepted`)
}

// A real server's answers to ranged requests are understood.
func TestDistributionRanges(t *testing.T) {
	host := regtest.Distribution(t, regtest.Anonymous)
	layer := noise(1, 300_000)
	ref, err := name.ParseReference(host + "/app:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, blobsImage(t, layer)); err != nil {
		t.Fatal(err)
	}
	img := mustOpen(t, ref.String(), quick(t))
	d := img.Closer.(*spool).order[0]
	// A download that broke after 100,000 bytes.
	file, err := nameless.Create(d.spool.dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(layer[:100_000]); err != nil {
		t.Fatal(err)
	}
	d.file, d.have = file, 100_000
	b, err := img.Layers[0].Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	got := make([]byte, len(layer))
	if _, err := b.ReadAt(got, 0); err != nil || !bytes.Equal(got, layer) {
		t.Errorf("resumed: %v", err)
	}
}

// What skopeo copies to a registry is opened.
func TestDistributionSkopeo(t *testing.T) {
	skopeo, err := exec.LookPath("skopeo")
	if err != nil {
		t.Skip("skopeo is not installed (Debian package skopeo)")
	}
	host := regtest.Distribution(t, regtest.Basic)
	stored := mutate.ConfigMediaType(mutate.MediaType(randomImage(t), types.OCIManifestSchema1), types.OCIConfigJSON)
	dir := t.TempDir()
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.AppendImage(stored); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), skopeo, "copy", "--insecure-policy", "--preserve-digests", "--dest-tls-verify=false",
		"--dest-creds", regtest.User+":"+regtest.Password, "oci:"+dir, "docker://"+host+"/copied:1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	o := quick(t)
	o.User, o.Password = regtest.User, regtest.Password
	checkSame(t, mustOpen(t, host+"/copied:1", o), stored)
}
