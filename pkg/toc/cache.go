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

// Cache keeps tables of contents in a folder, by the digest of the blob. Any
// number of processes may share it.
//
// An entry is a file "<algorithm>-<hex>.toc": a magic that names the version of
// the format, the SHA-256 of what follows, and a zstd frame that holds the
// table. One that is damaged, of another version or for another blob is removed
// and made anew, never believed. It is as trustworthy as the folder: whoever can
// write there can make flatten write anything.
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

const (
	cacheMagic       = "flatten table of contents 2\n"
	cacheSuffix      = ".toc"
	cacheHeader      = len(cacheMagic) + sha256.Size
	defaultCacheSize = 2 << 30

	// maxTable bounds what an entry may take in memory, encoded.
	maxTable = 4 << 30
)

func (c *Cache) path(d digest.Digest) string {
	return filepath.Join(c.Dir, strings.Replace(string(d), ":", "-", 1)+cacheSuffix)
}

// Load returns the table of contents of the blob with that digest, or nil.
func (c *Cache) Load(d digest.Digest) *Layer {
	if d.Validate() != nil {
		return nil
	}
	path := c.path(d)
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	l, err := decodeCached(raw)
	if err != nil || l.Digest != d {
		os.Remove(path)
		return nil
	}
	if c.Now != nil {
		now := c.Now()
		os.Chtimes(path, now, now) // a courtesy: it lives longer for it
	}
	return l
}

var errNotCached = errors.New("toc: not an entry of the cache")

// decodeCached is the table in the bytes of an entry.
func decodeCached(raw []byte) (*Layer, error) {
	if len(raw) < cacheHeader || string(raw[:len(cacheMagic)]) != cacheMagic {
		return nil, errNotCached
	}
	sum := sha256.Sum256(raw[cacheHeader:])
	if !bytes.Equal(sum[:], raw[len(cacheMagic):cacheHeader]) {
		return nil, errNotCached
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxTable))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	table, err := z.DecodeAll(raw[cacheHeader:], nil)
	if err != nil {
		return nil, err
	}
	return decodeLayer(table)
}

func encodeCached(l *Layer) ([]byte, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	raw := z.EncodeAll(encodeLayer(nil, l), make([]byte, cacheHeader, 1<<16))
	copy(raw, cacheMagic)
	sum := sha256.Sum256(raw[cacheHeader:])
	copy(raw[len(cacheMagic):], sum[:])
	return raw, nil
}

// Store keeps a table of contents that [Scan] returned, and removes others when
// all together are too large.
func (c *Cache) Store(l *Layer) error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return fmt.Errorf("making the cache: %w", err)
	}
	raw, err := encodeCached(l)
	if err != nil {
		return fmt.Errorf("caching a table of contents: %w", err)
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
	if err := f.Commit(filepath.Base(c.path(l.Digest))); err != nil {
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
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && strings.HasSuffix(e.Name(), cacheSuffix) {
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
