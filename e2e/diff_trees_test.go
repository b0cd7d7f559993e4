// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	lib "github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/internal/conformance"
	"github.com/seed-81b0d42e/flatten/pkg/diff"
)

// TestDiffTrees flattens the images of all rules, unpacks them with GNU tar, has
// bsdtar say what is there, and compares what differs from one image to the next,
// and back, with what flatten.Diff says of them unpacked.
func TestDiffTrees(t *testing.T) {
	need(t, "tar", "bsdtar")
	if os.Geteuid() != 0 {
		t.Skip("owners and devices need root")
	}
	ctx := context.Background()
	var before *lib.Merged
	var tree map[string]facts
	seen := map[diff.Aspect]int{}
	for _, c := range conformance.Cases() {
		if c.Err != "" || c.Want == nil {
			continue
		}
		after, err := lib.Load(ctx, c.Image(), lib.Options{FollowLowerSymlinks: c.FollowLower})
		if err != nil {
			t.Fatal(err)
		}
		defer after.Close()
		unpacked := unpack(t, after)
		if before != nil {
			for _, pair := range []struct {
				a, b     *lib.Merged
				old, new map[string]facts
			}{{before, after, tree, unpacked}, {after, before, unpacked, tree}} {
				changes, err := lib.Diff(ctx, pair.a, pair.b, lib.Options{}, diff.Options{FileTimes: true, DirTimes: true, HardLinks: true})
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(differences(pair.old, pair.new), changeLines(changes, seen)); d != "" {
					t.Errorf("%s and the case before it: unpacked -, flatten +\n%s", c.ID, d)
				}
			}
		}
		before, tree = after, unpacked
	}
	for a := diff.Type; a <= diff.Time; a <<= 1 {
		if seen[a] == 0 {
			t.Errorf("no two images differ in %v", a)
		}
	}
}

// changeLines are changes by path, without extended attributes, which bsdtar does
// not tell of. seen counts aspects.
func changeLines(changes []diff.Change, seen map[diff.Aspect]int) []string {
	lines := []string{}
	for _, c := range changes {
		for a := diff.Type; a <= diff.Time; a <<= 1 {
			if c.Aspects&a != 0 {
				seen[a]++
			}
		}
		c.Aspects &^= diff.Xattrs
		if c.Kind != diff.Changed || c.Aspects != 0 {
			lines = append(lines, fmt.Sprintf("%q %c %v", c.Path, c.Kind, c.Aspects))
		}
	}
	slices.Sort(lines)
	return lines
}

// facts are the keywords of a path in an mtree(5) specification.
type facts map[string]string

// unpack is what bsdtar says of the folder to which GNU tar unpacks an image.
func unpack(t *testing.T, m *lib.Merged) map[string]facts {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "flat.tar")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := m.Write(t.Context(), lib.Options{Output: f, Uncompressed: true}); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(dir, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, "tar", "--numeric-owner", "--delay-directory-restore", "-xpf", file, "-C", root)
	cmd := exec.Command("bsdtar", "-cf", "-", "--format=mtree",
		"--options=mtree:!all,mtree:type,mtree:mode,mtree:uid,mtree:gid,mtree:size,mtree:sha256,mtree:link,mtree:device,mtree:time,mtree:inode", ".")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("bsdtar: %v", err)
	}
	tree := map[string]facts{}
	for line := range strings.Lines(string(out)) {
		name, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if !strings.HasPrefix(name, "./") {
			continue
		}
		tree[name[2:]] = facts{}
		for _, word := range strings.Fields(rest) {
			key, value, _ := strings.Cut(word, "=")
			tree[name[2:]][key] = value
		}
	}
	return tree
}

// differences compares two trees as changeLines writes it.
func differences(old, new map[string]facts) []string {
	lines := []string{}
	first := [2]map[string]string{firstNames(old, new), firstNames(new, old)}
	for name, a := range old {
		b := new[name]
		if b == nil {
			lines = append(lines, fmt.Sprintf("%q D ", unvis(name)))
			continue
		}
		var d diff.Aspect
		for aspect, keys := range map[diff.Aspect][]string{
			diff.Type: {"type"}, diff.Mode: {"mode"}, diff.Owner: {"uid", "gid"}, diff.Content: {"size", "sha256digest"},
			diff.Target: {"link"}, diff.Device: {"device"}, diff.Time: {"time"},
		} {
			for _, key := range keys {
				if a[key] != b[key] && !(key == "time" && sameSecond(a[key], b[key])) {
					d |= aspect
				}
			}
		}
		if first[0][a["inode"]] != first[1][b["inode"]] {
			d |= diff.HardLink
		}
		if d&diff.Type != 0 { // the rest is not to be compared
			d &= diff.Type | diff.Owner
		}
		if a["type"] == "link" {
			d &^= diff.Mode
		}
		if d != 0 {
			lines = append(lines, fmt.Sprintf("%q C %v", unvis(name), d))
		}
	}
	for name := range new {
		if old[name] == nil {
			lines = append(lines, fmt.Sprintf("%q A ", unvis(name)))
		}
	}
	slices.Sort(lines)
	return lines
}

// sameSecond compares times of which one has no fraction.
func sameSecond(a, b string) bool {
	sec, nsec, _ := strings.Cut(a, ".")
	sec2, nsec2, _ := strings.Cut(b, ".")
	return sec == sec2 && (nsec == "0" || nsec2 == "0")
}

// firstNames are, by inode, the least names that both trees have, of one type.
func firstNames(tree, other map[string]facts) map[string]string {
	first := map[string]string{}
	for name, f := range tree {
		least, ok := first[f["inode"]]
		if o := other[name]; o != nil && o["type"] == f["type"] && (!ok || name < least) {
			first[f["inode"]] = name
		}
	}
	return first
}

// unvis undoes the escapes of mtree(5): bytes as three octal digits.
func unvis(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c == '\\' {
			c = (name[i+1]-'0')<<6 + (name[i+2]-'0')<<3 + (name[i+3] - '0')
			i += 3
		}
		b.WriteByte(c)
	}
	return b.String()
}
