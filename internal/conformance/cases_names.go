// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"path"
	"strings"
)

// Names of a length that matters: the first two are as long as Linux has them.
var (
	name255  = strings.Repeat("n", 255)
	path4095 = strings.Repeat(name255+"/", 15) + name255
	path4096 = strings.Repeat(name255+"/", 15) + name255[:254] + "/n"
	path101  = "d/" + strings.Repeat("n", 99)
	path300  = "d/" + strings.Repeat("m", 149) + "/" + strings.Repeat("n", 148)
)

// nameCases are rules 86 to 96: how names and targets are spelled.
var nameCases = []Case{
	accepts(86, "path-dotslash-vs-plain", tree(`g "2"`),
		layer(file("./f", "1"), file("./g", "2")),
		layer(whiteout("f"))),
	accepts(86, "path-abs", tree(`d/`, `d/y "2"`),
		layer(dir("/d"), file("/d/x", "1"), file("/d/y", "2")),
		layer(whiteout("d/x"))),
	accepts(86, "path-dblslash", tree(`a/`, `a/b "2"`),
		layer(dir("a"), file("a//b", "1"), file(".//a///c", "3")),
		layer(file("a/b", "2"), whiteout("a/c"))),
	warns(87, "path-dotdot-inside", tree(`a/`, `b "1"`),
		layer(dir("a"), file("a/../b", "1"))),
	warns(88, "path-dotdot-escape", tree(`x "1"`),
		layer(file("../x", "1"))),
	warns(88, "path-abs-dotdot", tree(`x "1"`),
		layer(file("/../x", "1"))),
	warns(88, "path-dotdot-deep", tree(`d/`, `x "1"`),
		layer(dir("d"), file("d/../../x", "1"))),
	accepts(89, "path-slash-file", tree(`x "1"`),
		layer(file("x/", "1"))),
	accepts(89, "path-slash-nulflag", tree(`x/`),
		layer(dir("x").Type(0).V7())),
	accepts(89, "path-slash-symlink", tree(`x -> t`),
		layer(symlink("x/", "t"))),
	accepts(89, "path-dir-noslash", tree(`x/`, `x/f "1"`),
		layer(dir("x").Named("x"), file("x/f", "1"))),
	rejects(90, "path-nul-pax", "PAX",
		layer(file("f", "1").PAX("path", "a\x00b"))),
	accepts(91, "path-nonutf8", tree(`"a\xff\xfe" "1"`),
		layer(file("a\xff\xfe", "1"))),
	accepts(91, "path-nonutf8-long", tree(`"`+strings.Repeat(`\xff`, 120)+`" "1"`),
		layer(file(strings.Repeat("\xff", 120), "1"))),
	accepts(91, "rule-91-nonutf8-long-gnu", tree(`"`+strings.Repeat(`\xff`, 120)+`" "1"`),
		layer(file(strings.Repeat("\xff", 120), "1").GNU())),
	accepts(91, "path-newline", tree(`"a\nb" "1"`),
		layer(file("a\nb", "1"))),
	accepts(91, "path-backslash", tree(`"\\lead" "1"`, `"a\\b" "2"`),
		layer(file(`\lead`, "1"), file(`a\b`, "2"))),
	accepts(91, "x-case-nfc", tree(`A "1"`, `a "2"`, "e\u0301 \"4\"", "\u00e9 \"3\""),
		layer(file("A", "1"), file("a", "2"), file("\u00e9", "3"), file("e\u0301", "4"))),
	accepts(92, "path-colon", tree(`c:d "1"`),
		layer(file("c:d", "1"))),
	accepts(93, "name-starts-dotdot", tree(`..foo "1"`, `s -> ..foo`),
		layer(file("..foo", "1"), symlink("s", "..foo"))),
	accepts(94, "path-101", tree(`d/`, path101+` "1"`),
		layer(dir("d"), file(path101, "1"))),
	accepts(94, "path-300", tree(`d/`, path.Dir(path300)+"/", path300+` "1"`),
		layer(dir("d"), dir(path.Dir(path300)), file(path300, "1"))),
	accepts(94, "rule-94-path-4095", append(implied(path4095), path4095+` "1"`),
		layer(file(path4095, "1"))),
	rejects(94, "path-4096", "4096 bytes",
		layer(file(path4096, "1"))),
	rejects(94, "path-name-256", "256 bytes",
		layer(file(name255+"n", "1"))),
	rejects(94, "rule-94-folder-256", "256 bytes",
		layer(file(name255+"n/x", "1"))),
	accepts(95, "symlink-abs", tree(`s -> /etc/passwd`),
		layer(symlink("s", "/etc/passwd"))),
	accepts(95, "symlink-escape-rel", tree(`s -> ../../etc`),
		layer(symlink("s", "../../etc"))),
	accepts(95, "symlink-dotdot-root", tree(`d/`, `d/s -> ../..`, `s -> ..`),
		layer(symlink("s", ".."), dir("d"), symlink("d/s", "../.."))),
	accepts(95, "rule-95-target-as-stored", tree(`s -> .//a/../b/`),
		layer(symlink("s", ".//a/../b/"))),
	rejects(96, "symlink-empty", `"s"`,
		layer(symlink("s", ""))),
	rejects(96, "link-5000", `"s"`,
		layer(symlink("s", strings.Repeat("t", 5000)))),
	accepts(96, "link-long", tree(`s -> `+strings.Repeat("t", 300)),
		layer(symlink("s", strings.Repeat("t", 300)))),
	accepts(96, "rule-96-target-4095", tree(`s -> `+path4095),
		layer(symlink("s", path4095))),
	rejects(96, "rule-96-target-4096", `"s"`,
		layer(symlink("s", path4096))),
}

// implied is the lines of a path's folders when no layer has an entry for them.
func implied(p string) []string {
	var lines []string
	for d := path.Dir(p); d != "."; d = path.Dir(d) {
		lines = append(lines, fmt.Sprintf("%s/ @0", d))
	}
	return lines
}
