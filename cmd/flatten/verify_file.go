// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/internal/nameless"
	"github.com/seed-81b0d42e/flatten/pkg/diff"
	"github.com/seed-81b0d42e/flatten/pkg/verify"
)

// fileJSON is what verify --json prints of a file. Fields are added, never renamed.
type fileJSON struct {
	File      string `json:"file"` // as it was given
	FileBytes []byte `json:"fileBytes,omitempty"`
	OK        bool   `json:"ok"`

	// Error says why the file could not be read to its end; then nothing else is
	// known of it.
	Error string `json:"error,omitempty"`

	Digest      string `json:"digest,omitempty"`
	Size        int64  `json:"size"`
	Compression string `json:"compression,omitempty"` // gzip or plain
	Members     int    `json:"members,omitempty"`     // of gzip
	TarSize     int64  `json:"tarSize,omitempty"`     // of a sound file, as Entries
	Entries     int    `json:"entries,omitempty"`

	Problems     []problemJSON `json:"problems,omitempty"`
	MoreProblems int           `json:"moreProblems,omitempty"` // not among Problems

	// Image is what the file was compared with, Differences what makes that
	// image's filesystem into the file's.
	Image       string        `json:"image,omitempty"`
	Differences []*changeJSON `json:"differences,omitempty"`

	differences []string // for people
}

// problemJSON is a verify.Problem. Offset is a byte of the file for kind gzip, else
// of the tar stream; not set when the problem is not in one place.
type problemJSON struct {
	Kind       verify.Kind `json:"kind"`
	Minor      bool        `json:"minor"` // with --lenient no failure
	Entry      string      `json:"entry,omitempty"`
	EntryBytes []byte      `json:"entryBytes,omitempty"`
	Offset     *int64      `json:"offset,omitempty"`
	Text       string      `json:"text"`

	line string
}

// file checks one file. An error is one that ends everything.
func (v *verifier) file(ctx context.Context, name string) (*fileJSON, error) {
	j := &fileJSON{File: name, FileBytes: odd(name)}
	f, err := v.open(ctx, name)
	if err == nil {
		defer f.close()
		err = v.check(ctx, f, j)
	}
	var of *fileError
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.As(err, &of):
		j.Error = of.Error()
		return j, nil
	}
	return j, err
}

// fileError is an error of a file, not of the image that it is compared with.
type fileError struct{ error }

// check reads a file, and compares it with the image.
func (v *verifier) check(ctx context.Context, f *input, j *fileJSON) error {
	opts := v.opts
	opts.Name = f.name
	r, err := awaited(ctx, f.stream, func() (*verify.Report, error) { return verify.Read(ctx, f.r, opts) })
	if err != nil {
		return &fileError{fileReason(err)}
	}
	if v.image != nil && r.Sound() {
		if err := v.difference(ctx, f, r, j); err != nil {
			return err
		}
	}
	j.OK = r.Sound() && (r.Clean() || v.lenient) && len(j.Problems) == 0 && len(j.differences) == 0
	j.Digest, j.Size, j.Compression, j.Members = string(r.Digest), r.Size, r.Compression.String(), r.Members
	if r.Sound() {
		j.TarSize, j.Entries = r.Layer.Size, len(r.Layer.Entries)
	}
	for _, p := range r.Problems {
		one := problemJSON{Kind: p.Kind, Minor: p.Kind.Minor(), Entry: p.Entry, EntryBytes: odd(p.Entry), Text: p.Text, line: p.String()}
		if p.Offset >= 0 {
			one.Offset = &p.Offset
		}
		j.Problems = append(j.Problems, one)
	}
	j.MoreProblems = r.More
	return nil
}

// difference compares a sound file with the image.
func (v *verifier) difference(ctx context.Context, f *input, r *verify.Report, j *fileJSON) error {
	j.Image = v.image.Image.Reference
	m, err := flatten.Single(r.Layer, f, v.merge)
	if err != nil {
		j.Problems = []problemJSON{{Kind: verify.Tar, Text: err.Error(), line: err.Error()}}
		return nil
	}
	changes, err := flatten.Diff(ctx, v.image, m, v.merge, v.how)
	if err != nil {
		return err
	}
	show := newChangePrinter(v.image.View, m.View, isTerminal(v.stderr))
	for i := range changes {
		j.differences = append(j.differences, v.differenceLine(show, &changes[i]))
		if v.json {
			j.Differences = append(j.Differences, show.object(&changes[i]))
		}
	}
	return nil
}

