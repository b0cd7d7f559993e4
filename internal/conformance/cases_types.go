// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"

	"github.com/seed-81b0d42e/flatten/internal/tartest"
)

// typeCases are rules 39 to 44: a path becomes something else.
var typeCases = []Case{
	accepts(39, "file-to-dir", tree(`a/`, `a/x "1"`),
		layer(file("a", "0")),
		layer(dir("a"), file("a/x", "1"))),
	accepts(39, "symlink-to-dir", tree(`a/`, `a/x "1"`, `e/`, `e/y "0"`),
		layer(dir("e"), file("e/y", "0"), symlink("a", "e")),
		layer(dir("a"), file("a/x", "1"))),
	accepts(39, "symlink-to-file", tree(`a "1"`, `e/`, `e/y "0"`),
		layer(dir("e"), file("e/y", "0"), symlink("a", "e/y")),
		layer(file("a", "1"))),
	accepts(40, "dir-to-file", tree(`d "1"`, `e ""`),
		lowerD,
		layer(file("d", "1"))),
	accepts(40, "dir-to-symlink", tree(`d -> e`, `e ""`),
		lowerD,
		layer(symlink("d", "e"))),
	accepts(40, "dir-to-fifo", tree(`d fifo`, `e ""`),
		lowerD,
		layer(tartest.Fifo("d"))),
	accepts(40, "hl-overwrite-dir", tree(`d "1"`, `e ""`, `t == d`),
		lowerD,
		layer(file("t", "1"), link("d", "t"))),
	accepts(41, "dir-file-dir", tree(`d/`, `d/new "2"`, `e ""`),
		lowerD,
		layer(file("d", "1")),
		layer(dir("d"), file("d/new", "2"))),
	accepts(41, "dir-symlink-dir", tree(`d/`, `d/new "2"`, `e ""`),
		lowerD,
		layer(symlink("d", "e")),
		layer(dir("d"), file("d/new", "2"))),
	warns(42, "file-to-implied-dir", tree(`p/ @0`, `p/x "1"`),
		layer(file("p", "0").Mode(0o600).Owner(1, 2)),
		layer(file("p/x", "1"))),
	warns(42, "parent-is-file-lower", tree(`p/ @0`, `p/q/`, `p/q/x "1"`),
		layer(file("p", "0").Mode(0o600).Owner(1, 2)),
		layer(dir("p/q"), file("p/q/x", "1"))),
	warns(43, "same-layer-file-then-dir", tree(`a/`, `a/x "1"`),
		layer(file("a", "0"), dir("a"), file("a/x", "1"))),
	warns(43, "same-layer-dir-then-file", tree(`a "1"`),
		layer(dir("a"), file("a/x", "0"), file("a", "1"))),
	rejects(44, "same-layer-file-then-implied", `"a/x"`,
		layer(file("a", "0"), file("a/x", "1"))),
}

// parentCases are rules 45 to 53: the way to an entry leads through a symbolic
// link.
var parentCases = []Case{
	warns(45, "usrmerge-lower-symlink",
		tree(`lib/ @0`, `lib/new "2"`, `usr/`, `usr/lib/`, `usr/lib/x "1"`),
		usrmerged("usr/lib"),
		layer(file("lib/new", "2"))),
	warns(45, "usrmerge-lower-symlink-abs",
		tree(`lib/ @0`, `lib/new "2"`, `usr/`, `usr/lib/`, `usr/lib/x "1"`),
		usrmerged("/usr/lib"),
		layer(file("lib/new", "2"))),
	warns(45, "rule-45-follow-lower-symlinks",
		tree(`lib -> usr/lib`, `usr/`, `usr/lib/`, `usr/lib/new "2"`, `usr/lib/x "1"`),
		usrmerged("usr/lib"),
		layer(file("lib/new", "2"))).with(followLower),
	accepts(46, "usrmerge-lower-symlink-direntry",
		tree(`lib/`, `lib/new "2"`, `usr/`, `usr/lib/`, `usr/lib/x "1"`),
		usrmerged("usr/lib"),
		layer(dir("lib"), file("lib/new", "2"))),
	accepts(47, "usrmerge-same-layer",
		tree(`lib -> usr/lib`, `usr/`, `usr/lib/`, `usr/lib/x "1"`),
		layer(dir("usr"), dir("usr/lib"), symlink("lib", "usr/lib"), file("lib/x", "1"))),
	accepts(47, "dir-to-symlink-same-tgt-children",
		tree(`d -> f`, `e ""`, `f/`, `f/old "1"`),
		lowerD,
		layer(dir("f"), symlink("d", "f"), file("d/old", "1"))),
	warns(48, "usrmerge-same-layer-child-first",
		tree(`lib -> usr/lib`, `usr/`, `usr/lib/`),
		layer(dir("usr"), dir("usr/lib"), file("lib/x", "1"), symlink("lib", "usr/lib"))).warnedAs(43),
	warns(49, "symlink-parent-escape", tree(`s -> ../../../x`, `x/ @0`, `x/f "1"`),
		layer(symlink("s", "../../../x"), file("s/f", "1"))),
	accepts(50, "symlink-parent-dangling",
		tree(`nowhere/ @0`, `nowhere/deep/ @0`, `nowhere/deep/f "1"`, `s -> nowhere/deep`),
		layer(symlink("s", "nowhere/deep"), file("s/f", "1"))),
	rejects(51, "symlink-parent-to-file", `"s/x"`,
		layer(file("f", "0"), symlink("s", "f"), file("s/x", "1"))),
	rejects(51, "symlink-loop-parent", `"a/x"`,
		layer(symlink("a", "b"), symlink("b", "a"), file("a/x", "1"))),
	accepts(51, "rule-51-255-hops", append(chain(255), `s0/`, `s0/x "1"`),
		layer(append(chainEntries(255), file("s255/x", "1"))...)),
	rejects(51, "rule-51-256-hops", `"s256/x"`,
		layer(append(chainEntries(256), file("s256/x", "1"))...)),
	warns(52, "x-3layer-symlink-block", tree(`d/ @0`, `d/x "1"`, `e ""`),
		lowerD,
		layer(symlink("d", "e")),
		layer(file("d/x", "1"))).warnedAs(45),
	// The name has a "..", which rule 87 warns of; rule 53 says what it means.
	accepts(53, "x-lexical-dotdot-symlink", tree(`a -> b/c`, `b/`, `b/c/`, `x "1"`),
		layer(dir("b"), dir("b/c"), symlink("a", "b/c"), file("a/../x", "1"))).also(87),
}

// chainEntries are n symbolic links: s1 to the directory s0, s2 to s1 and so on.
func chainEntries(n int) []tartest.Entry {
	entries := []tartest.Entry{dir("s0")}
	for i := range n {
		entries = append(entries, symlink(fmt.Sprintf("s%d", i+1), fmt.Sprintf("s%d", i)))
	}
	return entries
}

// chain is the lines of the links of chainEntries.
func chain(n int) []string {
	var lines []string
	for i := range n {
		lines = append(lines, fmt.Sprintf("s%d -> s%d", i+1, i))
	}
	return lines
}
