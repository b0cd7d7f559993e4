// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"iter"
	"strings"

	"github.com/seed-81b0d42e/flatten/internal/near"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// maxLinks is how many symbolic links one path may go through (Linux,
// namei.h: MAXSYMLINKS).
const maxLinks = 40

// Find returns the index of a path. A symbolic link at its end is followed when
// follow says so. An error is image.ErrNotFound, with a hint where a name that
// exists is near.
func (t *Tree) Find(path string, follow bool) (int32, error) {
	w := walker{Tree: t, path: path, todo: []text{{path, false}}}
	return w.walk(Root, follow)
}

// walker walks a path, one component after another.
type walker struct {
	*Tree
	path  string // as it was given
	todo  []text // what is left of the path and of the links in it, innermost last
	links int
}

// text is a piece of a path: the user's, or a link's target.
type text struct {
	left string
	link bool
}

// step is one component of a path.
type step struct {
	name string // empty at the end
	last bool   // nothing follows, not even a slash
	link bool   // it stands in a link's target
}

// next takes the next component off todo.
func (w *walker) next() step {
	for len(w.todo) > 0 {
		top := len(w.todo) - 1
		name, left, more := strings.Cut(w.todo[top].left, "/")
		link := w.todo[top].link
		if more {
			w.todo[top].left = left
		} else {
			w.todo = w.todo[:top]
		}
		if name != "" && name != "." {
			return step{name, len(w.todo) == 0, link}
		}
	}
	return step{}
}

func (w *walker) walk(at int32, follow bool) (int32, error) {
	for {
		s := w.next()
		if s.name == "" {
			return at, nil
		}
		if s.name == ".." {
			if at != Root {
				at = w.view.Paths[at].Parent
			}
			continue
		}
		id, ok := w.lookup(at, s.name)
		if !ok {
			return 0, w.missing(at, s)
		}
		target, isLink := w.link(id)
		switch {
		case isLink && (follow || !s.last):
			if w.links++; w.links > maxLinks {
				return 0, image.NotFoundf("%s: too many symbolic links", image.Quote(w.path))
			}
			w.todo = append(w.todo, text{target, true})
			if strings.HasPrefix(target, "/") {
				at = Root
			}
		case !s.last && !w.Dir(id):
			return 0, image.NotFoundf("%s: %s is not a directory", image.Quote(w.path), image.Quote(w.view.Paths[id].Name))
		default:
			at = id
		}
	}
}

// missing is the error for a name that a folder does not have.
func (w *walker) missing(dir int32, s step) error {
	if s.link {
		return image.NotFoundf("%s: a symbolic link leads to %s, which is not in the image",
			image.Quote(w.path), image.Quote(w.join(dir, s.name)))
	}
	err := image.NotFoundf("%s: no such path in the image", image.Quote(w.path))
	if meant := near.Name(s.name, w.names(dir)); meant != "" {
		return image.WithHint(err, "did you mean %s?", image.Quote(w.join(dir, meant)))
	}
	if dir != Root {
		return image.WithHint(err, "%s is there", image.Quote("/"+w.view.Paths[dir].Name))
	}
	return err
}

// names yields the names in a folder.
func (t *Tree) names(dir int32) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, id := range t.Children(dir) {
			if !yield(t.Base(id)) {
				return
			}
		}
	}
}

// join is the path of a name in a folder.
func (t *Tree) join(dir int32, name string) string {
	if dir == Root {
		return "/" + name
	}
	return "/" + t.view.Paths[dir].Name + "/" + name
}
