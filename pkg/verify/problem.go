// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// Kind is what a problem is one of: see the rules of the package.
type Kind string

const (
	Name   Kind = "name"
	Digest Kind = "digest"
	Gzip   Kind = "gzip"
	Tar    Kind = "tar"
	Unsafe Kind = "unsafe"
	Clean  Kind = "clean"
)

// Minor reports whether a file with such a problem can be sound all the same.
func (k Kind) Minor() bool { return k == Name || k == Clean }

// Problem is one thing that is wrong with a file.
type Problem struct {
	Kind Kind

	// Entry is the name of the tar entry as stored; empty when the problem is not
	// one of an entry, or comes before its name is known.
	Entry string

	// Offset is where: of a problem of kind Gzip a byte of the file, otherwise a
	// byte of the tar stream, where the entry's first header begins or the stream
	// ends. -1 when it is not in one place.
	Offset int64

	// Text says what is wrong, in lower case.
	Text string
}

// String is the problem on one line.
func (p Problem) String() string {
	s := p.Text
	switch {
	case p.Offset < 0:
	case p.Kind == Gzip:
		s = fmt.Sprintf("byte %d: %s", p.Offset, s)
	case p.Entry == "":
		s = fmt.Sprintf("byte %d of the tar: %s", p.Offset, s)
	default:
		s = fmt.Sprintf("entry %s at byte %d of the tar: %s", image.Quote(p.Entry), p.Offset, s)
	}
	return s
}

// maxProblems bounds how many problems are kept.
const maxProblems = 1000

// problems is a list that is bounded.
type problems struct {
	list  []Problem
	more  int
	sound bool // none is other than minor
}

func (p *problems) add(problem Problem) {
	if !problem.Kind.Minor() {
		p.sound = false
	}
	if len(p.list) >= maxProblems {
		p.more++
		return
	}
	p.list = append(p.list, problem)
}

// file adds a problem of the file as a whole.
func (p *problems) file(kind Kind, format string, args ...any) {
	p.add(Problem{Kind: kind, Offset: -1, Text: fmt.Sprintf(format, args...)})
}
