// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package diff_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	. "github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/diff"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
	"github.com/seed-81b0d42e/flatten/pkg/tree"
	"github.com/seed-81b0d42e/flatten/pkg/whiteout"
)

// stack is a filesystem and the tar streams that it is made of.
type stack struct {
	*tree.Tree
	layers []Blob
}

func merge(t *testing.T, layers ...Blob) stack {
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
	return stack{tree.Of(v), layers}
}

// body is what an entry that is not sparse holds.
func (s stack) body(at whiteout.Position) string {
	e := s.View().Entry(at)
	return string(s.layers[at.Layer].Tar[e.Body() : e.Body()+e.Size])
}

// compare lists changes and the pairs of files that had to be read.
func compare(t *testing.T, before, after stack, opts diff.Options) (changes []diff.Change, read []string) {
	t.Helper()
	changes, err := diff.Compare(before.Tree, after.Tree, func(pairs []diff.Pair) ([]bool, error) {
		same := make([]bool, len(pairs))
		for i, p := range pairs {
			read = append(read, before.View().Entry(p.Old).Name)
			same[i] = before.body(p.Old) == after.body(p.New)
		}
		return same, nil
	}, opts)
	if err != nil {
		t.Fatal(err)
	}
	return changes, read
}

// lines are changes as a test writes them: "C /etc/passwd mode, content".
func lines(changes []diff.Change) string {
	var b strings.Builder
	for _, c := range changes {
		fmt.Fprintf(&b, "%v %v\n", c, c.Aspects)
	}
	return strings.ReplaceAll(b.String(), " \n", "\n")
}

