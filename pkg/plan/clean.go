// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"
	"strings"

	"github.com/seed-81b0d42e/flatten/pkg/toc"
	"github.com/seed-81b0d42e/flatten/pkg/whiteout"
)

// clean reports whether a path's entry can be carried, and which entry it is.
func (p *Plan) clean(i int32) (whiteout.Position, bool) {
	path := &p.View.Paths[i]
	at := path.First
	if path.At == whiteout.Implied {
		return at, false
	}
	e := p.View.Entry(at)
	if e.Flags&toc.Rewrite != 0 || !p.named(path, e) {
		return at, false
	}
	if path.Dir && at != path.At && !sameHeader(e, p.View.Entry(path.At)) {
		return at, false
	}
	if path.Linked() {
		if primary := p.primary[path.Inode]; primary != i {
			return at, p.cleanLink(path, e, p.View.Paths[primary].Name)
		}
		if p.View.Inodes[path.Inode].Body != at {
			return at, false
		}
	}
	return at, p.faithful(path, e)
}

// named reports whether an entry's stored name is the output's name.
func (p *Plan) named(path *whiteout.Path, e *toc.Entry) bool {
	if path.Dir {
		return e.Type == toc.TypeDir && len(e.Name) == len(path.Name)+1 &&
			strings.HasPrefix(e.Name, path.Name) && e.Name[len(path.Name)] == '/'
	}
	return e.Type != toc.TypeDir && e.Name == path.Name
}

// sameHeader reports whether two headers say the same of a directory.
func sameHeader(a, b *toc.Entry) bool {
	if a.Mode != b.Mode || a.UID != b.UID || a.GID != b.GID || a.Sec != b.Sec || a.Nsec != b.Nsec {
		return false
	}
	var x, y toc.Extra
	if a.Extra != nil {
		x = *a.Extra
	}
	if b.Extra != nil {
		y = *b.Extra
	}
	return x.Uname == y.Uname && x.Gname == y.Gname &&
		x.AccessTime.Equal(y.AccessTime) && x.ChangeTime.Equal(y.ChangeTime) &&
		slices.Equal(x.Records, y.Records)
}

// cleanLink reports whether a hard link's header names the primary and agrees
// with the file's metadata.
func (p *Plan) cleanLink(path *whiteout.Path, e *toc.Entry, primary string) bool {
	return e.Type == toc.TypeLink && e.Link() == primary && p.agrees(path, e) &&
		!p.dropsXattr(e)
}

// faithful reports whether a header says what a container would see.
func (p *Plan) faithful(path *whiteout.Path, e *toc.Entry) bool {
	if e.Type == toc.TypeLink || !p.agrees(path, e) || p.dropsXattr(e) {
		return false
	}
	return path.Inode < 0 || p.View.Inodes[path.Inode].Xattrs == nil
}

// agrees compares owner, mode and time.
func (p *Plan) agrees(path *whiteout.Path, e *toc.Entry) bool {
	a := p.View.Attributes(path)
	if path.Dir {
		a.Sec, a.Nsec = whiteout.ClampTime(e.Sec, e.Nsec)
		a.Mode, a.UID, a.GID = e.Mode, e.UID, e.GID // sameHeader has compared them
	}
	if a.Type == toc.TypeSymlink {
		a.Mode = e.Mode // whatever it is, nobody sees it
	}
	return a.Mode == e.Mode && a.UID == e.UID && a.GID == e.GID && a.Sec == e.Sec && a.Nsec == e.Nsec
}

// dropsXattr reports whether a header carries an extended attribute that a
// container would not have.
func (p *Plan) dropsXattr(e *toc.Entry) bool {
	if e.Extra == nil {
		return false
	}
	for _, r := range e.Extra.Records {
		if whiteout.Dropped(e.Type, r.Key) {
			return true
		}
	}
	return false
}
