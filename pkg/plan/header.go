// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-81b0d42e/flatten/internal/tarheader"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
	"github.com/seed-81b0d42e/flatten/pkg/whiteout"
)

// Header appends the header that is written anew for a path, by its index in
// View.Paths, -1 for the root. It is the bytes of a Header extent.
//
// It carries what a container would see. Unless the plan is canonical it keeps
// what else the entry's header said: owner names, access and change times, and
// PAX records of any other kind.
func (p *Plan) Header(dst []byte, path int) []byte {
	node := p.View.Root
	h := tarheader.Header{Name: "./"}
	if path >= 0 {
		node = &p.View.Paths[path]
		h.Name = node.Name
		if node.Dir {
			h.Name += "/"
		}
	}
	p.fill(&h, node)
	if node.Linked() && p.primary[node.Inode] != int32(path) {
		h.Type, h.Size = toc.TypeLink, 0
		h.Link = p.View.Paths[p.primary[node.Inode]].Name
		h.Records = nil
	}
	if node.At != whiteout.Implied && !p.opts.Canonical {
		keep(&h, p.View.Entry(node.At))
	}
	return h.Append(dst)
}

// fill sets what a container would see.
func (p *Plan) fill(h *tarheader.Header, path *whiteout.Path) {
	a := p.View.Attributes(path)
	h.Type, h.Mode, h.UID, h.GID = a.Type, a.Mode, a.UID, a.GID
	h.Sec, h.Nsec = a.Sec, a.Nsec
	h.Size, h.Link = a.Size, a.Link
	h.Records = a.Xattrs
	if a.Type == toc.TypeChar || a.Type == toc.TypeBlock {
		h.Devmajor, h.Devminor = a.Devmajor, a.Devminor
	}
	if p.opts.Epoch == nil {
		return
	}
	implied := path.At == whiteout.Implied
	if epoch := p.opts.Epoch.Unix(); implied || p.opts.Canonical && h.Sec >= epoch {
		h.Sec, h.Nsec = epoch, 0
	}
}

// keep adds what an entry's header said beyond what a container sees.
func keep(h *tarheader.Header, e *toc.Entry) {
	x := e.Extra
	if x == nil {
		return
	}
	h.Uname, h.Gname = x.Uname, x.Gname
	records := slices.Clone(h.Records)
	for _, r := range x.Records {
		if !strings.HasPrefix(r.Key, toc.XattrPrefix) {
			records = append(records, r)
		}
	}
	records = appendTime(records, "atime", x.AccessTime)
	records = appendTime(records, "ctime", x.ChangeTime)
	h.Records = records
}

// appendTime adds a time as a PAX record, nothing for a zero time.
func appendTime(records []toc.Record, key string, t time.Time) []toc.Record {
	if t.IsZero() {
		return records
	}
	return append(records, toc.Record{Key: key, Value: tarheader.FormatTime(t.Unix(), int32(t.Nanosecond()))})
}

// String is an extent on one line, as in "copy layer 2 1024..2048".
func (e Extent) String() string {
	switch e.Kind {
	case Copy:
		return fmt.Sprintf("copy layer %d %d..%d", e.Layer+1, e.Offset, e.Offset+e.Length)
	case Header:
		return fmt.Sprintf("header %d for path %d", e.Length, e.Offset)
	}
	return fmt.Sprintf("zeros %d", e.Length)
}
