// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package near finds the name that was probably meant by one that does not exist:
// what few changes lead to. A change is a byte inserted, removed, replaced or
// swapped with the next one; one is few for every three bytes of the name.
//
//	paswd     passwd
//	1.o       1.0
//	xyz       nothing
package near

import "iter"

// maxName bounds how long a name is that nearest names are looked for, in bytes:
// the work is the square of it for each candidate.
const maxName = 64

// Name is the candidate that the fewest changes lead to, the first of equals;
// empty when none is near.
func Name(name string, candidates iter.Seq[string]) string {
	if len(name) > maxName {
		return ""
	}
	best, least := "", len(name)/3+1
	for c := range candidates {
		if len(c) > maxName || max(len(c)-len(name), len(name)-len(c)) >= least {
			continue
		}
		if d := distance(name, c); d < least {
			best, least = c, d
		}
	}
	return best
}

// distance is how many changes lead from a to b (optimal string alignment).
func distance(a, b string) int {
	var rows [3][maxName + 1]int // the row i is rows[i%3]
	for j := range len(b) + 1 {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row := &rows[(i+1)%3], &rows[(i+2)%3], &rows[i%3]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := last[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(change, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return rows[len(a)%3][len(b)]
}
