// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

import (
	"math"
	"sync"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/inflate"
)

// Bounds that are not for a caller to choose: past them no runtime takes a
// layer either, or no file system a file.
const (
	maxSpecial   = 1 << 20 // bytes of an extension header's body; also of a sparse map
	maxHeaders   = 8 << 20 // bytes of all headers of one entry
	maxXattr     = 1 << 16 // bytes of an extended attribute's value (Linux, XATTR_SIZE_MAX)
	maxSymlink   = 4096    // bytes of a symbolic link's target, its NUL included (Linux, PATH_MAX)
	maxID        = 1<<32 - 2
	maxDevice    = 1<<32 - 1
	maxExtension = (maxSpecial - 97) / blockSize // blocks that extend an old GNU sparse map
	maxWarnings  = 1000
	blockBytes   = 256 // what a DEFLATE block counts for HeaderBytes
	freeBlock    = 64  // bytes of a blob for which a block counts nothing
	freeHeader   = 128 // bytes of an entry that Layer.HeaderBytes leaves out
)

// use is what is used of limits that hold for all layers together.
type use struct {
	entries int64
	size    int64 // of tar streams and the holes in sparse files, in bytes
	headers int64 // as Layer.HeaderBytes
}

func (u use) plus(v use) use {
	return use{u.entries + v.entries, u.size + v.size, u.headers + v.headers}
}

func (u use) minus(v use) use {
	return use{u.entries - v.entries, u.size - v.size, u.headers - v.headers}
}

// Budget is what the layers of an image use of the limits together. It is safe for
// concurrent use.
type Budget struct {
	limits image.Limits
	layers int
	blobs  int64 // bytes of all blobs, -1 when the ratio to them does not count
	mu     sync.Mutex
	used   use // guarded by mu
}

// NewBudget returns a budget of which nothing is used, for an image whose layers
// have blobs of these sizes, each as often as it occurs. Without any, the ratio is
// not bounded.
func NewBudget(limits image.Limits, blobs ...int64) *Budget {
	b := &Budget{limits: limits.WithDefaults(), layers: len(blobs), blobs: -1}
	if len(blobs) > 0 {
		b.blobs = sum(blobs...)
	}
	return b
}

// blocks is how many DEFLATE blocks a blob may have. No honest layer has them
// smaller than freeBlock: that would be more than two for each entry.
func (b *Budget) blocks(blob int64) int {
	return int(min(b.limits.HeaderBytes/blockBytes+blob/freeBlock+16, inflate.DefaultMaxBlocks))
}

// entrances is how many places of a layer where decoding can resume are kept:
// fewer, the more layers there are.
func (b *Budget) entrances() int {
	return min(maxEntrances, max(minEntrances, allEntrances/max(1, b.layers)))
}

// Add counts a layer whose table is known. It fails when with it the layers are
// over a limit.
func (b *Budget) Add(l *Layer) error {
	_, err := b.add(l.use())
	return err
}

// add counts what one layer used more, and returns what all did.
func (b *Budget) add(u use) (use, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used = b.used.plus(u)
	return b.used, b.check(b.used)
}

// check fails when more is used than the limits allow.
func (b *Budget) check(u use) error {
	switch {
	case u.entries > b.limits.Entries:
		return image.Over("Entries", b.limits.Entries)
	case u.size > b.limits.Size:
		return image.Over("Size", b.limits.Size)
	case u.headers > b.limits.HeaderBytes:
		return image.Over("HeaderBytes", b.limits.HeaderBytes)
	case b.blobs >= 0:
		return b.limits.CheckRatio(b.blobs, u.size, u.entries)
	}
	return nil
}

// sum adds sizes, those that are not known left out, to the largest there is at
// most.
func sum(sizes ...int64) (total int64) {
	for _, n := range sizes {
		total += min(max(n, 0), math.MaxInt64-total)
	}
	return total
}

// use is what a layer uses.
func (l *Layer) use() use {
	u := use{entries: int64(len(l.Entries)), size: l.Size, headers: l.HeaderBytes}
	for i := range l.Entries {
		u.size += l.Entries[i].holes()
	}
	return u
}

// holes is the length of what a sparse file has no data for.
func (e *Entry) holes() int64 {
	if e.Extra == nil || !e.Extra.IsSparse {
		return 0
	}
	return e.Size + e.Extra.SparseHeader - e.Stored()
}
