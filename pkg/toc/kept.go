// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
)

// When a reader has decoded more in vain than patience and patienceSizes times its
// layer's tar stream, it keeps a copy of the stream that can be entered anywhere:
// ranges in the worst order would otherwise cost the product of their number and
// the stream's length.
const (
	patience      = 64 << 20
	patienceSizes = 2

	keptChunk = 128 << 10 // bytes of the tar stream that are compressed together
)

// kept is a tar stream in a temporary file, in chunks that are compressed each for
// itself.
type kept struct {
	file   *os.File
	remove bool    // the file has its name still
	ends   []int64 // where each chunk ends in the file

	enc *zstd.Encoder
	dec *zstd.Decoder
	raw []byte // a chunk as it is stored
	buf []byte // chunk number at, decoded
	at  int
}

func newKept(dir string) (k *kept, err error) {
	k = &kept{at: -1, buf: make([]byte, 0, keptChunk)}
	k.enc, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(keptChunk))
	if err != nil {
		return nil, err
	}
	if k.dec, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(keptChunk)); err != nil {
		return nil, err
	}
	if k.file, err = os.CreateTemp(dir, "flatten-layer-"); err != nil {
		return nil, fmt.Errorf("storing a layer that is read out of order: %w", err)
	}
	// Without its name it goes when this process does, however that ends.
	k.remove = os.Remove(k.file.Name()) != nil
	return k, nil
}

func (k *kept) close() {
	k.file.Close()
	if k.remove {
		os.Remove(k.file.Name())
	}
	k.dec.Close()
}

// Write implements io.Writer for the stream, before anything is read of it.
func (k *kept) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		part := min(len(p)-n, keptChunk-len(k.buf))
		k.buf = append(k.buf, p[n:n+part]...)
		n += part
		if len(k.buf) == keptChunk {
			err = k.flush()
		}
	}
	return n, err
}

// flush stores what there is of a chunk.
func (k *kept) flush() error {
	if len(k.buf) == 0 {
		return nil
	}
	k.raw = k.enc.EncodeAll(k.buf, k.raw[:0])
	k.buf = k.buf[:0]
	if _, err := k.file.Write(k.raw); err != nil {
		return fmt.Errorf("storing a layer that is read out of order: %w", err)
	}
	k.ends = append(k.ends, k.end(len(k.ends)-1)+int64(len(k.raw)))
	return nil
}

// end is where a chunk ends in the file; -1 is the one before the first.
func (k *kept) end(i int) int64 {
	if i < 0 {
		return 0
	}
	return k.ends[i]
}

// writeRange writes a range of the stream, which has it.
func (k *kept) writeRange(ctx context.Context, w io.Writer, off, n int64) error {
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := k.load(int(off / keptChunk)); err != nil {
			return fmt.Errorf("reading back a layer that was stored: %w", err)
		}
		part := k.buf[off%keptChunk:]
		part = part[:min(n, int64(len(part)))]
		if _, err := w.Write(part); err != nil {
			return err
		}
		off, n = off+int64(len(part)), n-int64(len(part))
	}
	return nil
}

// load makes buf a chunk.
func (k *kept) load(i int) error {
	if i == k.at {
		return nil
	}
	k.at = -1
	start := k.end(i - 1)
	n := int(k.ends[i] - start)
	if cap(k.raw) < n {
		k.raw = make([]byte, n)
	}
	k.raw = k.raw[:n]
	if m, err := k.file.ReadAt(k.raw, start); m < n {
		return err
	}
	var err error
	if k.buf, err = k.dec.DecodeAll(k.raw, k.buf[:0]); err != nil {
		return err
	}
	k.at = i
	return nil
}

// keep makes the copy.
func (r *Reader) keep(ctx context.Context) error {
	k, err := newKept(r.group.TempDir)
	if err != nil {
		return err
	}
	r.release()
	r.wide = r.layer.Compression == Zstd // what is behind off may want it
	if err = r.decodeTo(ctx, k); err == nil {
		err = k.flush()
	}
	r.release()
	if err != nil {
		k.close()
		return err
	}
	k.enc = nil
	r.kept = k
	return nil
}

// decodeTo writes the whole stream to w.
func (r *Reader) decodeTo(ctx context.Context, w io.Writer) error {
	if err := r.seek(0); err != nil {
		return err
	}
	for r.pos < r.layer.Size {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.fill(); err != nil {
			return err
		}
		part := min(r.layer.Size-r.pos, int64(len(r.chunk)))
		if _, err := w.Write(r.chunk[:part]); err != nil {
			return err
		}
		r.consume(part)
	}
	return nil
}
