// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/seed-81b0d42e/flatten/internal/conformance"
	"github.com/seed-81b0d42e/flatten/internal/tartest"
)

const clamped = "a name that climbs ends at the root, as in every runtime (rule 88)"

// climbs are names, targets and markers that lead out of the root.
func climbs() []Input {
	var all []Input
	add := func(name, why string, tree []string, layers ...tartest.Blob) {
		all = append(all, accepted(name, why, tree, layers...))
	}
	for i, name := range []string{
		"../x", "/../x", "../../../../../../../../x", "a/../../x", "./../x", "..//x", "//x", "/x", "///../..//x",
		"a/b/../../../../x", "../a/../x", "./x", "x/.", "/./x", "a/./../x",
	} {
		add(fmt.Sprintf("climb-%02d", i+1), clamped, []string{`x "1"`}, tartest.Layer(tartest.File("", "1").Named(name)))
	}
	for i, name := range []string{"..", "/..", "../..", "a/..", "a/../..", ".", "/", "//", "./.", ""} {
		add(fmt.Sprintf("climb-to-the-root-%02d", i+1), "an entry for the root that is no directory is passed over (rule 84)", []string{`y "1"`},
			tartest.Layer(tartest.File("y", "1"), tartest.File("", "evil").Named(name)))
	}
	for i, target := range []string{"../t", "/t", "/../t", "../../../../t", "a/../../t", "./t", "//t"} {
		add(fmt.Sprintf("hard-link-climb-%02d", i+1), "rule 70: the target ends at the root, too", []string{`l "1"`, `t == l`},
			tartest.Layer(tartest.File("t", "1"), tartest.Link("l", target)))
	}
	for i, target := range []string{outside, "../../../../etc/passwd", "/proc/self/root/etc/passwd", "../..", "/"} {
		add(fmt.Sprintf("symbolic-link-out-%02d", i+1), "rule 95: targets are for the container to follow", []string{"s -> " + target},
			tartest.Layer(tartest.Symlink("s", target)))
	}
	for i, target := range []string{"../../../e", "/e", "/../e", "./../e"} {
		add(fmt.Sprintf("through-a-link-out-%02d", i+1), "rule 49: a link in a path ends at the root", []string{"e/ @0", `e/x "1"`, "s -> " + target},
			tartest.Layer(tartest.Symlink("s", target), tartest.File("s/x", "1")))
	}
	all = append(all,
		refused("hard-link-outside", `merging: layer 1: entry "l" at offset 0: .*\(rule 67\)`, tartest.Layer(tartest.Link("l", outside))),
		refused("hard-link-outside-climbing", `merging: layer 1: entry "l" at offset 0: .*\(rule 67\)`, tartest.Layer(tartest.Link("l", "../../../../../etc/passwd"))),
		refused("hard-link-to-the-root", `merging: layer 1: entry "l" at offset 0: .*\(rule 67\)`, tartest.Layer(tartest.Link("l", "/"))),
		refused("hard-link-above-the-root", `merging: layer 1: entry "l" at offset 0: .*\(rule 67\)`, tartest.Layer(tartest.Link("l", "../.."))),
		refused("hard-link-through-a-link-out", `merging: layer 1: entry "l" at offset 512: .*\(rule 67\)`,
			tartest.Layer(tartest.Symlink("s", "/etc"), tartest.Link("l", "s/passwd"))),
		refused("name-with-NUL", layer1+`byte 0 of the tar: bad PAX record at byte 0 of its header`, tartest.Layer(tartest.File("f", "").PAX("path", "f\x00/../../x"))),
		refused("target-with-NUL", layer1+`byte 0 of the tar: bad PAX record at byte 0 of its header`, tartest.Layer(tartest.Link("f", "t").PAX("linkpath", "t\x00"))),
	)
	return group("climbs", all...)
}

