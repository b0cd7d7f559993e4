// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/klauspost/compress/zstd"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/inflate"
)

// Reader reads ranges of a layer's tar stream. It costs least when they come in
// ascending order: then the blob is decoded once. For a range further on, or
// behind the position reached, a gzip layer is entered at a checkpoint, while a
// zstd layer is decoded up to it, or starts over. When that has cost more than
// decoding the layer a few times, the reader keeps a copy in a temporary file that
// can be entered anywhere. A plain layer is read in place.
//
// A Reader verifies nothing but that the blob still decodes and is long enough:
// [Scan] has verified it. It is not safe for concurrent use.
type Reader struct {
	layer *Layer
	blob  image.Blob

	dec   decoder // nil before the first range and after an error
	src   *source
	chunk []byte // decoded, not yet consumed
	pos   int64  // offset of chunk in the tar stream

	buf []byte // for a plain layer

	group *Group
	wide  bool // the layer has a zstd frame with a window over recommendedWindow

	wasted int64 // bytes that were decoded and skipped
	kept   *kept // nil before so many were that a copy is kept

	excerpts *excerpts // nil when none are kept of this layer
}

// Group is readers of which one at a time may have a decoder that takes up to 128
// MiB, as some zstd layers want. The others then begin anew. Its readers must not
// be used concurrently.
type Group struct {
	// TempDir is where layers are kept that are read in a bad order; empty means
	// [os.TempDir].
	TempDir string

	// Cache, when not nil, has excerpts of gzip layers: ranges that are read
	// without the blob, since they were read and kept before. See [Reader.Keep].
	Cache *Cache

	wide    *Reader
	learned int64 // bytes that readers hold to be kept; over maxExcerpts none are
}

// enter makes r the one with the large decoder.
func (g *Group) enter(r *Reader) {
	if g.wide != nil && g.wide != r {
		g.wide.release()
	}
	g.wide = r
}

// NewReader returns a reader of the layer that blob holds, a member of the group.
// The blob stays the caller's, who closes it after the reader.
func (g *Group) NewReader(layer *Layer, blob image.Blob) *Reader {
	r := &Reader{layer: layer, blob: blob, group: g}
	if g.Cache != nil && layer.Compression == Gzip && layer.Size >= excerptedSize {
		r.excerpts = &excerpts{}
	}
	return r
}

// NewReader returns a reader that is the only one of its group.
func NewReader(layer *Layer, blob image.Blob) *Reader { return new(Group).NewReader(layer, blob) }

// Close releases the decoder and what is kept.
func (r *Reader) Close() error {
	r.release()
	if r.kept != nil {
		r.kept.close()
	}
	r.kept = nil
	return nil
}

// Keep puts what the reader decoded into its group's cache, beside what is there
// of the layer. The blob must have been verified. The reader may be closed already.
func (r *Reader) Keep() error {
	if r.excerpts == nil || r.group.learned > maxExcerpts {
		return nil
	}
	list := r.excerpts.merged()
	if list == nil {
		return nil
	}
	return r.group.Cache.storeExcerpts(r.layer.Digest, list)
}

// release releases the decoder.
func (r *Reader) release() {
	if r.dec != nil {
		r.dec.close()
	}
	r.dec, r.chunk = nil, nil
}

// WriteRange writes n bytes of the tar stream to w, those from off on. The range
// has to lie in the stream. An error that is [image.ErrCorrupt] means that the
// blob is not the one that was scanned.
func (r *Reader) WriteRange(ctx context.Context, w io.Writer, off, n int64) error {
	if off < 0 || n < 0 || off > r.layer.Size-n {
		return fmt.Errorf("no %d bytes at %d in a tar of %d bytes", n, off, r.layer.Size)
	}
	if r.layer.Compression == Plain {
		return r.writePlain(ctx, w, off, n)
	}
	if r.kept != nil {
		return r.kept.writeRange(ctx, w, off, n)
	}
	if x := r.excerpts; x != nil {
		x.load(r.group.Cache, r.layer.Digest)
		if data := x.find(off, n); data != nil {
			_, err := w.Write(data)
			return err
		}
		if r.group.learned += n; r.group.learned <= maxExcerpts {
			w = x.learn(w, off, n)
		}
	}
	if err := r.seek(off); err != nil {
		return err
	}
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := r.fill()
		if errors.Is(err, zstd.ErrWindowSizeExceeded) && !r.wide {
			r.release()
			r.wide = true
			if err := r.seek(off); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			r.release()
			return err
		}
		if skip := min(off-r.pos, int64(len(r.chunk))); skip > 0 {
			r.consume(skip)
			if r.wasted += skip; (r.wasted-patience)/patienceSizes <= r.layer.Size {
				continue
			}
			if err := r.keep(ctx); err != nil {
				return err
			}
			return r.kept.writeRange(ctx, w, off, n)
		}
		part := min(n, int64(len(r.chunk)))
		if _, err := w.Write(r.chunk[:part]); err != nil {
			return err
		}
		r.consume(part)
		off, n = off+part, n-part
	}
	return nil
}

// writePlain writes a range of a blob that is the tar stream itself.
func (r *Reader) writePlain(ctx context.Context, w io.Writer, off, n int64) error {
	if r.buf == nil {
		r.buf = make([]byte, min(chunkLen, r.layer.Size))
	}
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		part := r.buf[:min(n, int64(len(r.buf)))]
		if m, err := r.blob.ReadAt(part, off); m < len(part) {
			return changed(readError(off+int64(m), r.layer.BlobSize, err))
		}
		if _, err := w.Write(part); err != nil {
			return err
		}
		off, n = off+int64(len(part)), n-int64(len(part))
	}
	return nil
}

// worthJump is how many bytes a jump must save: entering a blob anew reads some
// of it twice.
const worthJump = 256 << 10

// seek makes sure that the decoder stands at or before off, and not needlessly
// far.
func (r *Reader) seek(off int64) error {
	var at inflate.Block // the beginning of the blob
	var window []byte
	if n := sort.Search(len(r.layer.Checkpoints), func(n int) bool {
		return r.layer.Blocks[r.layer.Checkpoints[n].Block].Offset > off
	}); n > 0 {
		c := &r.layer.Checkpoints[n-1]
		at, window = r.layer.Blocks[c.Block], c.Window
	}
	decoded := r.pos + int64(len(r.chunk))
	if r.dec != nil && r.pos <= off && at.Offset < decoded+worthJump {
		return nil
	}
	r.release()
	r.pos = at.Offset
	r.src = &source{blob: r.blob, size: r.layer.BlobSize, off: at.Start / 8}
	if at.Start > 0 {
		r.dec = resumeGzip(r.src, at, window)
		return nil
	}
	if r.wide {
		r.group.enter(r)
	}
	dec, err := newDecoder(r.layer.Compression, r.src, 1, r.wide, 0)
	if err != nil {
		return changed(decodeError(r.layer.Compression, r.src, err))
	}
	r.dec = dec
	return nil
}

// fill makes sure that chunk is not empty.
func (r *Reader) fill() error {
	if len(r.chunk) > 0 {
		return nil
	}
	var err error
	if r.chunk, err = r.dec.next(); err != nil {
		return changed(decodeError(r.layer.Compression, r.src, err))
	}
	return nil
}

func (r *Reader) consume(n int64) {
	r.chunk = r.chunk[n:]
	r.pos += n
}

// changed says what an error means in a blob that was sound when it was scanned.
func changed(err error) error {
	if !errors.Is(err, image.ErrCorrupt) {
		return err
	}
	return image.Corruptf("blob has changed since it was scanned: %w", err)
}