func TestCompare(t *testing.T) {
	base := Layer(Dir("d"), File("d/f", "1234"), File("g", "1"), Symlink("s", "g"))
	for name, tt := range map[string]struct {
		before, after []Blob
		opts          diff.Options
		want          string
		read          string // files whose bytes had to be compared
	}{
		"the same layer": {
			before: []Blob{base}, after: []Blob{base.Gzip()},
			opts: diff.Options{FileTimes: true, DirTimes: true, HardLinks: true},
		},
		"the same in other layers": {
			before: []Blob{base}, after: []Blob{Layer(File("g", "1"), Symlink("./s", "g"), File("x", "")), Layer(Whiteout("x"), Dir("/d"), File("d/f", "1234"))},
			opts: diff.Options{FileTimes: true, DirTimes: true, HardLinks: true},
			read: "d/f g",
		},
		"added and deleted, in the order of a walk": {
			before: []Blob{base, Layer(File("z/y/x", ""))}, after: []Blob{base, Layer(File("d.a", ""), File("d/e/1", ""), Whiteout("s"))},
			want: "A /d/e\nA /d/e/1\nA /d.a\nD /s\nD /z\nD /z/y\nD /z/y/x\n",
		},
		"size and bytes": {
			before: []Blob{base}, after: []Blob{base, Layer(File("d/f", "123"), File("g", "2"))},
			want: "C /d/f content\nC /g content\n", read: "g",
		},
		"nothing to read of empty files": {
			before: []Blob{Layer(File("e", ""))}, after: []Blob{Layer(File("x", ""), File("e", ""))},
			want: "A /x\n",
		},
		"metadata": {
			before: []Blob{base},
			after:  []Blob{Layer(Dir("d").Mode(0o700), File("d/f", "1234").Owner(1, 0), File("g", "1").Mode(0o4644).Owner(0, 1), Symlink("s", "d/f").Mode(0o700))},
			want:   "C /d mode\nC /d/f owner\nC /g mode, owner\nC /s target\n", read: "d/f g",
		},
		"extended attributes, in any order": {
			before: []Blob{Layer(File("a", "").Xattr("user.a", "1").Xattr("user.b", "2"), File("b", "").Xattr("user.a", "1"))},
			after:  []Blob{Layer(File("x", ""), File("a", "").Xattr("user.b", "2").Xattr("user.a", "1"), File("b", "").Xattr("user.a", ""))},
			want:   "C /b xattrs\nA /x\n",
		},
		"devices": {
			before: []Blob{Layer(Char("c", 1, 3), Block("b", 8, 0), Fifo("p"))},
			after:  []Blob{Layer(Char("c", 1, 5), Block("b", 8, 0), Char("p", 1, 3))},
			want:   "C /c device\nC /p type\n",
		},
		"types": {
			before: []Blob{base},
			after:  []Blob{Layer(File("d", "").Owner(1, 1), Symlink("g", "s"), Dir("s"), File("s/x", ""))},
			want:   "C /d type, owner\nD /d/f\nC /g type\nC /s type\nA /s/x\n",
		},
		"times do not count unasked": {
			before: []Blob{base}, after: []Blob{Layer(Dir("d").At(1), File("d/f", "1234").At(2), File("g", "1"), Symlink("s", "g").At(3))},
			read: "d/f g",
		},
		"times of files": {
			before: []Blob{base}, after: []Blob{Layer(Dir("d").At(1), File("d/f", "1234").At(2), File("g", "1"), Symlink("s", "g").At(3))},
			opts: diff.Options{FileTimes: true},
			want: "C /d/f time\nC /s time\n", read: "d/f g",
		},
		"times of directories": {
			before: []Blob{base}, after: []Blob{base, Layer(Dir("d").At(1), File("g", "1").At(1))},
			opts: diff.Options{DirTimes: true},
			want: "C /d time\n", read: "g",
		},
		"fractions count when both have one": {
			before: []Blob{Layer(File("a", "").AtNano(5, 1), File("b", "").AtNano(5, 1), File("c", "").At(5))},
			after:  []Blob{Layer(File("a", "").AtNano(5, 2), File("b", "").At(5), File("c", "").At(6))},
			opts:   diff.Options{FileTimes: true},
			want:   "C /a time\nC /c time\n",
		},
		"brief reads only what nothing else tells": {
			before: []Blob{base}, after: []Blob{base, Layer(File("d/f", "4321").Mode(0o600), File("g", "2"))},
			opts: diff.Options{Brief: true},
			want: "C /d/f mode\nC /g content\n", read: "g",
		},
		"a file of two names is compared by both": {
			before: []Blob{Layer(File("a", "1"), Link("b", "a"))}, after: []Blob{Layer(File("b", "2"), Link("a", "b"))},
			opts: diff.Options{HardLinks: true},
			want: "C /a content\nC /b content\n", read: "a a",
		},
	} {
		t.Run(name, func(t *testing.T) {
			changes, read := compare(t, merge(t, tt.before...), merge(t, tt.after...), tt.opts)
			if diff := cmp.Diff(tt.want, lines(changes)); diff != "" {
				t.Errorf("changes (- want, + got):\n%s", diff)
			}
			if got := strings.Join(read, " "); got != tt.read {
				t.Errorf("read %q, want %q", got, tt.read)
			}
		})
	}
}

func TestHardLinks(t *testing.T) {
	for name, tt := range map[string]struct {
		before, after Blob
		want          string
	}{
		"torn apart":       {Layer(File("a", "1"), Link("b", "a")), Layer(File("a", "1"), File("b", "1")), "b: a, "},
		"joined":           {Layer(File("a", "1"), File("b", "1")), Layer(File("b", "1"), Link("a", "b")), "b: , a"},
		"with another":     {Layer(File("a", "1"), File("b", "1"), Link("c", "a")), Layer(File("a", "1"), File("b", "1"), Link("c", "b")), "c: a, b"},
		"the other way":    {Layer(File("a", "1"), Link("b", "a"), Link("c", "a")), Layer(File("c", "1"), Link("a", "c"), Link("b", "c")), ""},
		"the first goes":   {Layer(File("a", "1"), Link("b", "a"), Link("c", "a")), Layer(File("b", "1"), Link("c", "b")), ""},
		"another comes":    {Layer(File("b", "1"), Link("c", "b")), Layer(File("a", "1"), Link("b", "a"), Link("c", "a")), ""},
		"only one is left": {Layer(File("a", "1"), Link("b", "a")), Layer(File("b", "1")), ""},
		"of another type":  {Layer(File("a", "1"), Link("b", "a"), Link("c", "a")), Layer(Fifo("a"), File("b", "1"), Link("c", "b")), ""},
		"of symbolic ones": {Layer(Symlink("a", "x"), Link("b", "a")), Layer(Symlink("a", "x"), Symlink("b", "x")), "b: a, "},
	} {
		changes, _ := compare(t, merge(t, tt.before), merge(t, tt.after), diff.Options{HardLinks: true})
		var got []string
		for _, c := range changes {
			if c.Aspects&diff.HardLink != 0 {
				got = append(got, fmt.Sprintf("%s: %s, %s", c.Path, c.OldLink, c.NewLink))
			}
		}
		if got := strings.Join(got, "; "); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
		if changes, _ := compare(t, merge(t, tt.before), merge(t, tt.after), diff.Options{}); strings.Contains(lines(changes), "hardLink") {
			t.Errorf("%s: unasked: %s", name, lines(changes))
		}
	}
}

