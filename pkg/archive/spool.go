// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/seed-81b0d42e/flatten/internal/nameless"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

const (
	// maxWindow bounds the memory that a zstd frame can ask for. It is that of
	// zstd --long, the most its command line decompresses unasked.
	maxWindow = 128 << 20
)

// spooled is an archive that can be read in place: the file itself, or a
// temporary one.
type spooled struct {
	*os.File
	size int64
	dir  string // where it was made by nameless.Create, empty for the file itself
}

// Close closes the file and removes it if it is a temporary one.
func (s *spooled) Close() error {
	if s.dir != "" {
		return nameless.Remove(s.File)
	}
	return s.File.Close()
}

// openFile opens an archive file; what is compressed or a pipe is stored first.
func openFile(ctx context.Context, name string, opt Options) (*spooled, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	switch {
	case info.IsDir():
		err := image.Corruptf("a directory, not an archive")
		return nil, image.WithHint(err, "a layout directory is oci:%s", name)
	case !info.Mode().IsRegular() && info.Mode()&fs.ModeNamedPipe == 0:
		return nil, image.Corruptf("neither a file nor a pipe")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	if info.Mode().IsRegular() {
		magic, err := readMagic(f)
		if err == nil && magic == formTar {
			return &spooled{File: f, size: info.Size()}, nil
		}
		if err == nil {
			_, err = f.Seek(0, io.SeekStart)
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	defer f.Close()
	return spoolStream(ctx, f, opt)
}

// readMagic says what a file is by its first bytes.
func readMagic(r io.ReaderAt) (form, error) {
	head := make([]byte, headSize)
	n, err := r.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return formUnknown, err
	}
	return sniff(head[:n])
}

// spoolStream stores an archive, decompressed, in a temporary file.
func spoolStream(ctx context.Context, r io.Reader, opt Options) (*spooled, error) {
	src := &source{ctx: ctx, r: r}
	plain, err := decompress(src)
	if err != nil {
		return nil, src.blame(err)
	}
	defer plain.Close()
	dir := cmp.Or(opt.TempDir, os.TempDir())
	tmp, err := nameless.Create(dir)
	if err != nil {
		return nil, fmt.Errorf("storing the archive: %w", err)
	}
	f := &spooled{File: tmp, dir: dir}
	if err := store(f, plain, src, opt.Limits.WithDefaults()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// store copies what is within the limits.
func store(f *spooled, plain io.Reader, src *source, limits image.Limits) error {
	w := &sink{w: f.File, src: src, limits: limits}
	n, err := io.CopyBuffer(w, plain, make([]byte, 1<<20))
	f.size = n
	switch {
	case w.over != nil:
		return image.Corruptf("the archive decompressed: %w", w.over)
	case w.err != nil:
		err := image.CheckSpace(fmt.Errorf("storing the archive: %w", w.err), f.dir, n, 0)
		if errors.As(err, new(*image.SpaceError)) {
			return image.WithHint(err, "it takes more than %d bytes: name a folder that can take it by --tmpdir", n)
		}
		return err
	case err != nil:
		return src.blame(err)
	}
	return nil
}

// source is what is read from. It keeps its own errors apart from those of what
// its bytes mean.
type source struct {
	ctx context.Context
	r   io.Reader
	n   int64 // bytes read
	err error // sticky: set by Read
}

func (s *source) Read(p []byte) (int, error) {
	if s.err == nil {
		s.err = s.ctx.Err()
	}
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	s.n += int64(n)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// blame gives an error its kind: a source that cannot be read is not a corrupt one.
func (s *source) blame(err error) error {
	switch {
	case s.err != nil:
		return fmt.Errorf("reading the archive: %w", s.err)
	case errors.Is(err, image.ErrCorrupt):
		return err
	}
	return image.Corruptf("decompressing the archive: %w", err)
}

// sink stores what is within the limits. It keeps the error of writing apart.
type sink struct {
	w      io.Writer
	src    *source
	limits image.Limits
	n      int64
	over   error // the limit that was met
	err    error
}

func (s *sink) Write(p []byte) (int, error) {
	all := s.n + int64(len(p))
	if all > s.limits.Size {
		s.over = image.Over("Size", s.limits.Size)
	} else {
		s.over = s.limits.CheckRatio(s.src.n, all, 0)
	}
	if s.over != nil {
		return 0, s.over
	}
	n, err := s.w.Write(p)
	s.n += int64(n)
	s.err = err
	return n, err
}

// decompress returns the plain archive of a stream. It fails at once if the stream
// does not begin like an archive.
func decompress(r io.Reader) (io.ReadCloser, error) {
	buf := bufio.NewReaderSize(r, 256<<10)
	head, err := buf.Peek(headSize)
	if err != nil && err != io.EOF {
		return nil, err
	}
	magic, err := sniff(head)
	if err != nil {
		return nil, err
	}
	if magic == formTar {
		return io.NopCloser(buf), nil
	}
	plain, err := decompressor(magic, buf)
	if err != nil {
		return nil, err
	}
	inner := bufio.NewReaderSize(plain, 64<<10)
	head, err = inner.Peek(headSize)
	if err != nil && err != io.EOF {
		return nil, errors.Join(err, plain.Close())
	}
	if err := checkInner(magic, head); err != nil {
		return nil, errors.Join(err, plain.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{inner, plain}, nil
}

// decompressor decompresses gzip or zstd.
func decompressor(magic form, r io.Reader) (io.ReadCloser, error) {
	if magic == formGzip {
		return gzip.NewReader(r)
	}
	d, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(1<<62), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}
