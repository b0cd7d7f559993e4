// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

const (
	defaultConnect = 15 * time.Second
	defaultHeaders = 30 * time.Second
	maxRedirects   = 10

	// maxHandshakeBody bounds the answers to the first request and of token
	// servers.
	maxHandshakeBody = 1 << 20
)

// newTransport is net/http's default transport with this package's limits. It
// does not unpack what a server sends, since digests are of the stored bytes.
func newTransport(o *Options) *http.Transport {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
	if d, ok := http.DefaultTransport.(*http.Transport); ok {
		t = d.Clone()
	}
	connect := cmp.Or(max(o.ConnectTimeout, 0), defaultConnect)
	t.DialContext = (&net.Dialer{Timeout: connect, KeepAlive: 30 * time.Second}).DialContext
	t.TLSHandshakeTimeout = connect
	t.ResponseHeaderTimeout = cmp.Or(max(o.HeaderTimeout, 0), defaultHeaders)
	t.OnProxyConnectResponse = checkProxy
	t.DisableCompression = true
	if o.Insecure {
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	}
	return t
}

// agent names this program in every request, and leaves out from where a
// redirect came, since such an address may be signed.
type agent struct {
	inner http.RoundTripper
	name  string
}

func (a *agent) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("User-Agent", a.name)
	req.Header.Del("Referer")
	return a.inner.RoundTrip(req)
}

// checkProxy turns a proxy's refusal to connect, of which net/http would show but
// the status, into an error that says whose it is.
func checkProxy(_ context.Context, proxy *url.URL, _ *http.Request, answer *http.Response) error {
	if answer.StatusCode == http.StatusOK {
		return nil
	}
	return &proxyError{&statusError{host: "the proxy " + proxy.Host, status: answer.StatusCode}}
}

// handshaker sends the requests that go-containerregistry makes: the first one
// and those for tokens. It holds their redirects to the session's rules, and
// bounds what they receive.
type handshaker struct {
	s *session

	mu       sync.Mutex
	failures map[string]error // by the scheme of a first request, what became of it
}

func (h *handshaker) RoundTrip(req *http.Request) (*http.Response, error) {
	var via []*http.Request
	for r := req.Response; r != nil && r.Request != nil && len(via) <= maxRedirects; r = r.Request.Response {
		via = append([]*http.Request{r.Request}, via...)
	}
	if len(via) > 0 {
		if err := h.s.checkRedirect(req, via); err != nil {
			return nil, err
		}
		if last := via[len(via)-1].URL; req.Body != nil && (last.Host != req.URL.Host || last.Scheme != req.URL.Scheme) {
			return nil, &permanentError{fmt.Errorf("redirected to %s, which is not to see credentials", req.URL.Host)}
		}
	}
	resp, err := h.s.base.RoundTrip(req)
	if err != nil {
		h.note(req.URL.Scheme, err)
		return nil, err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		h.note(req.URL.Scheme, &statusError{
			host: req.URL.Host, status: resp.StatusCode, retryAfter: retryAfter(resp.Header),
		})
	}
	resp.Body = &boundedBody{inner: resp.Body, host: req.URL.Host, left: maxHandshakeBody}
	return resp, nil
}

func (h *handshaker) note(scheme string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failures == nil {
		h.failures = map[string]error{}
	}
	h.failures[scheme] = err
}

// cause chooses between the failures of HTTPS and of plain HTTP, which is tried
// after it, where err is what go-containerregistry makes of both.
func (h *handshaker) cause(err error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	secure, plain := h.failures["https"], h.failures["http"]
	chosen := chooseFailure(secure, plain)
	noted, isStatus := chosen.(*statusError)
	switch {
	case isStatus:
		var status *statusError
		if errors.As(err, &status) && status.status == noted.status {
			noted.message = status.message
		}
		return noted
	case secure == nil || plain == nil: // then err is the one
		return err
	}
	return fmt.Errorf("%s: %w", h.s.host(), chosen)
}

// chooseFailure prefers what was said in the protocol that the registry speaks. A
// TLS server answers plain HTTP with 400.
func chooseFailure(secure, plain error) error {
	if secure == nil || plain == nil {
		return cmp.Or(secure, plain)
	}
	var record tls.RecordHeaderError
	var status *statusError
	switch {
	case errors.Is(secure, http.ErrSchemeMismatch), errors.As(secure, &record), refused(secure):
		return plain
	case errors.As(plain, &status) && status.status != http.StatusBadRequest && !speaksOtherProtocol(secure):
		return plain
	}
	return secure
}

// boundedBody is a body that ends with an error when it is too long.
type boundedBody struct {
	inner io.ReadCloser
	host  string
	left  int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, image.Corruptf("%s sends more than the %d bytes that an answer may have", b.host, maxHandshakeBody)
	}
	n, err := b.inner.Read(p[:min(int64(len(p)), b.left+1)])
	b.left -= int64(n)
	return n, err
}

func (b *boundedBody) Close() error { return b.inner.Close() }

// checkRedirect says whether a redirect may be followed: not forever, not from
// TLS to plain HTTP, and not into a private network from outside.
func (s *session) checkRedirect(req *http.Request, via []*http.Request) error {
	first, last := via[0].URL, via[len(via)-1].URL
	switch {
	case len(via) >= maxRedirects:
		return &permanentError{fmt.Errorf("redirected more than %d times", maxRedirects)}
	case req.URL.Scheme != "https" && req.URL.Scheme != "http":
		return &permanentError{fmt.Errorf("redirected to an address of type %q", req.URL.Scheme)}
	case s.insecure:
		return nil
	case last.Scheme == "https" && req.URL.Scheme == "http":
		return image.WithHint(&permanentError{fmt.Errorf("redirected from HTTPS to HTTP at %s", req.URL.Host)},
			"use --insecure to allow it")
	case isPrivate(req.URL.Hostname()) && !isPrivate(first.Hostname()):
		return image.WithHint(&permanentError{fmt.Errorf("redirected to the private address %s", req.URL.Host)},
			"use --insecure to allow it")
	}
	return nil
}

// isPrivate reports whether host is an address, not a name, of this machine or
// of a private network, or the name of this machine.
func isPrivate(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	a = a.Unmap()
	return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsUnspecified()
}