// A change leads to its path in either view.
func TestIndexes(t *testing.T) {
	before := merge(t, Layer(File("c/x", "1"), File("d", "2")))
	after := merge(t, Layer(File("a", "1"), File("c/x", "22")))
	changes, _ := compare(t, before, after, diff.Options{})
	if got := lines(changes); got != "A /a\nC /c/x content\nD /d\n" {
		t.Fatal(got)
	}
	for _, c := range changes {
		if (c.Old >= 0) == (c.Kind == diff.Added) || (c.New >= 0) == (c.Kind == diff.Deleted) {
			t.Errorf("%v: indexes %d and %d", c, c.Old, c.New)
		}
		if c.Old >= 0 && before.View().Paths[c.Old].Name != c.Path || c.New >= 0 && after.View().Paths[c.New].Name != c.Path {
			t.Errorf("%v: indexes of other paths", c)
		}
	}
}

func TestCompareFails(t *testing.T) {
	unreadable := errors.New("unreadable")
	_, err := diff.Compare(merge(t, Layer(File("a", "1"))).Tree, merge(t, Layer(File("b", ""), File("a", "1"))).Tree,
		func([]diff.Pair) ([]bool, error) { return nil, unreadable }, diff.Options{})
	if !errors.Is(err, unreadable) {
		t.Errorf("error %v", err)
	}
}

func TestCondense(t *testing.T) {
	base := Layer(Dir("a"), File("a/b/c/x", "1"), File("a/b/y", "1"), Dir("a.d"), File("a.d/f", ""), File("f", "1"), Dir("l"))
	for name, tt := range map[string]struct {
		layer Blob
		want  string
	}{
		"nothing":                       {Layer(), ""},
		"a folder that is only named":   {Layer(Dir("a").At(5)), ""},
		"the folders around a change":   {Layer(File("a/b/c/x", "2")), "C /a\nC /a/b\nC /a/b/c\nC /a/b/c/x content\n"},
		"the folders around what goes":  {Layer(Whiteout("a/b/c")), "C /a\nC /a/b\nD /a/b/c\n"},
		"the folders around what comes": {Layer(File("a/b/c/d/z", "")), "C /a\nC /a/b\nC /a/b/c\nA /a/b/c/d\nA /a/b/c/d/z\n"},
		"a folder that goes":            {Layer(Whiteout("a")), "D /a\n"},
		"a folder that turns to a file": {Layer(File("a", "")), "C /a type\n"},
		"a file that turns to a folder": {Layer(File("f/g", "")), "C /f type\nA /f/g\n"},
		"once in the order of a walk":   {Layer(File("a.d/f", "1"), File("a/0", ""), File("a/b/y", "2")), "C /a\nA /a/0\nC /a/b\nC /a/b/y content\nC /a.d\nC /a.d/f content\n"},
		"a folder changed itself":       {Layer(Dir("a").Mode(0o700), Whiteout("a/b")), "C /a mode\nD /a/b\n"},
		"an empty folder made opaque":   {Layer(Opaque("l")), ""},
	} {
		changes, _ := compare(t, merge(t, base), merge(t, base, tt.layer), diff.Options{FileTimes: true})
		if got := lines(diff.Condense(changes)); got != tt.want {
			t.Errorf("%s:\n%swant\n%s", name, got, tt.want)
		}
	}
}