// markers are whiteouts with hostile names.
func markers() []Input {
	lower := tartest.Layer(tartest.Dir("d"), tartest.File("d/x", "1"), tartest.File("keep", "1"))
	var all []Input
	for _, c := range []struct {
		marker string
		rule   int
	}{
		{".wh.", 22}, {"d/.wh.", 22}, {".wh..", 23}, {".wh...", 23}, {"d/.wh..", 23}, {"d/.wh...", 23}, {"../.wh...", 23},
		{"d/../.wh.", 22}, {"/.wh...", 23}, {".wh./", 22}, {".wh.../", 23},
		{".wh." + strings.Repeat("n", 256), 94}, {strings.Repeat("n", 256) + "/.wh.x", 94},
	} {
		name := fmt.Sprintf("marker-%02d", len(all)+1)
		quoted := regexp.QuoteMeta(fmt.Sprintf("%q", c.marker))
		if len(c.marker) > 200 {
			quoted = `".*"…`
		}
		all = append(all, refused(name, fmt.Sprintf(`merging: layer 2: entry %s at offset 0: .*\(rule %d\)`, quoted, c.rule),
			lower, tartest.Layer(tartest.File("", "").Named(c.marker))))
	}
	accept := func(name, why string, tree []string, entries ...tartest.Entry) {
		all = append(all, accepted(name, why, tree, lower, tartest.Layer(entries...)))
	}
	whole := []string{"d/", `d/x "1"`, `keep "1"`}
	accept("marker-climbs", "rule 88 for a marker", []string{"d/", `d/x "1"`}, tartest.File("", "").Named("../../.wh.keep"))
	accept("marker-of-lines", "a whiteout of what is not there (rule 3)", whole, tartest.File(".wh.\n\x1b[2J", ""))
	accept("marker-of-a-marker", "rule 29", whole, tartest.File("d/.wh..wh.x", ""))
	accept("marker-that-is-a-link", "rule 26", []string{"d/", `keep "1"`}, tartest.Symlink("d/.wh.x", outside))
	accept("marker-that-is-a-device", "rule 26", []string{"d/", `keep "1"`}, tartest.Char("d/.wh.x", 0, 0))
	accept("marker-with-a-body", "rule 26", []string{"d/", `keep "1"`}, tartest.File("d/.wh.x", "body"))
	accept("opaque-that-is-a-link", "rule 21", []string{"d/", `keep "1"`}, tartest.Symlink("d/.wh..wh..opq", "/"))
	accept("overlay-attribute", "rule 37: dropped, never obeyed", []string{"d/", `d/x "1"`, `keep "1"`},
		tartest.Dir("d").Xattr("trusted.overlay.opaque", "y").Xattr("trusted.overlay.redirect", "/keep"))
	accept("device-as-a-marker", "rule 36: overlayfs takes it for its own", []string{"d/", `d/x "1"`}, tartest.Char("keep", 0, 0))
	return group("markers", all...)
}

// links are hard links in crowds and in circles.
func links() []Input {
	var all []Input
	circle := `merging: layer 1: entry ".*" at offset \d+: .*\(rule (67|68)\)`
	for _, n := range []int{1, 2, 3, 100_000} {
		all = append(all, later(refused(fmt.Sprintf("hard-link-circle-of-%d", n), circle), func() []tartest.Blob {
			var entries []tartest.Entry
			for i := range n {
				entries = append(entries, tartest.Link(fmt.Sprint("l", i), fmt.Sprint("l", (i+1)%n)))
			}
			return []tartest.Blob{tartest.Layer(entries...).Gzip()}
		}))
	}
	chain := func(forward bool) func() []tartest.Blob {
		return func() []tartest.Blob {
			entries := []tartest.Entry{tartest.File("l0", "1")}
			for i := range 100_000 {
				entries = append(entries, tartest.Link(fmt.Sprint("l", i+1), fmt.Sprint("l", i)))
			}
			if forward {
				for i, j := 0, len(entries)-1; i < j; i, j = i+1, j-1 {
					entries[i], entries[j] = entries[j], entries[i]
				}
			}
			return []tartest.Blob{tartest.Layer(entries...).Gzip()}
		}
	}
	star := func() []tartest.Blob {
		entries := []tartest.Entry{tartest.File("t", "1")}
		for i := range 100_000 {
			entries = append(entries, tartest.Link(fmt.Sprint("l", i), "t"))
		}
		return []tartest.Blob{tartest.Layer(entries...).Gzip()}
	}
	all = append(all,
		later(accepted("hard-link-chain-of-100000", "rule 54: links to links are names of one file", nil), chain(false)).slow(),
		later(accepted("hard-link-chain-of-100000-backwards", "rule 63: bound at the end of the layer", nil), chain(true)),
		later(accepted("100000-names-of-one-file", "rule 54", nil), star),
		refused("hard-link-to-a-circle-of-symbolic-links", `merging: layer 1: entry "l" at offset 1024: .*\(rule 51\)`,
			tartest.Layer(tartest.Symlink("a", "b"), tartest.Symlink("b", "a"), tartest.Link("l", "a/x"))),
		refused("hard-link-to-a-whiteout", `merging: layer 1: entry "l" at offset 0: .*\(rule 67\)`, tartest.Layer(tartest.Link("l", ".wh.x"))),
		refused("hard-link-circle-over-two-layers", `merging: layer 2: entry "b" at offset 0: .*\(rule (67|74)\)`,
			tartest.Layer(tartest.File("a", "1")), tartest.Layer(tartest.Link("b", "a"), tartest.Whiteout("a"))),
	)
	return group("hard links", all...)
}

