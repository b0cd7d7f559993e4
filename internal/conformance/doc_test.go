// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestDocument compares the cases with docs/semantics.md: both have the same
// cases under the same rules, with the same outcome, and the document has each
// rule from 0 to 169 once and in order.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/semantics.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := readRules(t, string(text))
	for _, c := range Cases() {
		want, ok := documented[c.ID]
		got := outcome{c.Rule, c.verdict()}
		switch {
		case !ok:
			t.Errorf("docs/semantics.md lacks the case %s", c.ID)
		case got != want:
			t.Errorf("case %s: %v, docs/semantics.md says %v", c.ID, got, want)
		}
		delete(documented, c.ID)
	}
	for id := range documented {
		t.Errorf("docs/semantics.md has %s, which is no case, or one of two", id)
	}
}

// outcome is what becomes of a case, and by which rule.
type outcome struct {
	rule    int
	verdict string
}

func (c *Case) verdict() string {
	switch {
	case c.Want == nil:
		return "error"
	case len(c.Warn) > 0:
		return "warn"
	}
	return "accept"
}

var (
	ruleLine = regexp.MustCompile(`^\*\*(\d+)\*\* · (accept|warn|error|accept, warn or error) · \S`)
	caseID   = regexp.MustCompile("`([^` ]+)`(?: \\((accept|warn|error)\\))?")
)

// readRules reads the cases of all rules from the document. A rule is a
// paragraph; its cases are in its last lines.
func readRules(t *testing.T, text string) map[string]outcome {
	cases := map[string]outcome{}
	next := 0
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		m := ruleLine.FindStringSubmatch(paragraph)
		if m == nil {
			continue
		}
		rule, err := strconv.Atoi(m[1])
		if err != nil || rule != next {
			t.Errorf("docs/semantics.md: rule %s where rule %d should stand", m[1], next)
		}
		next = rule + 1
		_, list, _ := strings.Cut(paragraph, "\nCases: ")
		for _, id := range caseID.FindAllStringSubmatch(list, -1) {
			verdict := id[2]
			if verdict == "" {
				verdict = m[2]
			}
			if _, twice := cases[id[1]]; twice {
				t.Errorf("docs/semantics.md: %s stands twice", id[1])
			}
			cases[id[1]] = outcome{rule, verdict}
		}
	}
	if next != 170 {
		t.Errorf("docs/semantics.md: %d rules, not those from 0 to 169", next)
	}
	return cases
}
