// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

import (
	"crypto"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"hash"

	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// hasher hashes chunks on a goroutine of its own, beside the decoder.
type hasher struct {
	hash   hash.Hash
	chunks chan []byte
	slots  chan struct{} // one for each chunk that is not hashed yet
	done   chan struct{}
}

// newHasher starts a hasher of chunks that stay valid until hold-1 more were
// made: see decoder.next.
func newHasher(h hash.Hash, hold int) *hasher {
	s := &hasher{
		hash:   h,
		chunks: make(chan []byte, hold-1),
		slots:  make(chan struct{}, hold-1),
		done:   make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		for p := range s.chunks {
			s.hash.Write(p)
			<-s.slots
		}
	}()
	return s
}

// write hands over a chunk. When it returns, at most hold-1 chunks are in use,
// this one included.
func (s *hasher) write(p []byte) {
	s.slots <- struct{}{}
	s.chunks <- p
}

// stop ends the goroutine, once it has hashed all chunks.
func (s *hasher) stop() {
	close(s.chunks)
	<-s.done
}

// newHash returns a hash for what want is the digest of; SHA-256 when want is
// empty.
func newHash(want digest.Digest) (hash.Hash, error) {
	if want == "" {
		return crypto.SHA256.New(), nil
	}
	if err := want.Validate(); err != nil {
		return nil, image.Corruptf("bad digest %q: %w", want, err)
	}
	return want.Algorithm().Hash(), nil
}

// digestOf is the digest that a hash of newHash(want) has come to.
func digestOf(want digest.Digest, h hash.Hash) digest.Digest {
	a := digest.SHA256
	if want != "" {
		a = want.Algorithm()
	}
	return digest.NewDigest(a, h)
}