// circles are symbolic links that lead round, in the way of a name.
func circles() []Input {
	circle := `merging: layer 1: entry ".*" at offset \d+: .*\(rule 51\)`
	var all []Input
	for _, n := range []int{1, 2, 255, 256, 10_000} {
		all = append(all, later(refused(fmt.Sprintf("symbolic-link-circle-of-%d", n), circle), func() []tartest.Blob {
			var entries []tartest.Entry
			for i := range n {
				entries = append(entries, tartest.Symlink(fmt.Sprint("s", i), fmt.Sprint("s", (i+1)%n)))
			}
			return []tartest.Blob{tartest.Layer(append(entries, tartest.File("s0/x", "1"))...)}
		}))
	}
	grow := "s/s/s/s/s/s/s/s"
	all = append(all,
		refused("symbolic-link-into-itself", circle, tartest.Layer(tartest.Symlink("s", "s/x"), tartest.File("s/y", "1"))),
		refused("symbolic-link-that-grows", circle, tartest.Layer(tartest.Symlink("s", grow), tartest.File("s/y", "1"))),
		refused("symbolic-link-that-doubles", circle, doubling()),
		refused("symbolic-link-of-4096-bytes", layer1+`entry "s" at byte \d+ of the tar: target of a symbolic link has 4096 bytes, Linux takes 4095 at most`,
			tartest.Layer(tartest.Symlink("s", strings.Repeat("x", 4096)))),
		refused("symbolic-link-without-a-target", layer1+`entry "s" at byte 0 of the tar: symbolic link without a target`, tartest.Layer(tartest.Symlink("s", ""))),
		refused("path-too-long-through-links", `merging: layer 1: entry ".*" at offset \d+: the path is \d+ bytes long once its links are followed, .*\(rule 94\)`, stretching()),
		accepted("symbolic-link-circle-in-no-way", "rule 95", []string{"a -> b", "b -> a"}, tartest.Layer(tartest.Symlink("a", "b"), tartest.Symlink("b", "a"))),
		refused("symbolic-link-circle-of-a-lower-layer", `merging: layer 2: entry "a/x" at offset 0: too many symbolic links in the path \(rule 51\)`,
			tartest.Layer(tartest.Symlink("a", "b"), tartest.Symlink("b", "a")), tartest.Layer(tartest.File("a/x", "1"))).with("--lower-symlinks", "follow"),
	)
	return group("symbolic links", all...)
}

// doubling are links each of which goes twice through the next: 2^64 steps.
func doubling() tartest.Blob {
	entries := []tartest.Entry{tartest.Dir("d")}
	for i := range 64 {
		entries = append(entries, tartest.Symlink(fmt.Sprint("s", i), fmt.Sprintf("s%d/../s%d", i+1, i+1)))
	}
	return tartest.Layer(append(entries, tartest.Symlink("s64", "d"), tartest.File("s0/x", "1"))...)
}

// stretching are links that make a short name a path of more than 4095 bytes.
func stretching() tartest.Blob {
	entries := []tartest.Entry{}
	at := ""
	for i := range 17 {
		entries = append(entries, tartest.Symlink(at+fmt.Sprint("s", i), strings.Repeat("n", 250)))
		at += fmt.Sprint("s", i) + "/"
	}
	return tartest.Layer(append(entries, tartest.File(at+"x", "1"))...)
}

// rules are the cases of docs/semantics.md that must be refused.
func rules() []Input {
	var all []Input
	for _, c := range conformance.Cases() {
		if c.Err == "" || c.Spoil != nil || c.OS != "" {
			continue
		}
		all = append(all, refused("rule-"+fmt.Sprint(c.Rule)+"-"+c.ID, `.*layer \d+.*`+regexp.QuoteMeta(c.Err)+`.*`, c.Layers...))
	}
	return group("rules", all...)
}
