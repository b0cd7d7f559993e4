// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"strings"

	godigest "github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten/pkg/digest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// Options say what a file is expected to be. The zero value is a stream without a
// name.
type Options struct {
	// Name is the name of the file, without its folder; empty: it has none.
	Name string

	// Digest is what the file must have, instead of the digest in its name; empty:
	// that of its name.
	Digest godigest.Digest

	// RootEntry allows a first entry "./", as flatten.Options.RootEntry makes it.
	RootEntry bool

	// Limits bound what a hostile file can cost: its entries, its size after
	// decompression, its headers.
	Limits image.Limits
}

// Report is what was found in a file.
type Report struct {
	// Digest and Size are those of the file.
	Digest godigest.Digest
	Size   int64

	// Compression is toc.Gzip or toc.Plain, by the first bytes of the file.
	Compression toc.Compression

	// Members is the number of gzip members.
	Members int

	// Layer is the table of contents, without diffID, block map and checkpoints:
	// enough to read the file once more, forward. Nil unless the file is sound.
	Layer *toc.Layer

	// Problems are the first 1000 problems, More counts the others.
	Problems []Problem
	More     int
}

// Sound reports whether all problems are minor.
func (r *Report) Sound() bool { return r.Layer != nil }

// Clean reports whether there are no problems.
func (r *Report) Clean() bool { return len(r.Problems) == 0 }

// Read reads a file to its end. An error is one of src, or that of ctx, which is
// looked at between reads; whatever is wrong with the file is in the report.
func Read(ctx context.Context, src io.Reader, opts Options) (*Report, error) {
	in := &source{ctx: ctx, r: src}
	sum := digest.NewReader(in)
	c := &check{opts: opts, in: in, report: &Report{}, problems: problems{sound: true}}
	c.contents(bufio.NewReaderSize(sum, headLen))
	if _, err := io.Copy(io.Discard, sum); err != nil {
		return nil, err
	}
	r := c.report
	r.Digest, r.Size = sum.Digest(), sum.Size()
	c.trailing()
	c.name()
	if c.problems.sound {
		r.Layer = &c.layer
		r.Layer.Digest, r.Layer.BlobSize = r.Digest, r.Size
	}
	r.Problems, r.More = c.problems.list, c.problems.more
	return r, nil
}

// source keeps its own errors apart from those of what its bytes mean.
type source struct {
	ctx context.Context
	r   io.Reader
	err error // sticky: set by Read, never io.EOF
	ink ink
}

func (s *source) Read(p []byte) (int, error) {
	if s.err == nil {
		s.err = s.ctx.Err()
	}
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	s.ink.write(p[:n])
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// check is one call of Read.
type check struct {
	opts     Options
	in       *source
	report   *Report
	problems problems
	layer    toc.Layer
	rest     int64 // where bytes behind the last gzip member begin, 0 for none
}

// name compares the file with what it is called.
func (c *check) name() {
	want, suffix, ok := digest.FromName(c.opts.Name)
	switch {
	case c.opts.Name == "":
	case !ok:
		if c.opts.Digest == "" {
			c.problems.file(Name, "the name is not a digest; the file's is %s", c.report.Digest.Encoded())
		}
	case suffix != ".tar.gz" && suffix != ".tar":
		c.problems.file(Name, "the name ends in %q, neither .tar.gz nor .tar", suffix)
	}
	if c.opts.Digest != "" {
		want = c.opts.Digest
	}
	if want != "" && want != c.report.Digest {
		whose := "the name says"
		if c.opts.Digest != "" {
			whose = "expected is"
		}
		c.problems.file(Digest, "the file's SHA-256 is %s, %s %s", c.report.Digest.Encoded(), whose, want.Encoded())
	}
}

// headLen is how many bytes tell what a file is: a block of tar.
const headLen = 512

// contents reads what is in the file.
func (c *check) contents(r *bufio.Reader) {
	head, _ := r.Peek(headLen)
	if len(head) == 0 {
		if c.in.err == nil {
			c.problems.file(Tar, "the file is empty")
		}
		return
	}
	compression, err := toc.Identify(blob{bytes.NewReader(head)})
	switch {
	case err != nil:
		c.problems.file(Tar, "the file is neither gzip nor tar: %v", err)
		return
	case compression == toc.Zstd:
		c.problems.file(Tar, "the file is zstd data, neither gzip nor tar")
		return
	}
	c.report.Compression, c.layer.Compression = compression, compression
	switch isGzip := compression == toc.Gzip; {
	case isGzip && strings.HasSuffix(c.opts.Name, ".tar"):
		c.problems.file(Gzip, "the file is named .tar, but is gzip data")
	case !isGzip && strings.HasSuffix(c.opts.Name, ".gz"):
		c.problems.file(Gzip, "the file is named .gz, but is no gzip data: it begins with %x", head[:min(4, len(head))])
	case isGzip:
		c.gzip(r)
	default:
		c.plain(r)
	}
}

// blob is the head of a file.
type blob struct{ *bytes.Reader }

func (blob) Close() error { return nil }
