// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

import "github.com/seed-81b0d42e/flatten/pkg/inflate"

const (
	// checkpointEvery is how many bytes of a gzip layer's tar stream lie between
	// places where decoding can resume, at least. A jump costs decoding half as
	// many bytes on average.
	checkpointEvery = 1 << 20

	// maxEntrances bounds the places of a layer, and allEntrances those of all
	// layers, each of which may have minEntrances however. A place takes 32 KiB of
	// memory.
	maxEntrances = 512
	allEntrances = 1536
	minEntrances = 8
)

// entrances chooses among the checkpoints of a layer: those that ranges can be
// near, for ranges begin where entries do, and not more than maxEntrances. Thus
// their memory grows with the entries and not with the bytes.
type entrances struct {
	most int
	list []inflate.Checkpoint
	last int64 // offset of the last of them in the tar stream
	lack int64 // how far apart they have to be
	used bool  // an entry began since the last
}

// add takes what the decoding and parsing of one chunk of the stream has brought:
// checkpoints, and whether an entry began.
func (e *entrances) add(taken []inflate.Checkpoint, blocks []inflate.Block, began bool) {
	for _, c := range taken {
		offset := int64(0) // of a block that may not have ended
		if c.Block > 0 {
			offset = blocks[c.Block-1].Offset + blocks[c.Block-1].Length
		}
		switch n := len(e.list); {
		case n > 0 && !e.used && !began:
			e.list = e.list[:n-1] // no range begins between it and the new one
		case n > 0 && offset-e.last < e.lack:
			continue
		}
		e.list = append(e.list, c)
		e.last, e.used = offset, false
		if len(e.list) > e.most {
			e.halve()
		}
	}
	e.used = e.used || began
}

// halve leaves out every second one, the last not.
func (e *entrances) halve() {
	kept := e.list[:0]
	for i := range e.list {
		if (len(e.list)-1-i)%2 == 0 {
			kept = append(kept, e.list[i])
		}
	}
	clear(e.list[len(kept):])
	e.list = kept
	e.lack = max(2*e.lack, 2*checkpointEvery)
}
