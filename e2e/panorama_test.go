// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"testing"
)

// TestPanoramaDocument runs the commands of docs/panorama.md, as TestCookbook does
// those of the cookbook, in a folder that has the fixture hello.
func TestPanoramaDocument(t *testing.T) {
	need(t, "bash", "jq", "sha256sum", "diff", "sed", "tar")
	doc, err := os.ReadFile("../docs/panorama.md")
	if err != nil {
		t.Fatal(err)
	}
	recipes := readRecipes(t, string(doc))
	if len(recipes) != 1 || len(recipes[0].blocks) < 6 {
		t.Fatalf("%d recipes: all blocks go on where the first one ended", len(recipes))
	}
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "hello"), os.DirFS("../fixtures/hello")); err != nil {
		t.Fatal(err)
	}
	for _, b := range recipes[0].blocks {
		b.run(t, dir, "")
	}
}
