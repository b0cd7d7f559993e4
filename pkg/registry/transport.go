// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
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
	"time"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

const (
	connectTimeout = 15 * time.Second
	tlsTimeout     = 15 * time.Second
	headerTimeout  = 30 * time.Second
	defaultStall   = 60 * time.Second
	maxRedirects   = 10
)

// newTransport is net/http's default transport with this package's limits. It
// does not unpack what a server sends, since digests are of the stored bytes.
func newTransport(insecure bool) *http.Transport {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
	if d, ok := http.DefaultTransport.(*http.Transport); ok {
		t = d.Clone()
	}
	t.DialContext = (&net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second}).DialContext
	t.TLSHandshakeTimeout = tlsTimeout
	t.ResponseHeaderTimeout = headerTimeout
	t.DisableCompression = true
	if insecure {
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

// get asks for an address. The answer's body must be closed. The request ends
// with an error that is [errStalled] when neither headers nor, later, a byte of
// the body arrive for s.stall.
func (s *session) get(ctx context.Context, client *http.Client, u *url.URL, header http.Header) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(s.stall, func() { cancel(errStalled) })
	release := func() {
		timer.Stop()
		cancel(context.Canceled)
	}
	req := (&http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: header}).WithContext(ctx)
	resp, err := client.Do(req)
	if err != nil {
		defer release()
		if errors.Is(context.Cause(ctx), errStalled) {
			return nil, fmt.Errorf("%s: %w for %v", u.Host, errStalled, s.stall)
		}
		return nil, plainError(err)
	}
	timer.Reset(s.stall)
	resp.Body = &watchedBody{
		inner:   resp.Body,
		arrived: func() { timer.Reset(s.stall) },
		explain: func(err error) error {
			if errors.Is(context.Cause(ctx), errStalled) {
				return fmt.Errorf("%w for %v", errStalled, s.stall)
			}
			return err
		},
		release: release,
		host:    resp.Request.URL.Host,
	}
	return resp, nil
}

// watchedBody is a response body whose reads end when nothing arrives for too
// long.
type watchedBody struct {
	inner    io.ReadCloser
	arrived  func()
	explain  func(error) error
	release  func()
	host     string
	finished bool
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.inner.Read(p)
	if n > 0 && !b.finished {
		b.arrived()
	}
	if err == nil || err == io.EOF {
		return n, err
	}
	return n, fmt.Errorf("%s: %w", b.host, b.explain(err))
}

func (b *watchedBody) Close() error {
	b.finished = true
	b.release()
	return b.inner.Close()
}
