// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"text/template"
	"unicode"
	"unicode/utf8"

	"github.com/docker/cli/templates"
)

// What --format takes is what Docker's takes: a Go template with Docker's
// functions, "json", and for lists "table" and "table TEMPLATE".

// parseTemplate parses the template of a --format.
func parseTemplate(text string) (*template.Template, error) {
	tmpl, err := templates.Parse(text)
	if err != nil {
		return nil, usagef("--format: %w", err)
	}
	return tmpl, nil
}

// execute renders a template with a value.
func execute(tmpl *template.Template, w io.Writer, value any) error {
	if err := tmpl.Execute(w, value); err != nil {
		return usagef("--format: %w", err)
	}
	return nil
}

// rows renders rows in one of the forms of --format. The table form begins with
// the header, by the names of a row's fields.
type rows struct {
	table  bool
	header map[string]string
	tmpl   *template.Template
}

// newRows takes a --format; usual is the template of a plain "table" and of "".
func newRows(format, usual string, header map[string]string) (*rows, error) {
	r := &rows{header: header}
	switch after, ok := strings.CutPrefix(format, "table"); {
	case format == "" || format == "table":
		r.table, format = true, usual
	case format == "json":
		format = "{{json .}}"
	case ok:
		r.table, format = true, after
	}
	format = strings.NewReplacer(`\t`, "\t", `\n`, "\n").Replace(strings.Trim(format, " "))
	var err error
	r.tmpl, err = parseTemplate(format)
	return r, err
}

// write renders a row for each value. The cells of a table have to be fit for
// it: see cell.
func (r *rows) write(w io.Writer, values []any) error {
	var body bytes.Buffer
	for _, v := range values {
		if err := execute(r.tmpl, &body, v); err != nil {
			return err
		}
		body.WriteByte('\n')
	}
	if !r.table {
		_, err := body.WriteTo(w)
		return err
	}
	columns := tabwriter.NewWriter(w, 10, 1, 3, ' ', 0)
	if err := execute(r.tmpl.Funcs(templates.HeaderFunctions), columns, r.header); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(columns, "\n%s", &body); err != nil {
		return err
	}
	return columns.Flush()
}

// cell is text as a cell of a table: on one line, and of characters that can be
// seen.
func cell(s string) string {
	return visible(strings.NewReplacer("\t", " ", "\n", `\n`).Replace(s))
}

// visible escapes what a terminal would not show but act on: all that cannot be
// printed, but for line ends and tabs. In JSON text it is what JSON means, too.
func visible(s string) string {
	ok := func(r rune) bool { return r == '\n' || r == '\t' || unicode.IsPrint(r) }
	if utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !ok(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case ok(r):
			b.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		s = s[n:]
	}
	return b.String()
}

// printResult writes text to standard output: as it is to a pipe or a file,
// visible on a terminal.
func printResult(w io.Writer, text string) error {
	if isTerminal(w) {
		text = visible(text)
	}
	_, err := io.WriteString(w, text)
	return stdoutError(err)
}

// marshalJSON is a value as JSON, indented unless indent is empty, that can go
// to a terminal.
func marshalJSON(v any, indent string) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", indent)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	return visible(b.String()), nil
}
