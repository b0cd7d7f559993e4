// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"path"
	"strings"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// Match is a path that a pattern stands for.
type Match struct {
	// Path is the path as a shell would expand the pattern to: the pattern with
	// names in place of its components.
	Path string

	// Index is the path's index. A symbolic link at its end is not followed
	// unless a slash follows it.
	Index int32
}

// Glob returns the paths that a pattern stands for, at least one. A text that is
// a path, or has nothing of a pattern in it, stands for itself. An error is
// image.ErrNotFound.
func (t *Tree) Glob(pattern string) ([]Match, error) {
	id, err := t.Find(pattern, false)
	if err == nil {
		return []Match{{pattern, id}}, nil
	}
	if !hasMeta(pattern) {
		return nil, err
	}
	at := []Match{{"", Root}}
	for _, part := range strings.SplitAfter(pattern, "/") {
		name, slash := strings.CutSuffix(part, "/")
		at = t.step(at, name, part[len(name):])
		if slash {
			at = t.folders(at)
		}
	}
	if len(at) == 0 {
		return nil, image.NotFoundf("%s: nothing in the image matches", image.Quote(pattern))
	}
	return at, nil
}

// step goes from folders to what a component stands for in them.
func (t *Tree) step(from []Match, name, slash string) []Match {
	if !hasMeta(name) {
		var to []Match
		for _, m := range from {
			w := walker{Tree: t, todo: []text{{name, false}}}
			if id, err := w.walk(m.Index, false); err == nil {
				to = append(to, Match{m.Path + name + slash, id})
			}
		}
		return to
	}
	name = strings.ReplaceAll(name, "[!", "[^")
	var to []Match
	for _, m := range from {
		for _, id := range t.Children(m.Index) {
			base := t.Base(id)
			if base[0] == '.' && !strings.HasPrefix(name, ".") {
				continue
			}
			if ok, _ := path.Match(name, base); ok {
				to = append(to, Match{m.Path + base + slash, id})
			}
		}
	}
	return to
}

// folders keeps the folders, and follows the links that lead to one.
func (t *Tree) folders(list []Match) []Match {
	var kept []Match
	for _, m := range list {
		if id, err := t.follow(m.Index); err == nil && t.Dir(id) {
			kept = append(kept, Match{m.Path, id})
		}
	}
	return kept
}

// follow is where a symbolic link leads to, and everything else itself.
func (t *Tree) follow(id int32) (int32, error) {
	if _, isLink := t.link(id); !isLink {
		return id, nil
	}
	return t.Find(t.view.Paths[id].Name, true)
}

// hasMeta reports whether a text is more than a path.
func hasMeta(s string) bool { return strings.ContainsAny(s, `*?[\`) }
