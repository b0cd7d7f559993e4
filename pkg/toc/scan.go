// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/inflate"
)

// Options say what a layer is expected to be. The zero value expects nothing.
type Options struct {
	// Digest is the digest of the blob; empty: not checked.
	Digest digest.Digest

	// DiffID is the digest of the tar stream; empty: not checked.
	DiffID digest.Digest

	// Size is the size of the blob in bytes. Not checked when it is negative,
	// or when it is 0 and Digest is empty.
	Size int64

	// MediaType is that of the blob, empty when there is none. Magic bytes
	// decide; one that says otherwise is a warning (rule 136), an encrypted one
	// an error (rule 147).
	MediaType string

	// Budget is what the layers of the image may cost together; nil means the
	// default limits for this one alone.
	Budget *Budget

	// Cache, when not nil, is asked for the table first, by Digest or else by
	// DiffID, and keeps it afterwards. A table from there says what a blob with
	// that digest holds; that this blob has it is for [Verify] to say. A cache
	// that cannot be written is no error.
	Cache *Cache

	// Progress, when not nil, is told how many bytes of the blob have been read,
	// from time to time, on the goroutine that called Scan. It never goes back
	// and ends with the blob's size when Scan succeeds.
	Progress func(blobBytes int64)
}

// hold is how many chunks are in use at once while scanning: one is decoded and
// parsed, the others are being hashed or wait for it.
const hold = 4

// drainLen is how many bytes are read at once of what is only hashed: few enough to
// be in a processor's cache still.
const drainLen = 256 << 10

// scan is one call of Scan.
type scan struct {
	opts    Options
	src     *source
	scanner *Scanner
	layer   *Layer

	// warnings are what was odd in how the blob is described, not in itself.
	warnings []image.Warning

	wide  bool  // zstd with a window over recommendedWindow
	shown int64 // of Progress

	blobHash hash.Hash // nil when tarHash does for both
	tarHash  hash.Hash
}

// Scan reads a blob once, from its first to its last byte, and returns its table
// of contents. It verifies size, digest and diffID before it returns one. When
// the cache has the table, only the blob's first bytes are read.
//
// An error that is [image.ErrCorrupt] is the layer's fault; in the tar stream it
// is an [*EntryError]. Any other comes from reading the blob, or is that of ctx,
// which is looked at between chunks. When the blob does not have its digest, that
// is the error, whatever else was found in it.
func Scan(ctx context.Context, blob image.Blob, opts Options) (*Layer, error) {
	if opts.Budget == nil {
		opts.Budget = NewBudget(image.Limits{}, blob.Size())
	}
	s := &scan{opts: opts, scanner: newScanner(opts.Budget, blob.Size())}
	if err := s.prepare(blob); err != nil {
		return nil, err
	}
	if l := s.known(); l != nil {
		if err := opts.Budget.Add(l); err != nil {
			return nil, err
		}
		l.Unverified = true
		l.Warnings = append(s.warnings, l.Warnings...)
		return l, nil
	}
	err := s.run(ctx)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) && ctx.Err() == nil {
		err = s.runWide(ctx)
	}
	if err != nil && mayBeDamage(ctx, err) {
		err = s.blame(ctx, err)
	}
	if err != nil {
		return nil, err
	}
	if c := opts.Cache; c != nil && opts.DiffID != "" {
		_ = c.Store(s.layer)
	}
	s.layer.Warnings = append(s.warnings, s.layer.Warnings...)
	return s.layer, nil
}

// known returns the cached table of contents when it is of the layer that is
// expected.
func (s *scan) known() *Layer {
	id := cmp.Or(s.opts.Digest, s.opts.DiffID)
	if s.opts.Cache == nil || id == "" || s.opts.DiffID == "" {
		return nil
	}
	l := s.opts.Cache.Load(id)
	if l == nil || l.DiffID != s.opts.DiffID || l.BlobSize != s.src.size || l.Compression != s.layer.Compression {
		return nil
	}
	return l
}

