// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"context"
	"errors"
	"os"

	"github.com/seed-81b0d42e/flatten/pkg/layout"
	"github.com/seed-81b0d42e/flatten/pkg/reference"
)

// InPlace reports whether a file looks like an archive that is read where it is:
// a tar that is not compressed. Any other file would be stored first.
func InPlace(file string) bool {
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	magic, err := readMagic(f)
	return err == nil && magic == formTar
}

// Tags lists what Options.Tag may be for a file, in the order of the file. The
// form is that of [OpenRoot].
func Tags(ctx context.Context, file string, form reference.Kind) ([]string, error) {
	a, err := openFileAs(ctx, file, form, Options{})
	if err != nil {
		return nil, err
	}
	tags, err := a.tags()
	return tags, errors.Join(err, a.file.Close())
}

func (a *archive) tags() ([]string, error) {
	if err := a.checkForm(); err != nil {
		return nil, err
	}
	if a.form != reference.DockerArchive {
		return layout.Tags(a.members)
	}
	all, err := a.members.allSaved()
	if err != nil {
		return nil, err
	}
	var tags []string
	for _, s := range all {
		tags = append(tags, s.RepoTags...)
	}
	return tags, nil
}
