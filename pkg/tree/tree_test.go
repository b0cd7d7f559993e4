// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package tree_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	. "github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
	"github.com/seed-81b0d42e/flatten/pkg/tree"
	"github.com/seed-81b0d42e/flatten/pkg/whiteout"
)

func treeOf(t *testing.T, layers ...Blob) *tree.Tree {
	t.Helper()
	img := Image(layers...)
	var tables []*toc.Layer
	for i := range img.Layers {
		blob, err := img.Layers[i].Open(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		l, err := toc.Scan(context.Background(), blob, toc.Options{Size: -1})
		if err != nil {
			t.Fatal(err)
		}
		tables = append(tables, l)
	}
	v, err := whiteout.Merge(tables, whiteout.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return tree.Of(v)
}

// files is a layer with what the tests look for.
func files() Blob {
	return Layer(
		Dir("usr"), Dir("usr/bin"), File("usr/bin/perl", "1"), File("usr/bin/[", "1"),
		Symlink("usr/bin/awk", "/etc/alternatives/awk"), File("usr/bin/.hidden", ""),
		Symlink("bin", "usr/bin"), Dir("etc"), Dir("etc/alternatives"),
		Symlink("etc/alternatives/awk", "../../usr/bin/perl"), File("etc/passwd", "1"),
		Symlink("etc/out", "../../../../etc/passwd"), Symlink("etc/nowhere", "/no/where"),
		Symlink("etc/loop", "loop"), Symlink("etc/link", "/bin/"), File("etc/a b*", ""),
		File("etc/x1", ""), File("etc/x2", ""), File("etc/.x3", ""), Link("etc/hard", "etc/loop"),
	)
}

func name(t *tree.Tree, i int32) string {
	if i == tree.Root {
		return "/"
	}
	return t.View().Paths[i].Name
}

func TestFind(t *testing.T) {
	tr := treeOf(t, files())
	for _, tt := range []struct {
		path, want string
		follow     bool
	}{
		{"", "/", false}, {"/", "/", false}, {".", "/", false}, {"..", "/", false}, {"//./", "/", true},
		{"usr", "usr", false}, {"/usr/", "usr", false}, {"usr/bin/../../etc", "etc", false},
		{"bin", "bin", false}, {"bin", "usr/bin", true}, {"bin/", "usr/bin", false}, {"bin/.", "usr/bin", false},
		{"/bin/perl", "usr/bin/perl", false}, {"bin/..", "usr", false},
		{"bin/awk", "usr/bin/awk", false}, {"bin/awk", "usr/bin/perl", true},
		{"etc/out", "etc/passwd", true}, {"etc/link", "usr/bin", true}, {"etc/link/perl", "usr/bin/perl", false},
		{"etc/nowhere", "etc/nowhere", false}, {"etc/loop", "etc/loop", false}, {"etc/hard", "etc/hard", false},
	} {
		if got, err := tr.Find(tt.path, tt.follow); err != nil || name(tr, got) != tt.want {
			t.Errorf("%q, follow %v: %d, %v, want %s", tt.path, tt.follow, got, err, tt.want)
		}
	}
}

func TestNotFound(t *testing.T) {
	tr := treeOf(t, files())
	for _, tt := range []struct{ path, text, hint string }{
		{"etc/password", `"etc/password": no such path`, `did you mean "/etc/passwd"?`},
		{"/ect/passwd", "no such path", `did you mean "/etc"?`},
		{"bin/prel", `"bin/prel": no such path`, `did you mean "/usr/bin/perl"?`},
		{"etc/zzzzzz", "no such path", `"/etc" is there`},
		{"zzzzzz", "no such path", ""},
		{"etc/passwd/", `"etc/passwd" is not a directory`, ""},
		{"etc/passwd/x", "is not a directory", ""},
		{"etc/nowhere", `leads to "/no", which is not`, ""},
		{"etc/loop", "too many symbolic links", ""},
		{"etc/hard/x", "too many symbolic links", ""},
		{"etc/\x1b[2J", `"etc/\x1b[2J"`, ""},
		{strings.Repeat("n", 5000), "…", ""},
	} {
		_, err := tr.Find(tt.path, true)
		if !errors.Is(err, image.ErrNotFound) {
			t.Fatalf("%q: %v", tt.path, err)
		}
		if got := err.Error() + " " + image.Hint(err); !strings.Contains(got, tt.text) || !strings.Contains(got, tt.hint) {
			t.Errorf("%q: %s", tt.path, got)
		}
	}
}

func globbed(tr *tree.Tree, pattern string) ([]string, error) {
	list, err := tr.Glob(pattern)
	var got []string
	for _, m := range list {
		got = append(got, m.Path)
	}
	return got, err
}

func TestGlob(t *testing.T) {
	tr := treeOf(t, files())
	for pattern, want := range map[string][]string{
		"etc/x?":        {"etc/x1", "etc/x2"},
		"/etc/x[!1]":    {"/etc/x2"},
		"/etc/x[^1]":    {"/etc/x2"},
		"*/bin/p*":      {"usr/bin/perl"},
		"bin/p*":        {"bin/perl"},
		"*/":            {"bin/", "etc/", "usr/"},
		"etc/.x*":       {"etc/.x3"},
		"usr/bin/[":     {"usr/bin/["},
		"etc/a b*":      {"etc/a b*"},
		`etc/a b\*`:     {"etc/a b*"},
		"./e*/../usr/*": {"./etc/../usr/bin"},
		"etc/nowh*":     {"etc/nowhere"},
		"bin":           {"bin"},
		"":              {""},
	} {
		if got, err := globbed(tr, pattern); err != nil || !cmp.Equal(got, want) {
			t.Errorf("%q: %q, %v, want %q", pattern, got, err, want)
		}
	}
	for _, pattern := range []string{"etc/y*", "etc/[", "*/passwd/*", "etc/nowh*/", "passwd", "etc/x[1"} {
		if got, err := globbed(tr, pattern); !errors.Is(err, image.ErrNotFound) {
			t.Errorf("%q: %q, %v", pattern, got, err)
		}
	}
}

// A shell whose root is the unpacked image expands patterns to the same paths.
func TestGlobAsShell(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("chroot needs root")
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("needs busybox")
	}
	layer := files()
	tr := treeOf(t, layer)
	root := unpack(t, layer)
	b, err := os.ReadFile(busybox)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "busybox"), b, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("chroot", root, "/busybox", "true").CombinedOutput(); err != nil {
		t.Skipf("busybox does not run in a chroot: %v: %s", err, out)
	}
	for _, pattern := range []string{
		"etc/x?", "/etc/x[!1]", "*/bin/p*", "bin/p*", "e*/", "etc/.x*", "usr/bin/[p[]*", "e*/../usr/*",
		"etc/nowh*", "etc/l*", "etc/l*/", "../../etc/*w*", "bin/../bin/*", "//etc/a*",
	} {
		cmd := exec.Command("chroot", root, "/busybox", "sh", "-c", `printf '%s\n' `+pattern)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		want := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
		if got, err := globbed(tr, pattern); err != nil || !cmp.Equal(got, want) {
			t.Errorf("%q: %q, %v, want %q", pattern, got, err, want)
		}
	}
}