// Verify reads the blob of a layer that is unverified, and returns nil when it has
// the layer's digest. That of any other layer is not read. progress, which may be
// nil, is as Options.Progress.
func Verify(ctx context.Context, blob image.Blob, l *Layer, progress func(blobBytes int64)) error {
	if !l.Unverified {
		return nil
	}
	h, err := newHash(l.Digest)
	if err != nil {
		return err
	}
	s := &scan{opts: Options{Progress: progress}, src: &source{blob: blob, size: blob.Size(), hash: h}}
	if err := s.drain(ctx); err != nil {
		return err
	}
	if got := digestOf(l.Digest, h); got != l.Digest {
		return digestError(got, l.Digest)
	}
	return nil
}

// drain reads the rest of the blob.
func (s *scan) drain(ctx context.Context) error {
	buf := make([]byte, min(drainLen, s.src.size))
	for {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		_, err := s.src.Read(buf)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		s.progress()
	}
}

// prepare checks what can be known before the blob is read.
func (s *scan) prepare(blob image.Blob) error {
	opts, size := &s.opts, blob.Size()
	if strings.Contains(opts.MediaType, "+encrypted") {
		return image.WithHint(image.Corruptf("layer is encrypted (media type %s)", opts.MediaType),
			"decrypt the image first")
	}
	if size < 0 {
		return image.Corruptf("blob has a size of %d bytes", size)
	}
	if size != opts.Size && (opts.Size > 0 || opts.Size == 0 && opts.Digest != "") {
		return image.Corruptf("blob has %d bytes, the manifest says %d", size, opts.Size)
	}
	compression, warnings, err := identify(blob, size, opts.MediaType)
	if err != nil {
		return err
	}
	s.layer, s.warnings = &Layer{BlobSize: size, Compression: compression}, warnings
	if s.tarHash, err = newHash(opts.DiffID); err != nil {
		return err
	}
	if s.blobHash, err = newHash(opts.Digest); err != nil {
		return err
	}
	if compression == Plain && algorithm(opts.Digest) == algorithm(opts.DiffID) {
		s.blobHash = nil
	}
	s.src = &source{blob: blob, size: size}
	return nil
}

// algorithm is that of a digest, SHA-256 for none.
func algorithm(d digest.Digest) digest.Algorithm {
	if d == "" {
		return digest.SHA256
	}
	return d.Algorithm()
}

// run reads the blob and fills in the layer.
func (s *scan) run(ctx context.Context) error {
	if err := s.read(ctx); err != nil {
		return err
	}
	l := s.layer
	l.DiffID = digestOf(s.opts.DiffID, s.tarHash)
	l.Digest = l.DiffID
	if s.blobHash != nil {
		l.Digest = digestOf(s.opts.Digest, s.blobHash)
	}
	if err := s.verify(); err != nil {
		return err
	}
	entries, warnings, err := s.scanner.Finish()
	if err != nil {
		return err
	}
	l.Size, l.HeaderBytes = s.scanner.off, s.scanner.headers
	l.Entries, l.Warnings = entries, append(l.Warnings, warnings...)
	return nil
}

// runWide begins anew, with a decoder that has the largest window there may be.
func (s *scan) runWide(ctx context.Context) error {
	wideScans.Lock()
	defer wideScans.Unlock()
	s.wide = true
	s.scanner.discard()
	s.scanner = newScanner(s.opts.Budget, s.src.size)
	s.src = &source{blob: s.src.blob, size: s.src.size}
	s.tarHash.Reset()
	if s.blobHash != nil {
		s.blobHash.Reset()
	}
	return s.run(ctx)
}

