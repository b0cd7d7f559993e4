// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

const (
	maxErrorBody    = 64 << 10 // bytes of an error response that are read
	maxErrorMessage = 160      // characters of a registry's message that are shown
)

// errStalled: no byte arrived for Options.StallTimeout.
var errStalled = errors.New("nothing received")

// statusError is an answer with a status that was not asked for.
type statusError struct {
	host       string
	status     int
	message    string        // the registry's own words, may be empty
	retryAfter time.Duration // 0 when the registry names none
}

func (e *statusError) Error() string {
	s := fmt.Sprintf("%s answers %d %s", e.host, e.status, http.StatusText(e.status))
	if e.message != "" {
		s += ": " + e.message
	}
	return s
}

// temporary reports whether the same request may be answered otherwise later.
func (e *statusError) temporary() bool {
	switch e.status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests,
		http.StatusRequestedRangeNotSatisfiable:
		return true
	}
	return e.status >= 500 && e.status != http.StatusNotImplemented
}

// statusErrorOf reads the error that resp is. It does not close the body.
func statusErrorOf(resp *http.Response) *statusError {
	host := resp.Request.URL.Host
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	return &statusError{host, resp.StatusCode, messageIn(body), retryAfter(resp.Header)}
}

// messageIn finds the first message in the JSON of a registry's error (OCI
// distribution-spec, "Error Codes").
func messageIn(body []byte) string {
	var answer struct {
		Errors []struct{ Code, Message string }
	}
	if json.Unmarshal(body, &answer) != nil || len(answer.Errors) == 0 {
		return ""
	}
	return shorten(answer.Errors[0].Code, answer.Errors[0].Message)
}

// shorten makes one short printable line of a registry's message, or of its
// code when there is none.
func shorten(code, message string) string {
	if message == "" {
		message = code
	}
	printable := func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}
	runes := []rune(strings.TrimSpace(strings.Map(printable, message)))
	if len(runes) > maxErrorMessage {
		runes = append(runes[:maxErrorMessage], '…')
	}
	return string(runes)
}

// retryAfter reads the header of that name: seconds, or a date which is
// compared with that of the answer, so that no clock is needed.
func retryAfter(header http.Header) time.Duration {
	value := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return 0
	}
	return max(0, until.Sub(now))
}

// plainError takes the request's URL out of an error of net/http, since that
// of a redirect may hold a signature, and leaves its host.
func plainError(err error) error {
	var request *url.Error
	if !errors.As(err, &request) {
		return err
	}
	return fmt.Errorf("%s: %w", hostOf(request.URL), request.Err)
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "registry"
	}
	return u.Host
}

// handshakeError turns what go-containerregistry's handshake returns into an
// error of this package. The host is that of the request that failed.
func handshakeError(host string, err error) error {
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) { // of HTTPS, before HTTP was tried as well
		return fmt.Errorf("%s: %w", host, certificate)
	}
	var answer *transport.Error
	if !errors.As(err, &answer) {
		return plainError(err)
	}
	status := &statusError{host: host, status: answer.StatusCode}
	if answer.Request != nil {
		status.host = answer.Request.URL.Host
	}
	if len(answer.Errors) > 0 {
		status.message = shorten(string(answer.Errors[0].Code), answer.Errors[0].Message)
	}
	return status
}

// speaksOtherProtocol reports whether err comes from talking TLS to a server
// that does not, or that has a certificate which nobody here trusts.
func speaksOtherProtocol(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	return errors.As(err, &certificate) || errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch)
}

// explain gives err its kind and a hint. The subject is what was being read:
// a reference, or a layer of it, or nothing when the caller says so.
func (s *session) explain(subject string, err error) error {
	if subject != "" {
		subject += ": "
	}
	var status *statusError
	if !errors.As(err, &status) {
		if speaksOtherProtocol(err) && !s.insecure {
			return image.WithHint(fmt.Errorf("%s%w", subject, err),
				"use --insecure for a registry without HTTPS or a certificate that is trusted here")
		}
		return fmt.Errorf("%s%w", subject, err)
	}
	switch status.status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return image.WithHint(image.Deniedf("%saccess denied: %w", subject, err), "%s", s.loginHint())
	case http.StatusNotFound, http.StatusGone:
		return image.WithHint(image.NotFoundf("%snot found: %w", subject, err),
			"check the name and the tag; a private repository needs credentials")
	case http.StatusTooManyRequests:
		return image.WithHint(fmt.Errorf("%s%w", subject, err),
			"the registry limits requests: wait, or log in")
	}
	return fmt.Errorf("%s%w", subject, err)
}

// loginHint says how to come by credentials, or whose were refused.
func (s *session) loginHint() string {
	ways := fmt.Sprintf("log in with \"docker login %s\", or give --authfile or --creds", s.host())
	if s.user == "" {
		return ways
	}
	return fmt.Sprintf("the credentials of %q were not accepted: %s", s.user, ways)
}