// unpack writes the directories, files and links of a layer to a folder.
func unpack(t *testing.T, layer Blob) string {
	t.Helper()
	root := t.TempDir()
	r := tar.NewReader(bytes.NewReader(layer.Tar))
	for {
		h, err := r.Next()
		if err != nil {
			return root
		}
		name := filepath.Join(root, h.Name)
		switch h.Typeflag {
		case tar.TypeDir:
			err = os.Mkdir(name, 0o755)
		case tar.TypeSymlink:
			err = os.Symlink(h.Linkname, name)
		case tar.TypeLink:
			err = os.Link(filepath.Join(root, h.Linkname), name)
		default:
			err = os.WriteFile(name, nil, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Folders list what is in them by the bytes of the names.
func TestChildren(t *testing.T) {
	tr := treeOf(t, Layer(File("b", ""), File("a/z", ""), File("a.b", ""), File("a/y/x", ""), File("B", "")))
	var got []string
	var walk func(int32)
	walk = func(dir int32) {
		for _, id := range tr.Children(dir) {
			got = append(got, fmt.Sprint(name(tr, id), " ", tr.Base(id), " ", tr.Dir(id)))
			walk(id)
		}
	}
	walk(tree.Root)
	want := []string{"B B false", "a a true", "a/y y true", "a/y/x x false", "a/z z false", "a.b a.b false", "b b false"}
	if !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
	if len(treeOf(t, Layer()).Children(tree.Root)) != 0 {
		t.Error("an empty image has paths")
	}
}
