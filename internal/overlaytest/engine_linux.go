// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package overlaytest

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// engineImage makes layers as an engine does: by running something in an overlay
// and writing its upper directory.
func (s *scratch) engineImage(r *rand.Rand, dir string) ([]*layer, error) {
	var layers []*layer
	count := pick(r, 1, 2, 3, 3, 4, 4, 5, 6, 8)
	for i := range count {
		l := &layer{dir: filepath.Join(dir, fmt.Sprint(i))}
		lower, err := s.runLayer(r, dir, layers, l.dir)
		if err != nil {
			return nil, err
		}
		if err := l.fromUpper(r, lower); err != nil {
			return nil, err
		}
		layers = append(layers, l)
	}
	return layers, nil
}

// runLayer fills the upper directory of a new layer and returns what the layers
// below it add up to.
func (s *scratch) runLayer(r *rand.Rand, dir string, layers []*layer, upper string) (Tree, error) {
	work, m := upper+".work", upper+".m"
	for _, d := range []string{upper, work, m} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return nil, err
		}
	}
	if len(layers) == 0 {
		return Tree{}, runContainer(r, upper, 60, s.userXattrs)
	}
	if err := mountUpper(dirsOf(layers), upper, work, m); err != nil {
		return nil, err
	}
	lower, err := ReadDir(m)
	if err == nil {
		err = runContainer(r, m, pick(r, 0, 3, 10, 25, 40), s.userXattrs)
	}
	if uerr := unmount(m); err == nil {
		err = uerr
	}
	return lower, err
}

// dirsOf are the layers' directories, from the topmost opaque root up.
func dirsOf(layers []*layer) []string {
	var dirs []string
	for _, l := range layers {
		if l.bottom {
			dirs = nil
		}
		dirs = append(dirs, l.dir)
	}
	return dirs
}

// fromUpper writes the layer's directory as a tar in a random style.
func (l *layer) fromUpper(r *rand.Rand, lower Tree) error {
	if err := removeSockets(l.dir); err != nil {
		return err
	}
	raw, err := ReadDir(l.dir)
	if err != nil {
		return err
	}
	w := &scribe{r: r, s: randomStyle(r), lower: lower, raw: raw}
	settle(r, raw, w.s.whole)
	w.drop()
	l.entries = w.write()
	if err := setTimes(l.dir, raw); err != nil {
		return err
	}
	if l.tar, err = writeTar(l.entries); err != nil {
		return err
	}
	how := l.repack(r, w.s)
	l.blob, l.how = compress(r, l.tar)
	l.how = how + ", " + l.how
	return nil
}

// removeSockets removes the sockets in a layer. No tar can hold one, so that what
// a socket hid is there again when the layer is unpacked.
func removeSockets(dir string) error {
	return filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err == nil && e.Type() == fs.ModeSocket {
			err = os.Remove(p)
		}
		return err
	})
}

// settle makes the times in a layer repeatable: what was touched just now gets a
// time of its own. Times before the epoch become the epoch in some layers and
// are left to rule 115 in others; whole drops the parts of a second.
func settle(r *rand.Rand, raw Tree, whole bool) {
	now := time.Now().Unix()
	done := map[string]*Node{}
	for _, p := range raw.names() {
		n := raw[p]
		if first := done[n.Group]; n.Group != "" && first != nil {
			n.Sec, n.Nsec = first.Sec, first.Nsec
			continue
		}
		if n.Sec > now-24*3600 && n.Sec < now+3600 {
			n.Sec, n.Nsec = r.Int64N(1_700_000_000), r.Int64N(1_000_000_000)
		}
		if whole {
			n.Nsec = 0
		}
		done[n.Group] = n
	}
}

// setTimes gives what lies on disk the times of a tree, the epoch being the
// first there is.
func setTimes(dir string, t Tree) error {
	for p, n := range t {
		sec, nsec := n.Sec, n.Nsec
		if sec < 0 {
			sec, nsec = 0, 0
		}
		if err := setTime(unix.AT_FDCWD, dir+"/"+p, sec, nsec); err != nil {
			return fmt.Errorf("setting the time of %q: %w", p, err)
		}
	}
	return nil
}

// describe lists the layers of an image.
func describe(layers []*layer) string {
	var b strings.Builder
	for i, l := range layers {
		fmt.Fprintf(&b, "layer %d: %s", i+1, l)
	}
	return b.String()
}
