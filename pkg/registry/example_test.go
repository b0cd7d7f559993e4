// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/registry"
)

func Example() {
	server := httptest.NewServer(ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	ref := strings.TrimPrefix(server.URL, "http://") + "/team/app:1"
	push(ref)

	ctx := context.Background()
	home, _ := os.UserHomeDir()
	img, err := registry.Open(ctx, ref, registry.Options{
		Keychain: registry.NewKeychain(registry.KeychainOptions{Home: home}),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer img.Close()

	blob, err := img.Layers[0].Open(ctx) // returns at once, and the download begins
	if err != nil {
		log.Fatal(err)
	}
	defer blob.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, io.NewSectionReader(blob, 0, blob.Size())); err != nil {
		log.Fatal(err)
	}
	fmt.Println("layers:", len(img.Layers))
	fmt.Println("as the manifest says:", fmt.Sprintf("sha256:%x", hash.Sum(nil)) == string(img.Layers[0].Digest))

	// Output:
	// layers: 2
	// as the manifest says: true
}

// push stores an image of two layers of random files.
func push(as string) {
	img, err := random.Image(1<<20, 2)
	if err != nil {
		log.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		log.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", image.DefaultPlatform().Architecture
	if img, err = mutate.ConfigFile(img, config); err != nil {
		log.Fatal(err)
	}
	ref, err := name.ParseReference(as)
	if err != nil {
		log.Fatal(err)
	}
	if err := remote.Write(ref, img); err != nil {
		log.Fatal(err)
	}
}
