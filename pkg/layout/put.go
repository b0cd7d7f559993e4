// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"path/filepath"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/internal/atomicfile"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// How a blob comes into a store. It is written to a file of the layout's top
// folder whose temporary name has its digest, and so is found again by the next
// run, or by another process, which waits until it may go on. It is hashed on
// the way, what was there before too. Only when size and digest are right and the
// bytes are on disk it is renamed to where blobs are.

// has reports whether a blob is there with the right size, and with check whether
// it has the right digest.
func (s *Store) has(ctx context.Context, d v1.Descriptor, check bool) (bool, error) {
	if _, err := s.stat(d); err != nil {
		if isCorrupt(err) {
			return false, nil // missing, too short, a folder: all the same
		}
		return false, err
	}
	if !check {
		return true, nil
	}
	b, err := s.openBlob(d)
	if err != nil {
		return false, err
	}
	defer b.Close()
	h := d.Digest.Algorithm().Hash()
	if err := image.CopyBlob(ctx, b, 0, h); err != nil {
		return false, fmt.Errorf("reading blob %s: %w", d.Digest, err)
	}
	return digest.NewDigest(d.Digest.Algorithm(), h) == d.Digest, nil
}

func isCorrupt(err error) bool { return errors.Is(err, image.ErrCorrupt) }

// putBytes stores a document that is in memory and verified, and reports whether it
// was there already.
func (s *Store) putBytes(ctx context.Context, d v1.Descriptor, raw []byte) (there bool, err error) {
	if there, err := s.has(ctx, d, true); there || err != nil {
		return there, err
	}
	f, err := atomicfile.Create(s.dir)
	if err != nil {
		return false, err
	}
	defer f.Discard()
	if _, err := f.Write(raw); err != nil {
		return false, err
	}
	return false, s.publish(f, d.Digest)
}

// publish makes a file a blob.
func (s *Store) publish(f *atomicfile.File, d digest.Digest) error {
	if err := f.Sync(); err != nil {
		return err
	}
	if err := s.root.MkdirAll(filepath.FromSlash(blobDir(d.Algorithm())), 0o777); err != nil {
		return fmt.Errorf("%s: %w", s.source, err)
	}
	return f.Commit(filepath.FromSlash(blobPath(d)))
}

// partKey is what the temporary name of a blob is made of.
func partKey(d digest.Digest) string { return d.Algorithm().String() + "-" + d.Encoded() }

// have is how many bytes of a blob were left by an earlier run.
func (s *Store) have(d v1.Descriptor) int64 {
	for _, p := range atomicfile.Parts(s.dir) {
		if p.Key == partKey(d.Digest) && p.Size <= d.Size {
			return p.Size
		}
	}
	return 0
}

// blobSource writes the bytes of a blob from an offset on.
type blobSource func(ctx context.Context, offset int64, w io.Writer) error

// put stores a blob, or the rest of it. It reports progress in bytes of the whole
// blob. When another process is at it, it waits and finds the blob there; check
// is as for has.
func (s *Store) put(ctx context.Context, d v1.Descriptor, check bool, from blobSource, progress func(done int64)) error {
	f, err := s.part(ctx, d)
	if err != nil {
		return err
	}
	defer leave(f)
	if there, err := s.has(ctx, d, check); err != nil {
		return err
	} else if there {
		f.Discard()
		progress(d.Size)
		return nil
	}
	resumed := f.Size() > 0
	err = s.fill(ctx, f, d, from, progress)
	if resumed && errors.As(err, new(*wrongBytesError)) {
		// What the earlier run left may be to blame.
		err = s.fill(ctx, f, d, from, progress)
	}
	if err == nil {
		err = s.publish(f, d.Digest)
	}
	if errors.As(err, new(*image.SpaceError)) {
		err = image.WithHint(err, "make room and run it again: what has been fetched is kept")
	}
	return err
}

// leave lets a file be for the next run, if there is something in it.
func leave(f *atomicfile.File) {
	if f.Size() == 0 {
		f.Discard()
	}
	f.Leave()
}

// partWait is how often a file that another process is writing is asked for.
const partWait = 200 * time.Millisecond

// part opens the temporary file of a blob as soon as no other process has it.
func (s *Store) part(ctx context.Context, d v1.Descriptor) (*atomicfile.File, error) {
	for first := true; ; first = false {
		f, err := atomicfile.Resume(s.dir, partKey(d.Digest))
		if !errors.Is(err, atomicfile.ErrBusy) {
			return f, err
		}
		if first {
			s.waiting("another process that fetches blob " + string(d.Digest))
		}
		if err := pause(ctx, partWait); err != nil {
			return nil, err
		}
	}
}

// wrongBytesError: a blob has another size or digest than it must have.
type wrongBytesError struct{ error }

func (e *wrongBytesError) Unwrap() error { return e.error }

func wrongBytesf(format string, args ...any) error {
	return &wrongBytesError{image.Corruptf(format, args...)}
}

// fill completes the temporary file of a blob and verifies it. What is wrong does
// not stay in it.
func (s *Store) fill(ctx context.Context, f *atomicfile.File, d v1.Descriptor, from blobSource, progress func(int64)) error {
	if f.Size() > d.Size {
		if err := f.Restart(); err != nil {
			return err
		}
	}
	w := &verifier{f: f, hash: d.Digest.Algorithm().Hash(), size: d.Size, progress: progress}
	if _, err := io.Copy(w.hash, &contextReader{ctx, f.Content()}); err != nil {
		return fmt.Errorf("reading what is there of blob %s: %w", d.Digest, err)
	}
	progress(f.Size())
	if f.Size() < d.Size {
		if err := from(ctx, f.Size(), w); err != nil {
			return err
		}
	}
	if err := w.verify(d); err != nil {
		return errors.Join(err, f.Restart())
	}
	return nil
}

// verifier is the way of a blob's bytes into its file.
type verifier struct {
	f        *atomicfile.File
	hash     hash.Hash
	size     int64
	progress func(int64)
}

// Write appends to the file, but never more than the blob has.
func (w *verifier) Write(p []byte) (int, error) {
	if int64(len(p)) > w.size-w.f.Size() {
		return 0, image.Corruptf("more than %d bytes (rule 151)", w.size)
	}
	n, err := w.f.Write(p)
	w.hash.Write(p[:n])
	w.progress(w.f.Size())
	return n, err
}

func (w *verifier) verify(d v1.Descriptor) error {
	if n := w.f.Size(); n != d.Size {
		return wrongBytesf("blob %s: %d bytes instead of %d (rule 151)", d.Digest, n, d.Size)
	}
	if got := digest.NewDigest(d.Digest.Algorithm(), w.hash); got != d.Digest {
		return wrongBytesf("blob %s: the bytes have digest %s (rule 151)", d.Digest, got)
	}
	return nil
}

// contextReader reads until its context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r *contextReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(p)
}