// read decodes the blob to its end; each chunk is parsed here and hashed beside.
func (s *scan) read(ctx context.Context) error {
	if s.blobHash != nil {
		defer s.src.readAhead(s.blobHash)()
	}
	dec, err := newDecoder(s.layer.Compression, s.src, hold, s.wide, s.opts.Budget.blocks(s.src.size))
	if err != nil {
		return decodeError(s.layer.Compression, s.src, err)
	}
	defer dec.close()
	gz, _ := dec.(*gzipDecoder)
	entrances := entrances{most: s.opts.Budget.entrances()}
	sum := newHasher(s.tarHash, hold)
	defer sum.stop()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		chunk, err := dec.next()
		if err == io.EOF && s.src.err == nil {
			break
		}
		if err != nil {
			if errors.Is(err, inflate.ErrTooManyBlocks) {
				err = fmt.Errorf("%w: %w", err, image.Over("HeaderBytes", s.opts.Budget.limits.HeaderBytes))
			}
			return decodeError(s.layer.Compression, s.src, err)
		}
		sum.write(chunk)
		entries := s.scanner.entries.n
		if _, err := s.scanner.Write(chunk); err != nil {
			return err
		}
		if gz != nil {
			entrances.add(gz.Checkpoints(), gz.Blocks(), s.scanner.entries.n > entries)
		}
		s.progress()
	}
	s.progress()
	if s.src.off != s.src.size {
		return image.Corruptf("compressed stream ends at byte %d of the blob's %d", s.src.off, s.src.size)
	}
	if gz != nil {
		s.layer.Blocks, s.layer.Checkpoints = gz.Blocks(), entrances.list
	}
	return s.trailing(dec.trailing())
}

func (s *scan) progress() {
	if s.opts.Progress != nil {
		s.shown = max(s.shown, s.src.off) // which a second run must not undo
		s.opts.Progress(s.shown)
	}
}

// trailing judges bytes behind the compressed stream: tolerated when the diffID
// shows that nothing is missing (rule 138).
func (s *scan) trailing(n int64) error {
	if n == 0 {
		return nil
	}
	if s.opts.DiffID == "" {
		return image.Corruptf("%d bytes follow the %s stream", n, s.layer.Compression)
	}
	s.layer.Warnings = append(s.layer.Warnings, image.Warning{Rule: 138,
		Text: fmt.Sprintf("%d bytes behind the %s stream are ignored", n, s.layer.Compression)})
	return nil
}

// verify compares the digests.
func (s *scan) verify() error {
	if want := s.opts.Digest; want != "" && s.layer.Digest != want {
		return digestError(s.layer.Digest, want)
	}
	if want := s.opts.DiffID; want != "" && s.layer.DiffID != want {
		return image.WithHint(image.Corruptf("diffID of the tar is %s, the configuration says %s", s.layer.DiffID, want),
			"the image was put together wrongly: build it again")
	}
	return nil
}

func digestError(got, want digest.Digest) error {
	return image.WithHint(image.Corruptf("digest of the blob is %s, the manifest says %s", got, want),
		"the blob was damaged or exchanged: fetch the image again")
}

// mayBeDamage tells errors that a damaged blob can cause.
func mayBeDamage(ctx context.Context, err error) bool {
	var limit *image.LimitError
	return ctx.Err() == nil && errors.Is(err, image.ErrCorrupt) && !errors.As(err, &limit)
}

// blame reads the rest of a blob in which err was found, to say so when it does
// not have its digest.
func (s *scan) blame(ctx context.Context, err error) error {
	if s.opts.Digest == "" || s.src.err != nil {
		return err
	}
	h := s.blobHash
	if h == nil { // plain: hash it anew, the tar's hash may be ahead or behind
		h, _ = newHash(s.opts.Digest)
		s.src = &source{blob: s.src.blob, size: s.src.size}
	}
	s.src.hash = h
	if err := s.drain(ctx); err != nil {
		return err
	}
	if got := digestOf(s.opts.Digest, h); got != s.opts.Digest {
		return digestError(got, s.opts.Digest)
	}
	return err
}
