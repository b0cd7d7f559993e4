// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// TestRule runs every case: as it is, for the strict, and to canonical output.
func TestRule(t *testing.T) {
	for _, c := range Cases() {
		t.Run(c.ID, func(t *testing.T) {
			t.Parallel()
			if c.Err != "" || c.Want == nil {
				c.testRejected(t)
				return
			}
			output := c.testAccepted(t)
			c.testStrict(t)
			c.testCanonical(t, output)
		})
	}
}

// flatten flattens the case's image, or another. An image for another operating
// system is first checked as every source does.
func (c *Case) flatten(img *image.Image, opts flatten.Options) ([]byte, *flatten.Result, error) {
	if c.OS != "" {
		if err := image.CheckPlatform(img, image.Options{}); err != nil {
			return nil, nil, err
		}
	}
	var out bytes.Buffer
	opts.Output = &out
	opts.RootEntry = c.RootEntry
	opts.FollowLowerSymlinks = c.FollowLower
	result, err := flatten.Flatten(context.Background(), img, opts)
	return out.Bytes(), result, err
}

func (c *Case) testRejected(t *testing.T) {
	for _, opts := range []flatten.Options{{}, {Strict: true}, {Canonical: true}} {
		out, _, err := c.flatten(c.Image(), opts)
		c.checkError(t, out, err, c.Err)
	}
}

// checkError wants an error that is of the image's making, speaks of what is
// wrong and where, and leaves nothing that could be taken for an output.
func (c *Case) checkError(t *testing.T, out []byte, err error, part string) {
	t.Helper()
	if err == nil {
		t.Fatalf("accepted as\n%s", strings.Join(lines(t, c, out), "\n"))
	}
	if !errors.Is(err, image.ErrCorrupt) {
		t.Errorf("the error is not image.ErrCorrupt: %v", err)
	}
	if !strings.Contains(err.Error(), part) {
		t.Errorf("the error does not speak of %s: %v", part, err)
	}
	if c.OS == "" && !strings.Contains(err.Error(), "layer ") {
		t.Errorf("the error does not name a layer: %v", err)
	}
	if tar, err := tartest.Gunzip(out); err == nil {
		t.Errorf("the error leaves a sound gzip of %d bytes", len(tar))
	}
}

func (c *Case) testAccepted(t *testing.T) []byte {
	if strconv.IntSize == 32 && strings.Contains(strings.Join(c.Want, " "), "4294967294") {
		t.Skip("archive/tar, which reads the output here, has owners in an int")
	}
	out, result, err := c.flatten(c.Image(), flatten.Options{})
	if err != nil {
		t.Fatalf("rejected: %v", err)
	}
	if diff := cmp.Diff(sorted(c.Want), lines(t, c, out)); diff != "" {
		t.Errorf("the tree (- want, + got):\n%s", diff)
	}
	if diff := cmp.Diff(c.Warn, rules(result.Warnings), cmp.Transformer("sort", sortedSet)); diff != "" {
		t.Errorf("warnings by rule (- want, + got):\n%s%v", diff, result.Warnings)
	}
	if again, _, err := c.flatten(c.Image(), flatten.Options{Jobs: 1}); err != nil || !bytes.Equal(again, out) {
		t.Errorf("not the same bytes with one job: %d and %d bytes, %v", len(out), len(again), err)
	}
	if encoded, _, err := c.flatten(c.Image(), flatten.Options{Level: 1}); err != nil || !bytes.Equal(gunzip(t, encoded), gunzip(t, out)) {
		t.Errorf("spliced and encoded outputs hold different tars, %v", err)
	}
	if result.Entries != len(c.Want) {
		t.Errorf("the result tells of %d entries, the tree has %d", result.Entries, len(c.Want))
	}
	return out
}

func gunzip(t *testing.T, out []byte) []byte {
	t.Helper()
	tar, err := tartest.Gunzip(out)
	if err != nil {
		t.Fatal(err)
	}
	return tar
}

func (c *Case) testStrict(t *testing.T) {
	out, _, err := c.flatten(c.Image(), flatten.Options{Strict: true})
	switch {
	case len(c.Warn) > 0:
		c.checkError(t, out, err, "rule ")
	case err != nil:
		t.Errorf("rejected by the strict: %v", err)
	}
}

