// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten/internal/atomicfile"
)

// Cache keeps tables of contents in a folder, by the digest of the blob, and
// excerpts of the layers that were read before: what a plan could not copy in
// compressed blocks. Any number of processes may share it.
//
// An entry is a file "<algorithm>-<hex>.toc", or ".excerpts": a magic that names
// the version of the format, the SHA-256 of what follows, and a zstd frame that
// holds the rest. One that is damaged, of another version or for another blob is
// removed and made anew, never believed. It is as trustworthy as the folder:
// whoever can write there can make flatten write anything.
type Cache struct {
	// Dir is the folder; it is made when it is not there.
	Dir string

	// MaxSize bounds the sizes of all entries together, in bytes; those used
	// longest ago are removed first. 0 means 2 GiB.
	MaxSize int64

	// Now yields the time, by which is told what was used last. Nil: entries go
	// by when they were made.
	Now func() time.Time
}

// kind is what an entry holds.
type kind struct{ magic, suffix string }

var (
	tables   = kind{"flatten table of contents 2\n", ".toc"}
	passages = kind{"flatten excerpts of a layer 1\n", ".excerpts"}
)

const (
	defaultCacheSize = 2 << 30

	// maxTable bounds what an entry may take in memory, encoded.
	maxTable = 4 << 30
)

func (c *Cache) path(k kind, d digest.Digest) string {
	return filepath.Join(c.Dir, strings.Replace(string(d), ":", "-", 1)+k.suffix)
}

// Load returns the table of contents of the blob with that digest, or nil.
func (c *Cache) Load(d digest.Digest) *Layer {
	var l *Layer
	c.load(tables, d, func(raw []byte) (of digest.Digest, err error) {
		if l, err = decodeLayer(raw); err != nil {
			return "", err
		}
		return l.Digest, nil
	})
	if l == nil || l.Digest != d {
		return nil
	}
	return l
}

// loadExcerpts returns what is kept of the tar stream of the blob with that digest.
func (c *Cache) loadExcerpts(d digest.Digest) []excerpt {
	var list []excerpt
	c.load(passages, d, func(raw []byte) (of digest.Digest, err error) {
		of, list, err = decodeExcerpts(raw)
		if err != nil || of != d {
			list = nil
		}
		return of, err
	})
	return list
}

// load has an entry decoded, and removes it when that fails or says that it is of
// another blob.
func (c *Cache) load(k kind, d digest.Digest, decode func([]byte) (of digest.Digest, err error)) {
	if d.Validate() != nil {
		return
	}
	path := c.path(k, d)
	raw, err := os.ReadFile(path)
	if err != nil {
		return
	}
	if raw, err = k.unpack(raw); err == nil {
		var of digest.Digest
		if of, err = decode(raw); err == nil && of != d {
			err = errNotCached
		}
	}
	if err != nil {
		os.Remove(path)
		return
	}
	if c.Now != nil {
		now := c.Now()
		os.Chtimes(path, now, now) // a courtesy: it lives longer for it
	}
}

var errNotCached = errors.New("toc: not an entry of the cache")

// unpack is what the bytes of an entry hold.
func (k kind) unpack(raw []byte) ([]byte, error) {
	header := len(k.magic) + sha256.Size
	if len(raw) < header || string(raw[:len(k.magic)]) != k.magic {
		return nil, errNotCached
	}
	sum := sha256.Sum256(raw[header:])
	if !bytes.Equal(sum[:], raw[len(k.magic):header]) {
		return nil, errNotCached
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxTable))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return z.DecodeAll(raw[header:], nil)
}

// pack makes an entry.
func (k kind) pack(content []byte) ([]byte, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	header := len(k.magic) + sha256.Size
	raw := z.EncodeAll(content, make([]byte, header, 1<<16))
	copy(raw, k.magic)
	sum := sha256.Sum256(raw[header:])
	copy(raw[len(k.magic):], sum[:])
	return raw, nil
}

// Store keeps a table of contents that [Scan] returned, and removes others when
// all together are too large.
func (c *Cache) Store(l *Layer) error { return c.store(tables, l.Digest, encodeLayer(nil, l)) }

// storeExcerpts keeps what is to be known of the tar stream of the blob with that
// digest.
func (c *Cache) storeExcerpts(d digest.Digest, list []excerpt) error {
	return c.store(passages, d, encodeExcerpts(nil, d, list))
}

func (c *Cache) store(k kind, d digest.Digest, content []byte) error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return fmt.Errorf("making the cache: %w", err)
	}
	raw, err := k.pack(content)
	if err != nil {
		return fmt.Errorf("filling the cache: %w", err)
	}
	if int64(len(raw)) > c.maxSize() {
		return nil
	}
	f, err := atomicfile.Create(c.Dir)
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := f.Write(raw); err != nil {
		return err
	}
	if err := f.Commit(filepath.Base(c.path(k, d))); err != nil {
		return err
	}
	c.evict()
	return nil
}

func (c *Cache) maxSize() int64 { return cmp.Or(c.MaxSize, defaultCacheSize) }

// evict removes what was used longest ago until the rest is small enough. What
// another process removes first is no error.
func (c *Cache) evict() {
	list, err := os.ReadDir(c.Dir)
	if err != nil {
		return
	}
	var infos []fs.FileInfo
	total := int64(0)
	for _, e := range list {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && (strings.HasSuffix(e.Name(), tables.suffix) || strings.HasSuffix(e.Name(), passages.suffix)) {
			infos = append(infos, info)
			total += info.Size()
		}
	}
	slices.SortFunc(infos, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, info := range infos {
		if total <= c.maxSize() {
			return
		}
		os.Remove(filepath.Join(c.Dir, info.Name()))
		total -= info.Size()
	}
}
