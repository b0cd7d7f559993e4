// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/layout"
	"github.com/seed-81b0d42e/flatten/pkg/reference"
)

// What the commands that keep images have in common: a store is an OCI image
// layout, named as everywhere or by its folder alone.

// storeReference reads an argument that names a layout, and what in it.
func storeReference(text string) (reference.Reference, error) {
	full := text
	if !strings.HasPrefix(text, "oci:") && !strings.HasPrefix(text, "oci-dir:") {
		if r, err := reference.Parse(text); err == nil && r.Kind != reference.Path && r.Kind != reference.Registry || strings.Contains(text, "://") {
			return r, image.WithHint(usagef("%q is no folder with an OCI layout", text), "write DIR or oci:DIR")
		}
		full = "oci:" + text
	}
	r, err := reference.Parse(full)
	if err != nil {
		return r, &usageError{err}
	}
	return r, nil
}

// storeDir reads an argument that names a layout as a whole.
func storeDir(c *cli.Context, command string) (string, error) {
	switch c.NArg() {
	case 0:
		return "", image.WithHint(usagef("which folder?"), "flatten %s DIR, flatten %s --help", command, command)
	case 1:
	default:
		return "", usagef("one folder at a time: %q is one too many", c.Args().Get(1))
	}
	r, err := storeReference(c.Args().First())
	if err == nil && (r.Tag != "" || r.Digest != "") {
		err = image.WithHint(usagef("%q names an image: this is about the whole layout", c.Args().First()), "flatten %s %s", command, r.Path)
	}
	return r.Path, err
}

// storeOptions have waits said.
func storeOptions(u *ui, dir string) layout.StoreOptions {
	return layout.StoreOptions{
		Source:  "oci:" + dir,
		Waiting: func(what string) { u.say("waiting for %s", what) },
	}
}
