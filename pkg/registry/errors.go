// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"cmp"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
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

// proxyError is a failure on the way to a proxy or its refusal.
type proxyError struct{ err error }

func (e *proxyError) Error() string { return e.err.Error() }
func (e *proxyError) Unwrap() error { return e.err }

// statusErrorOf reads the error that resp is. It does not close the body.
func (s *session) statusErrorOf(resp *http.Response) *statusError {
	host := resp.Request.URL.Host
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	return &statusError{host, resp.StatusCode, shorten(s.conceal(messageIn(body))), retryAfter(resp.Header)}
}

// messageIn finds the first message, or its code if it has none, in the JSON of a registry's error (OCI
// distribution-spec, "Error Codes").
func messageIn(body []byte) string {
	var answer struct {
		Errors []struct{ Code, Message string }
	}
	if json.Unmarshal(body, &answer) != nil || len(answer.Errors) == 0 {
		return ""
	}
	return cmp.Or(answer.Errors[0].Message, answer.Errors[0].Code)
}

// shorten makes one short printable line of a registry's message.
func shorten(message string) string {
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
func (s *session) handshakeError(host string, err error) error {
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) { // of HTTPS, before HTTP was tried as well
		return fmt.Errorf("%s: %w", host, certificate)
	}
	var answer *transport.Error
	if errors.As(err, &answer) {
		status := &statusError{host: host, status: answer.StatusCode}
		if answer.Request != nil {
			status.host = answer.Request.URL.Host
		}
		if len(answer.Errors) > 0 {
			first := answer.Errors[0]
			status.message = shorten(s.conceal(cmp.Or(first.Message, string(first.Code))))
		}
		return status
	}
	if shown := s.tokenServerError(host, err); shown != nil {
		return shown
	}
	var request *url.Error
	if errors.As(err, &request) {
		return plainError(err)
	}
	return fmt.Errorf("%s: %w", host, err)
}

// What errors of go-containerregistry contain that show too much: the whole
// answer of a token server, or addresses, which may be signed.
const (
	noToken     = "no token in bearer response"
	noRealm     = "malformed www-authenticate"
	badRealm    = "invalid realm in www-authenticate"
	badRedirect = "refusing token-server redirect"
)

// tokenServerError is an error with less to show for one that shows too much, and
// nil for others.
func (s *session) tokenServerError(host string, err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, noToken):
		return fmt.Errorf("%s: the answer has no token", host)
	case strings.Contains(text, noRealm):
		return &permanentError{fmt.Errorf("%s wants a token and does not say whose", s.host())}
	case strings.Contains(text, badRealm):
		return &permanentError{fmt.Errorf("%s names a token server that must not be used: without HTTPS, or at a private address", s.host())}
	case strings.Contains(text, badRedirect):
		return &permanentError{fmt.Errorf("%s redirects to where it must not: without HTTPS, or at a private address", host)}
	}
	return nil
}

// conceal takes credentials and tokens out of what somebody else says.
func (s *session) conceal(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range s.secrets {
		text = strings.ReplaceAll(text, secret, "…")
	}
	return text
}

// keepSecret notes what no message may show. One that is very short would make
// messages unreadable and is no secret.
func (s *session) keepSecret(secrets ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range secrets {
		if len(secret) >= 4 && !slices.Contains(s.secrets, secret) {
			s.secrets = append(s.secrets, secret)
		}
	}
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
	if !errors.As(err, &status) || isProxy(err) {
		wrapped := fmt.Errorf("%s%w", subject, err)
		if hint := s.connectionHint(err); hint != "" {
			return image.WithHint(wrapped, "%s", hint)
		}
		return wrapped
	}
	switch status.status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return image.WithHint(image.Deniedf("%saccess denied: %w", subject, err), "%s", s.loginHint())
	case http.StatusNotFound, http.StatusGone:
		return image.WithHint(image.NotFoundf("%snot found: %w", subject, err),
			"check the name and the tag; a private repository needs credentials")
	case http.StatusProxyAuthRequired:
		return image.WithHint(fmt.Errorf("%s%w", subject, err),
			"the proxy that HTTP_PROXY names wants credentials: http://USER:PASSWORD@HOST:PORT")
	case http.StatusTooManyRequests:
		return image.WithHint(fmt.Errorf("%s%w", subject, err),
			"the registry limits requests: wait, or log in")
	}
	return fmt.Errorf("%s%w", subject, err)
}

// connectionHint says what to do when the registry cannot be talked to.
func (s *session) connectionHint(err error) string {
	var dns *net.DNSError
	switch {
	case isProxy(err):
		return "the proxy is the one that HTTPS_PROXY or HTTP_PROXY names; NO_PROXY names hosts that need none"
	case speaksOtherProtocol(err) && !s.insecure:
		return "use --insecure for a registry without HTTPS or a certificate that is trusted here"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "check the registry's name, and that this machine can look it up"
	case refused(err):
		return "check the registry's host and port, and that it runs"
	}
	return ""
}

// isProxy reports whether err is that of a proxy or of the way to it.
func isProxy(err error) bool {
	var proxy *proxyError
	var operation *net.OpError
	return errors.As(err, &proxy) || errors.As(err, &operation) && operation.Op == "proxyconnect"
}

// loginHint says how to come by credentials, or whose were refused.
func (s *session) loginHint() string {
	ways := fmt.Sprintf("log in with \"docker login %s\", or give --authfile or --creds", s.host())
	if s.user == "" {
		return ways
	}
	return fmt.Sprintf("the credentials of %q were not accepted: %s", s.user, ways)
}
