// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package regtest

import (
	"cmp"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
)

// Kinds are the faults that chaos chooses from.
type Kinds uint8

const (
	// Breaks are bodies that break off and answers that ask to try again. Every
	// byte of a blob is sent once all the same.
	Breaks Kinds = 1 << iota

	// Connections are those that close or are reset. Over HTTP/2 that takes
	// with it what other streams have under way.
	Connections

	// Ranges are answers to ranged requests with all of the blob or with
	// another range. Bytes are sent again then.
	Ranges

	// Hangs are servers that stall or send a byte now and then.
	Hangs
)

// Chaos makes requests fail at random, by a seed. Which request gets which fault
// depends on their order, which differs when several run at once.
//
// A path fails no more than Patience times in a row before its body is sent further
// by [Enough] bytes at least, so that a client which tries oftener gets through.
type Chaos struct {
	Seed     uint64
	Kinds    Kinds
	Faults   int // how many there are to be
	Patience int // 0 means 3

	// Layers are the digests of the blobs that are large enough for many
	// faults, which are spread over them.
	Layers []digest.Digest

	mu     sync.Mutex
	random *rand.Rand
	total  int
	path   map[string]*pathChaos
}

// Enough bytes of a body are progress for any client.
const Enough = 32 << 10

type pathChaos struct {
	faults int
	row    int // faults without progress
}

// Happened returns how many faults there were.
func (c *Chaos) Happened() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

// Fault is a Config's.
func (c *Chaos) Fault(r Request) Fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.random == nil {
		c.random = rand.New(rand.NewPCG(c.Seed, 0))
		c.path = map[string]*pathChaos{}
	}
	p := c.path[r.Path]
	if p == nil {
		p = &pathChaos{}
		c.path[r.Path] = p
	}
	patience := cmp.Or(c.Patience, 3)
	share := (c.Faults + len(c.Layers) - 1) / max(len(c.Layers), 1)
	small := !r.IsBlob || !slices.ContainsFunc(c.Layers, func(d digest.Digest) bool { return strings.HasSuffix(r.Path, d.String()) })
	switch {
	case c.total >= c.Faults || p.faults >= share:
		return Fault{}
	case small && p.row >= patience:
		return Fault{}
	}
	c.total++
	p.faults++
	p.row++
	if !small && p.row > patience {
		p.row = 0
		return Fault{Cut: true, After: Enough + c.random.Int64N(Enough/2)}
	}
	return c.choose(r.Header.Get("Range") != "")
}

func (c *Chaos) choose(ranged bool) Fault {
	after := c.random.Int64N(2000)
	if c.random.IntN(3) == 0 {
		after = 0
	}
	breaks := []Fault{
		{Cut: true, After: after}, {Cut: true, After: after, Chunked: !ranged},
		{Status: 408}, {Status: 500, Body: "<html>"}, {Status: 502}, {Status: 503}, {Status: 504, Cut: true},
		{Status: 429, Header: http.Header{"Retry-After": {strconv.Itoa(c.random.IntN(2))}}},
	}
	var all []Fault
	if c.Kinds&Breaks != 0 {
		all = append(all, breaks...)
	}
	if c.Kinds&Connections != 0 {
		all = append(all, Fault{Drop: true}, Fault{Reset: true}, Fault{HeadersCut: 1 + c.random.IntN(80)})
	}
	if c.Kinds&Ranges != 0 && ranged {
		all = append(all, Fault{NoRange: true, Cut: true, After: after}, Fault{Shift: 1 + after}, Fault{Status: 416})
	}
	if c.Kinds&Hangs != 0 {
		all = append(all, Fault{Stall: true, After: after}, Fault{Pause: 20 * time.Millisecond})
	}
	return all[c.random.IntN(len(all))]
}