// testCanonical wants the same tree in canonical output, and the same bytes
// from other images of that tree: with the layers stored in another way, and
// with the default output as their only layer.
func (c *Case) testCanonical(t *testing.T, output []byte) {
	canonical := func(what string, img *image.Image) []byte {
		out, _, err := c.flatten(img, flatten.Options{Canonical: true})
		if err != nil {
			t.Fatalf("canonical, %s: rejected: %v", what, err)
		}
		return out
	}
	want := canonical("as it is", c.Image())
	if diff := cmp.Diff(sorted(c.Canonical), lines(t, c, want)); diff != "" {
		t.Errorf("the canonical tree (- want, + got):\n%s", diff)
	}
	flat, err := tartest.Gunzip(output)
	if err != nil {
		t.Fatal(err)
	}
	for what, img := range map[string]*image.Image{
		"as gzip":        stored(c.Layers, tartest.Blob.Gzip),
		"as zstd":        stored(c.Layers, tartest.Blob.Zstd),
		"flattened once": tartest.Image(tartest.Plain(flat)),
	} {
		if got := canonical(what, img); !bytes.Equal(got, want) {
			t.Errorf("canonical, %s: not the same bytes\n%s", what, cmp.Diff(lines(t, c, want), lines(t, c, got)))
		}
	}
}

// TestEpoch is what rules 80 and 168 say of Options.Epoch.
func TestEpoch(t *testing.T) {
	c := accepts(80, "epoch",
		tree(`d/ @5`, `d/x "1"`, `y "2" @3`),
		layer(file("d/x", "1"), file("y", "2").At(3))).
		canonical(`d/ @5`, `d/x "1" @5`, `y "2" @3`)
	epoch := time.Unix(5, 0)
	for want, opts := range map[*[]string]flatten.Options{
		&c.Want:      {Epoch: &epoch},
		&c.Canonical: {Epoch: &epoch, Canonical: true},
	} {
		out, _, err := c.flatten(c.Image(), opts)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(sorted(*want), lines(t, &c, out)); diff != "" {
			t.Errorf("canonical %v (- want, + got):\n%s", opts.Canonical, diff)
		}
	}
}

// stored is an image of the layers' streams, stored in another way.
func stored(layers []tartest.Blob, how func(tartest.Blob) tartest.Blob) *image.Image {
	other := slices.Clone(layers)
	for i := range other {
		other[i] = how(other[i])
	}
	return tartest.Image(other...)
}

// lines reads an output and checks it against the contract of rules 167 to 169.
func lines(t *testing.T, c *Case, out []byte) []string {
	t.Helper()
	tar, err := tartest.Gunzip(out)
	if err != nil {
		t.Fatalf("the output is no gzip: %v", err)
	}
	tree, err := tartest.Read(tar)
	if err != nil {
		t.Fatalf("the output is no tar: %v", err)
	}
	for _, fault := range tree.Faults {
		t.Errorf("the output breaks its contract: %s", fault)
	}
	if tree.Root != nil {
		root := *tree.Root
		root.Path = "."
		tree.Nodes = append(tree.Nodes, root)
	}
	for i := range tree.Nodes {
		tree.Nodes[i].Records = slices.DeleteFunc(tree.Nodes[i].Records, optional)
	}
	return sorted(tree.Lines())
}

// optional are the records that rule 103 lets an output have or not: they are
// attributes to the tools that wrote them, and nothing to a container.
func optional(r tartest.Record) bool {
	return strings.HasPrefix(r.Key, "LIBARCHIVE.xattr.") || strings.HasPrefix(r.Key, "SCHILY.acl.")
}

func sorted(lines []string) []string {
	lines = slices.Clone(lines)
	slices.Sort(lines)
	return lines
}

// sortedSet is the rules, each once, in order.
func sortedSet(rules []int) []string {
	var set []string
	for _, r := range slices.Compact(slices.Sorted(slices.Values(rules))) {
		set = append(set, fmt.Sprintf("rule %d", r))
	}
	return set
}

func rules(warnings []image.Warning) []int {
	var rules []int
	for _, w := range warnings {
		rules = append(rules, w.Rule)
	}
	return rules
}
