// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

import (
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/seed-81b0d42e/flatten/pkg/inflate"
)

// Whatever the sizes of entries, the entrances are few, and none is far behind
// where an entry begins.
func TestEntrances(t *testing.T) {
	const block, chunk = 64 << 10, 256 << 10
	for name, size := range map[string]func(*rand.Rand) int64{
		"small files":           func(r *rand.Rand) int64 { return r.Int64N(20 << 10) },
		"large files":           func(r *rand.Rand) int64 { return 30<<20 + r.Int64N(50<<20) },
		"one large in a while":  func(r *rand.Rand) int64 { return []int64{1 << 10, 1 << 10, 40 << 20}[r.IntN(3)] },
		"files near the limits": func(r *rand.Rand) int64 { return checkpointEvery - 2 + r.Int64N(4) },
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			e := entrances{most: maxEntrances}
			var blocks []inflate.Block
			var starts []int64
			const total = 3 << 30
			next, due := int64(0), int64(checkpointEvery)
			for at := int64(0); at < total; at += chunk {
				var taken []inflate.Checkpoint
				for off := at; off < at+chunk; off += block {
					if off >= due {
						taken = append(taken, inflate.Checkpoint{Block: len(blocks)})
						due = off + checkpointEvery
					}
					blocks = append(blocks, inflate.Block{Offset: off, Length: block})
				}
				began := false
				for ; next < at+chunk; next += size(r) + 512 {
					starts, began = append(starts, next), true
				}
				e.add(taken, blocks, began)
			}
			if len(e.list) > maxEntrances || len(e.list) > 2*len(starts)+1 { // a chunk may touch two intervals
				t.Errorf("%d entrances for %d entries", len(e.list), len(starts))
			}
			far := 2 * max(e.lack, checkpointEvery)
			for _, start := range starts {
				n := sort.Search(len(e.list), func(n int) bool { return blocks[e.list[n].Block].Offset > start })
				from := int64(0)
				if n > 0 {
					from = blocks[e.list[n-1].Block].Offset
				}
				if start-from > far+chunk {
					t.Fatalf("entry at %d: the nearest entrance is at %d", start, from)
				}
			}
			t.Logf("%d entrances for %d entries, %d MiB apart", len(e.list), len(starts), max(e.lack, checkpointEvery)>>20)
		})
	}
}