// differenceLine is a difference for people.
func (v *verifier) differenceLine(show *changePrinter, c *diff.Change) string {
	path := show.quote("/"+c.Path, ":")
	switch c.Kind {
	case diff.Added:
		return path + " is not in the image"
	case diff.Deleted:
		return path + " is missing"
	}
	return path + " differs from the image's: " + show.detailText(c)
}

// print prints what was found.
func (v *verifier) print(j *fileJSON) error {
	name := quotePipe
	if isTerminal(v.stdout) {
		name = quoteTTY
	}
	v.complain(j)
	if v.json {
		return stdoutError(printLine(v.stdout, j))
	}
	verdict := "FAILED"
	switch {
	case j.OK:
		verdict = "OK"
	case j.Error != "":
		verdict = "FAILED open or read"
	}
	_, err := fmt.Fprintf(v.stdout, "%s: %s\n", name(j.File, ":"), verdict)
	return stdoutError(err)
}

// complain says what is wrong with a file: first what makes it fail, then what is
// tolerated.
func (v *verifier) complain(j *fileJSON) {
	name := quoteTTY(j.File, ":")
	if j.Error != "" {
		v.ui.line("%s: %s", name, j.Error)
		return
	}
	var failures, warnings []string
	for _, p := range j.Problems {
		if v.lenient && p.Minor {
			warnings = append(warnings, p.line)
		} else {
			failures = append(failures, p.line)
		}
	}
	say := func(how func(string, ...any), prefix string, lines []string, more int) {
		for i, line := range lines {
			if i == shownWarnings {
				more += len(lines) - i
				break
			}
			how("%s%s: %s", prefix, name, line)
		}
		if more > 0 {
			how("%s%s: %d more; --json lists them", prefix, name, more)
		}
	}
	if more := j.MoreProblems; len(warnings) > 0 {
		say(v.ui.say, "warning: ", warnings, more)
		say(v.ui.line, "", failures, 0)
	} else {
		say(v.ui.line, "", failures, more)
	}
	say(v.ui.line, "", j.differences, 0)
}

// input is a file that is read to its end and, to be compared with an image, in
// place.
type input struct {
	*os.File        // to be read in place; nil for a stream that need not be
	name     string // what promises a digest; empty for none
	r        io.Reader
	stream   bool // reading may take for ever
	close    func()
}

// Size implements image.Blob.
func (f *input) Size() int64 {
	info, err := f.Stat()
	if err != nil {
		return -1
	}
	return info.Size()
}

// open opens a file, a pipe or standard input.
func (v *verifier) open(ctx context.Context, name string) (*input, error) {
	if name == "-" {
		return v.openStream(v.stdin, func() {})
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, &fileError{fileReason(err)}
	}
	isPipe := info.Mode()&(fs.ModeNamedPipe|fs.ModeCharDevice) != 0
	f, err := awaited(ctx, isPipe, func() (*os.File, error) { return os.Open(name) })
	if err != nil {
		return nil, &fileError{fileReason(err)}
	}
	if isPipe {
		return v.openStream(f, func() { f.Close() })
	}
	return &input{File: f, name: filepath.Base(name), r: f, close: func() { f.Close() }}, nil
}

// openStream takes what can be read but once. For the comparison with an image it
// is stored in a temporary file meanwhile.
func (v *verifier) openStream(r io.Reader, done func()) (*input, error) {
	f := &input{r: r, stream: true, close: done}
	if v.image == nil {
		return f, nil
	}
	tmp, err := nameless.Create(v.tmpDir)
	if err != nil {
		done()
		return nil, fmt.Errorf("storing the file: %w", err)
	}
	f.File, f.r = tmp, io.TeeReader(r, tmp)
	f.close = func() {
		done()
		nameless.Remove(tmp)
	}
	return f, nil
}

// fileReason is what went wrong, without the name of the file, which is said
// already.
func fileReason(err error) error {
	var of *fs.PathError
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

// awaited calls do. One that may wait for ever, for the other end of a pipe, is
// left alone when ctx is done.
func awaited[T any](ctx context.Context, mayWait bool, do func() (T, error)) (T, error) {
	if !mayWait {
		return do()
	}
	type result struct {
		value T
		err   error
	}
	c := make(chan result, 1)
	go func() {
		value, err := do()
		c <- result{value, err}
	}()
	select {
	case r := <-c:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}
