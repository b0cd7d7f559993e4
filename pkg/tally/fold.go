// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package tally

import (
	"slices"
	"strings"
)

// Fold makes a list of waste shorter: what has less than so many bytes is counted
// with the folder that it is in, and that, if it is still less, with the folder
// above, up to the root, whose path is empty. Only what the same layer brought and
// the same layer hides, in the same manner, is counted together; a path that nothing
// can be counted with stays as it is.
func Fold(waste []Waste, least int64) []Waste {
	f := folder{index: map[foldKey]int{}, levels: map[int][]int{}}
	deepest := 0
	for _, w := range waste {
		f.put(folded{w, w, 1})
		deepest = max(deepest, depth(w.Path))
	}
	var kept []Waste
	for d := deepest; d >= 0; d-- {
		for _, n := range f.levels[d] {
			w := f.all[n]
			switch {
			case w.sum.Size < least && w.sum.Path != "":
				w.sum.Path, w.sum.Dir = parent(w.sum.Path), true
				f.put(w)
			case w.paths == 1:
				kept = append(kept, w.only)
			default:
				kept = append(kept, w.sum)
			}
		}
	}
	slices.SortFunc(kept, compareWaste)
	return kept
}

// foldKey is what is counted together.
type foldKey struct {
	path      string
	layer, by int32
	replaced  bool
}

// folded is waste that was counted together: its sum, and the one path that it is
// of, if that is all.
type folded struct {
	sum, only Waste
	paths     int
}

// folder counts waste by path. levels are the indices in all of the paths of each
// depth.
type folder struct {
	all    []folded
	index  map[foldKey]int
	levels map[int][]int
}

func (f *folder) put(w folded) {
	k := foldKey{w.sum.Path, w.sum.Layer, w.sum.By, w.sum.Replaced}
	n, ok := f.index[k]
	if !ok {
		f.index[k] = len(f.all)
		f.levels[depth(k.path)] = append(f.levels[depth(k.path)], len(f.all))
		f.all = append(f.all, w)
		return
	}
	have := &f.all[n]
	have.paths += w.paths
	have.sum.Dir = true
	have.sum.Files += w.sum.Files
	have.sum.Size += w.sum.Size
	have.sum.Stored += w.sum.Stored
}

// depth is the number of components of a path.
func depth(path string) int {
	if path == "" {
		return 0
	}
	return strings.Count(path, "/") + 1
}

func parent(path string) string { return path[:max(0, strings.LastIndexByte(path, '/'))] }
