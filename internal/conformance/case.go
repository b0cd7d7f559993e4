// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package conformance holds the rules of docs/semantics.md as cases: a stack of
// layers, and the filesystem, the warnings or the error that must come of it.
//
// A case has the number of its rule and an ID of its own, under which
// docs/semantics.md speaks of it:
//
//	go test ./internal/conformance -run 'TestRule/wh-then-dir'
//
// The cases are values, so that anything that flattens images can be judged by
// them. They are written as
//
//	accepts(2, "wh-dir", tree(`e ""`),
//		layer(dir("d"), file("d/x", "1"), file("e", "")),
//		layer(whiteout("d")))
//
// which reads: by rule 2 these two layers are the tree of just "e", without a
// word. A case that warns is accepted with a warning of its rule, which is an
// error for the strict; a case that rejects is always an error. Package tartest
// says how lines of a tree are written.
package conformance

import (
	"slices"

	"github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// Case is one stack of layers and what must come of it.
type Case struct {
	// Rule is the number of the rule in docs/semantics.md, ID the case's name.
	Rule int
	ID   string

	// Layers are the layers, lowest first.
	Layers []tartest.Blob

	// Want are the lines of the tree, in any order, and Canonical those of the
	// canonical output; the two differ in what only the default output keeps.
	Want, Canonical []string

	// Warn are the rules of which there must be warnings, and the only ones. A
	// case without any must pass in silence.
	Warn []int

	// Err is a part of the error's text; the case is to be accepted when it is
	// empty. The error also names the topmost layer, which is the one at fault.
	Err string

	// RootEntry and FollowLower set the options of package flatten whose names
	// begin like theirs.
	RootEntry, FollowLower bool

	// Spoil, when not nil, changes the image of the layers.
	Spoil func(*image.Image)

	// OS is the operating system of the image; empty means linux.
	OS string
}

// Image is the case's image, made anew.
func (c *Case) Image() *image.Image {
	os := "linux"
	if c.OS != "" {
		os = c.OS
	}
	img := tartest.ImageFor(os, c.Layers...)
	if c.Spoil != nil {
		c.Spoil(img)
	}
	return img
}

// Cases returns all cases in the order of their rules.
func Cases() []Case {
	return slices.Concat(
		whiteoutCases, oddWhiteoutCases,
		typeCases, parentCases,
		linkCases, oddLinkCases,
		directoryCases,
		nameCases,
		extensionCases, xattrCases, fieldCases, flagCases,
		framingCases,
		blobCases,
	)
}

// The words that cases are written in.
var (
	layer    = tartest.Layer
	dir      = tartest.Dir
	file     = tartest.File
	symlink  = tartest.Symlink
	link     = tartest.Link
	char     = tartest.Char
	whiteout = tartest.Whiteout
	opaque   = tartest.Opaque
)

// accepts is a case that is accepted without a warning.
func accepts(rule int, id string, want []string, layers ...tartest.Blob) Case {
	return Case{Rule: rule, ID: id, Want: want, Canonical: want, Layers: layers}
}

// warns is a case that is accepted with a warning of its rule.
func warns(rule int, id string, want []string, layers ...tartest.Blob) Case {
	c := accepts(rule, id, want, layers...)
	c.Warn = []int{rule}
	return c
}

// rejects is a case that is an error whose text holds the given part.
func rejects(rule int, id, part string, layers ...tartest.Blob) Case {
	return Case{Rule: rule, ID: id, Err: part, Layers: layers}
}

// also adds warnings of other rules to a case.
func (c Case) also(rules ...int) Case {
	c.Warn = slices.Concat(c.Warn, rules)
	return c
}

// warnedAs says that the warning is that of another rule, of which the case is
// an instance.
func (c Case) warnedAs(rule int) Case {
	c.Warn = []int{rule}
	return c
}

// canonical says what the tree is in canonical output, when it is another.
func (c Case) canonical(lines ...string) Case {
	c.Canonical = lines
	return c
}

// with changes the case, for what only few need.
func (c Case) with(change func(*Case)) Case {
	change(&c)
	return c
}

// tree is the lines of a tree.
func tree(lines ...string) []string {
	if lines == nil {
		return []string{}
	}
	return lines
}
