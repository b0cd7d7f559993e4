// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package layout_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/pkg/layout"
)

func ExampleStore() {
	parent, err := os.MkdirTemp("", "store-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(parent)
	dir := filepath.Join(parent, "store")
	if err := keep(context.Background(), "../../fixtures/hello", dir); err != nil {
		fmt.Println(err)
		return
	}
	g, err := layout.RemoveGarbage(context.Background(), dir, layout.StoreOptions{}, false)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(g.Blobs), "blobs removed,", g.Kept, "kept")
	// Output:
	// oci:store:app has 7 blobs, 7 of them new
	// 0 blobs removed, 7 kept
}

// keep copies the image in a layout, for one platform, into a store.
func keep(ctx context.Context, from, dir string) error {
	root, err := layout.OpenRootDir(ctx, from, layout.Options{})
	if err != nil {
		return err
	}
	defer root.Close()
	store, err := layout.CreateStore(ctx, dir, layout.StoreOptions{Source: "oci:store"})
	if err != nil {
		return err
	}
	defer store.Close()
	added, err := store.Add(ctx, root, layout.AddOptions{
		Tag:      "app",
		Platform: &v1.Platform{OS: "linux", Architecture: "amd64"},
	})
	if err != nil {
		return err
	}
	fmt.Printf("%s has %d blobs, %d of them new\n", added.Reference, added.Blobs, added.Copied)
	return nil
}
