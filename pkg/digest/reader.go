// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package digest

import (
	"crypto/sha256"
	"hash"
	"io"

	"github.com/opencontainers/go-digest"
)

// Reader hashes what it reads while its caller works on it. It is not safe for
// concurrent use.
type Reader struct {
	src  io.Reader
	hash hash.Hash
	size int64
	err  error // sticky: that of src

	// Invariant: rest is a part of buf, which is being hashed until hashed is
	// closed.
	buf, rest []byte
	hashed    <-chan struct{}
}

// readLen is how many bytes are read at once.
const readLen = 256 << 10

// NewReader returns a reader of src.
func NewReader(src io.Reader) *Reader {
	r := &Reader{src: src, hash: sha256.New(), buf: make([]byte, readLen)}
	r.hashed = hashBeside(r.hash, nil)
	return r
}

// Read reads from the source. What has been read before an error is handed out
// before it.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.rest) == 0 {
		<-r.hashed
		if r.err != nil {
			return 0, r.err
		}
		var n int
		n, r.err = r.src.Read(r.buf)
		r.rest, r.size = r.buf[:n], r.size+int64(n)
		r.hashed = hashBeside(r.hash, r.rest)
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Size is the number of bytes read from the source so far.
func (r *Reader) Size() int64 { return r.size }

// Digest is the digest of the bytes read from the source so far. It is that of all
// of them once Read has returned io.EOF.
func (r *Reader) Digest() digest.Digest {
	<-r.hashed
	return digest.NewDigest(digest.SHA256, r.hash)
}
