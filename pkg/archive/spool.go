// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

const (
	// defaultMaxSize is Options.MaxSize when that is 0.
	defaultMaxSize = 1 << 40

	// maxWindow bounds the memory that a zstd frame can ask for. It is that of
	// zstd --long, the most its command line decompresses unasked.
	maxWindow = 128 << 20
)

// spooled is an archive that can be read in place: the file itself, or a
// temporary one.
type spooled struct {
	*os.File
	size   int64
	remove bool // the file has its name still
}

// Close closes the file and removes it if it is a temporary one.
func (s *spooled) Close() error {
	err := s.File.Close()
	if s.remove {
		err = errors.Join(err, os.Remove(s.Name()))
		s.remove = false
	}
	return err
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
	tmp, err := os.CreateTemp(opt.TempDir, "flatten-archive-")
	if err != nil {
		return nil, fmt.Errorf("storing the archive: %w", err)
	}
	// Without its name the file goes when this process does, however it ends. Where
	// an open file keeps its name it is removed when it is closed.
	f := &spooled{File: tmp, remove: os.Remove(tmp.Name()) != nil}
	if err := store(f, plain, src, opt.MaxSize); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// store copies at most limit bytes.
func store(f *spooled, plain io.Reader, src *source, limit int64) error {
	if limit == 0 {
		limit = defaultMaxSize
	}
	w := &sink{w: f.File}
	n, err := io.CopyBuffer(w, io.LimitReader(plain, limit), make([]byte, 1<<20))
	f.size = n
	switch {
	case w.err != nil:
		return fmt.Errorf("storing the archive: %w", w.err)
	case err != nil:
		return src.blame(err)
	case n < limit:
		return nil
	}
	if more, err := io.CopyN(io.Discard, plain, 1); more == 0 {
		if err == io.EOF {
			return nil
		}
		return src.blame(err)
	}
	return image.Corruptf("archive of more than %d bytes after decompression, the limit", limit)
}

// source is what is read from. It keeps its own errors apart from those of what
// its bytes mean.
type source struct {
	ctx context.Context
	r   io.Reader
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

// sink keeps the error of writing apart.
type sink struct {
	w   io.Writer
	err error
}

func (s *sink) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
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
	var plain io.ReadCloser
	switch magic {
	case formTar:
		return io.NopCloser(buf), nil
	case formGzip:
		if plain, err = gzip.NewReader(buf); err != nil {
			return nil, err
		}
	case formZstd:
		d, err := zstd.NewReader(buf, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(1<<62), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		plain = d.IOReadCloser()
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
