// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"errors"
	"io/fs"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// Tags lists what Options.Tag may be for a layout that is a file system, in the
// order of index.json.
func Tags(fsys fs.FS) ([]string, error) { return newLayout(fsys, Options{}).tags() }

// TagsDir is Tags for a layout directory.
func TagsDir(dir string) ([]string, error) {
	l, closer, err := openDir(dir, "")
	if err != nil {
		return nil, err
	}
	tags, err := l.tags()
	return tags, errors.Join(err, closer.Close())
}

func (l layout) tags() ([]string, error) {
	idx, err := l.readIndex()
	if err != nil {
		return nil, err
	}
	var all []string
	for _, d := range idx.Manifests {
		if image.Eligible(d) {
			all = append(all, names(d)...)
		}
	}
	return compact(all), nil
}
