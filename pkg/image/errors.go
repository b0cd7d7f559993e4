// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"errors"
	"fmt"
	"strconv"
)

// The kinds of failure that a caller may branch on with errors.Is. Any other
// error is an I/O or network failure, which may go away when tried again.
var (
	// ErrCorrupt: the image breaks its format, fails a digest, is unsafe or is
	// of a kind that cannot be flattened. Trying again will not help.
	ErrCorrupt = errors.New("corrupt or unsupported image")

	// ErrNotFound: there is no such image, tag, digest or platform.
	ErrNotFound = errors.New("not found")

	// ErrDenied: the registry refused access.
	ErrDenied = errors.New("access denied")
)

// kindError is an error of one of the kinds above whose text is its own.
type kindError struct {
	kind error
	err  error
}

func (e *kindError) Error() string        { return e.err.Error() }
func (e *kindError) Unwrap() error        { return e.err }
func (e *kindError) Is(target error) bool { return target == e.kind }

// Corruptf formats an error that is [ErrCorrupt]. Like fmt.Errorf it wraps the
// operand of %w.
func Corruptf(format string, args ...any) error {
	return &kindError{ErrCorrupt, fmt.Errorf(format, args...)}
}

// NotFoundf formats an error that is [ErrNotFound].
func NotFoundf(format string, args ...any) error {
	return &kindError{ErrNotFound, fmt.Errorf(format, args...)}
}

// Deniedf formats an error that is [ErrDenied].
func Deniedf(format string, args ...any) error {
	return &kindError{ErrDenied, fmt.Errorf(format, args...)}
}

// hintError is an error with a hint: what its reader can do next.
type hintError struct {
	err  error
	hint string
}

func (e *hintError) Error() string { return e.err.Error() }
func (e *hintError) Unwrap() error { return e.err }

// maxQuote is how many bytes of an image's own text an error repeats.
const maxQuote = 200

// Quote is text from an image as an error shows it: on one line, without control
// characters, and cut off when it is long.
func Quote(s string) string {
	if len(s) > maxQuote {
		return strconv.Quote(s[:maxQuote]) + "…"
	}
	return strconv.Quote(s)
}

// WithHint adds a hint to an error: one line without a full stop that says what
// to do next. The text of the error itself does not change.
func WithHint(err error, format string, args ...any) error {
	return &hintError{err, fmt.Sprintf(format, args...)}
}

// Hint returns the outermost hint in err's chain, empty when there is none.
func Hint(err error) string {
	var h *hintError
	if errors.As(err, &h) {
		return h.hint
	}
	return ""
}

// Warning is something odd that the rules of docs/semantics.md tolerate. With
// --strict it is an error.
type Warning struct {
	// Rule is the number of the rule in docs/semantics.md.
	Rule int `json:"rule"`

	// Layer is the layer's index, lowest first from 0; -1 when the warning is
	// not about one layer.
	Layer int `json:"layer"`

	// Entry is the name of the tar entry as stored, empty when the warning is
	// not about one entry.
	Entry string `json:"entry,omitempty"`

	// Text says what is odd and what was done about it, in lower case.
	Text string `json:"text"`
}

// String is the warning on one line, layers counted from 1 as people do.
func (w Warning) String() string {
	s := w.Text
	if w.Entry != "" {
		s = fmt.Sprintf("entry %s: %s", Quote(w.Entry), s)
	}
	if w.Layer >= 0 {
		s = fmt.Sprintf("layer %d: %s", w.Layer+1, s)
	}
	return fmt.Sprintf("%s (rule %d)", s, w.Rule)
}
