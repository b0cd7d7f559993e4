// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/seed-81b0d42e/flatten/pkg/inflate"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// gzip reads a gzip file.
func (c *check) gzip(r io.Reader) {
	dec := inflate.NewReader(r, inflate.Options{})
	t := newStream(c)
	for {
		chunk, err := dec.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			if c.in.err == nil {
				c.problems.add(gzipProblem(err))
			}
			return
		}
		t.write(chunk)
	}
	if at, ok := dec.Trailing(); ok {
		c.rest = at
	}
	c.report.Members = len(dec.Members())
	t.finish()
}

// gzipProblem is what a decoder's error means.
func gzipProblem(err error) Problem {
	var corrupt *inflate.CorruptError
	var short *inflate.TruncatedError
	switch {
	case errors.As(err, &corrupt):
		return Problem{Gzip, "", corrupt.Bit / 8, corrupt.Reason}
	case errors.As(err, &short):
		return Problem{Gzip, "", short.Bit / 8, "the file ends in " + short.Where}
	}
	return Problem{Gzip, "", -1, err.Error()}
}

// trailing judges what follows the last gzip member, if anything. Zeros are what
// writers to tapes leave, and readers pass over them.
func (c *check) trailing() {
	if c.rest == 0 {
		return
	}
	p := Problem{Gzip, "", c.rest, fmt.Sprintf("the gzip data ends here, but %d bytes follow", c.report.Size-c.rest)}
	if c.in.ink.end <= c.rest {
		p.Kind, p.Offset = Clean, -1
		p.Text = fmt.Sprintf("%d zero bytes follow the gzip data", c.report.Size-c.rest)
	}
	c.problems.add(p)
}

// ink finds where a stream is zeros to its end.
type ink struct{ size, end int64 }

// write takes the next bytes. Then end is the offset one past the last byte so far
// that is not zero.
func (k *ink) write(p []byte) {
	if n := len(bytes.TrimRight(p, "\x00")); n > 0 {
		k.end = k.size + int64(n)
	}
	k.size += int64(len(p))
}

// plain reads a tar file.
func (c *check) plain(r io.Reader) {
	t := newStream(c)
	buf := make([]byte, 256<<10)
	for {
		n, err := r.Read(buf)
		t.write(buf[:n])
		if err == io.EOF {
			t.finish()
			return
		}
		if err != nil {
			return
		}
	}
}

// stream is the tar stream of a file.
type stream struct {
	*check
	scanner *toc.Scanner
	err     error // the first one of the scanner
	ink     ink
}

func newStream(c *check) *stream {
	return &stream{check: c, scanner: toc.NewScanner(c.opts.Limits)}
}

// write takes the next bytes. Behind an error nothing is scanned any more.
func (t *stream) write(p []byte) {
	t.ink.write(p)
	if t.err != nil {
		return
	}
	if _, t.err = t.scanner.Write(p); t.err != nil {
		t.problems.add(tarProblem(t.err))
	}
}

// finish judges the stream as a whole.
func (t *stream) finish() {
	if t.err != nil {
		return
	}
	entries, warnings, err := t.scanner.Finish()
	if err != nil {
		t.problems.add(tarProblem(err))
		return
	}
	t.layer.Entries, t.layer.Size = entries, t.ink.size
	c := newEntryCheck(t.check)
	for i := range entries {
		c.entry(i)
	}
	for _, w := range warnings {
		c.warning(w)
	}
	t.end(c.end)
}

// tarProblem is what a scanner's error means.
func tarProblem(err error) Problem {
	var e *toc.EntryError
	if errors.As(err, &e) {
		return Problem{Tar, e.Name, e.Offset, e.Err.Error()}
	}
	return Problem{Tar, "", -1, err.Error()}
}

// endLen is the length of the two zero blocks that end an archive.
const endLen = 2 * 512

// end judges what follows the last entry, at which the archive ends.
func (t *stream) end(last int64) {
	switch n := t.ink.size - last; {
	case n < endLen:
		t.problems.add(Problem{Tar, "", last, "the tar ends without two zero blocks: it may have been cut off"})
	case t.ink.end > last:
		t.problems.add(Problem{Tar, "", last, fmt.Sprintf("%d bytes follow the last entry, and not all are zero", n)})
	case n > endLen:
		t.problems.add(Problem{Clean, "", last, fmt.Sprintf("%d zero bytes end the tar, not two blocks of 512", n)})
	}
}
