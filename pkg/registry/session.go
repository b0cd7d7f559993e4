// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// session talks to one repository: it knows the scheme, holds the credentials
// and what the registry gave for them.
//
// Invariant: nothing but a request to exactly the registry's scheme and host
// carries an Authorization header, whatever redirects there are.
type session struct {
	repo     name.Repository
	subject  string // the reference, for messages
	insecure bool
	pace     pace
	retry    *retrier

	base   http.RoundTripper // without credentials
	own    *http.Transport   // below base, nil when the caller gave one
	conns  *connections      // those of own
	client *http.Client      // with them, for the registry alone
	bare   *http.Client      // without, for other hosts

	renewing chan struct{} // holds one value; taken by whoever renews
	account  authn.AuthConfig
	user     string // for messages; empty for anonymous access

	mu      sync.Mutex
	scheme  string
	header  string   // the Authorization header, empty for none
	secrets []string // what no message may show
}

func newSession(ref name.Reference, account authn.AuthConfig, o *Options) *session {
	s := &session{
		repo:     ref.Context(),
		subject:  ref.Name(),
		insecure: o.Insecure,
		pace:     o.pace(),
		retry:    o.retrier(),
		renewing: make(chan struct{}, 1),
		account:  account,
		user:     account.Username,
	}
	_, encoded, _ := strings.Cut(basicHeader(account), " ")
	s.keepSecret(account.Password, account.IdentityToken, account.RegistryToken, account.Auth, encoded)
	inner := o.Transport
	if inner == nil {
		s.own = newTransport(o)
		s.conns = trackConnections(s.own)
		inner = s.own
	}
	s.base = &agent{inner, o.agent()}
	s.client = &http.Client{Transport: s, CheckRedirect: s.checkRedirect}
	s.bare = &http.Client{Transport: s.base, CheckRedirect: s.checkRedirect}
	return s
}

// host is the registry's host, with its port if there is one.
func (s *session) host() string { return s.repo.RegistryStr() }

// hostname is the registry's host without a port.
func (s *session) hostname() string { return (&url.URL{Host: s.host()}).Hostname() }

func (s *session) current() (scheme, header string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.scheme, s.header
}

func (s *session) currentScheme() string {
	scheme, _ := s.current()
	return scheme
}

// url is an address within the repository.
func (s *session) url(kind, id string) *url.URL {
	return &url.URL{
		Scheme: s.currentScheme(),
		Host:   s.host(),
		Path:   "/v2/" + s.repo.RepositoryStr() + "/" + kind + "/" + id,
	}
}

// connect finds out how the registry is spoken to and gets the first token.
func (s *session) connect(ctx context.Context) error {
	err := s.retry.do(ctx, s.host(), func() error {
		limited, cancel := context.WithTimeoutCause(ctx, s.pace.stall, errStalled)
		defer cancel()
		err := s.handshake(limited)
		if err != nil && ctx.Err() == nil && errors.Is(context.Cause(limited), errStalled) {
			return fmt.Errorf("%s: %w for %v", s.host(), errStalled, s.pace.stall)
		}
		return err
	})
	if err != nil {
		return s.explain(s.repo.Name(), err)
	}
	return nil
}

// handshake is one attempt to connect.
func (s *session) handshake(ctx context.Context) error {
	sender := &handshaker{s: s}
	challenge, err := transport.Ping(ctx, s.repo.Registry, sender)
	if err != nil {
		err = sender.cause(s.handshakeError(s.host(), err))
		if refused(err) {
			return &permanentError{err}
		}
		return err
	}
	s.mu.Lock()
	s.scheme = "https"
	if challenge.Insecure {
		s.scheme = "http"
	}
	s.mu.Unlock()
	if challenge.Scheme == "" {
		return nil
	}
	header, err := s.authorize(ctx, challenge)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.header = header
	s.mu.Unlock()
	return nil
}

// authorize answers a challenge: it returns the header that the registry wants
// to see, empty when there is nothing to show.
func (s *session) authorize(ctx context.Context, challenge *transport.Challenge) (string, error) {
	switch strings.ToLower(challenge.Scheme) {
	case "basic":
		return basicHeader(s.account), nil
	case "bearer":
	default:
		return "", image.Deniedf("%s wants authentication of type %q, which is not supported", s.host(), challenge.Scheme)
	}
	if s.account.RegistryToken != "" {
		return "Bearer " + s.account.RegistryToken, nil
	}
	auth := authn.Anonymous
	if s.account != (authn.AuthConfig{}) {
		auth = authn.FromConfig(s.account)
	}
	scopes := []string{s.repo.Scope(transport.PullScope)}
	if scope := challenge.Parameters["scope"]; scope != "" && scope != scopes[0] {
		scopes = append([]string{scope}, scopes...)
	}
	sender := &handshaker{s: s}
	token, err := transport.Exchange(ctx, s.realmRegistry(challenge), auth, sender, scopes, challenge)
	if err != nil {
		return "", sender.cause(s.handshakeError(hostOf(challenge.Parameters["realm"]), err))
	}
	s.keepSecret(token.Token, token.AccessToken, token.RefreshToken)
	if token.RefreshToken != "" && s.account.IdentityToken != "" {
		s.account.IdentityToken = token.RefreshToken
	}
	if token.AccessToken != "" {
		return "Bearer " + token.AccessToken, nil
	}
	return "Bearer " + token.Token, nil
}

// realmRegistry is the registry that go-containerregistry takes the token
// server for. It refuses one with a private address unless that is the
// registry's own; a private registry may also have one beside it.
func (s *session) realmRegistry(challenge *transport.Challenge) name.Registry {
	realm, err := url.Parse(challenge.Parameters["realm"])
	if err != nil || !isPrivate(realm.Hostname()) || !s.insecure && !isPrivate(s.hostname()) {
		return s.repo.Registry
	}
	registry, err := name.NewRegistry(realm.Host, name.Insecure)
	if err != nil {
		return s.repo.Registry
	}
	return registry
}

// basicHeader is the header for a user and password, empty without a user.
func basicHeader(account authn.AuthConfig) string {
	if account.Username == "" {
		return ""
	}
	req := http.Request{Header: http.Header{}}
	req.SetBasicAuth(account.Username, account.Password)
	return req.Header.Get("Authorization")
}

// RoundTrip sends a request, with credentials if it goes to the registry. When
// these have expired, it renews them and sends the request once more.
func (s *session) RoundTrip(req *http.Request) (*http.Response, error) {
	scheme, header := s.current()
	if req.URL.Host != s.host() || req.URL.Scheme != scheme {
		return s.base.RoundTrip(req)
	}
	for {
		resp, err := s.base.RoundTrip(withHeader(req, header))
		if err != nil || resp.StatusCode != http.StatusUnauthorized {
			return resp, err
		}
		challenge := parseChallenge(resp.Header.Values("WWW-Authenticate"), scheme == "http")
		if challenge == nil {
			return resp, nil
		}
		answer, err := s.renew(req, header, resp, challenge)
		if answer != nil || err != nil {
			return answer, err
		}
		_, header = s.current() // which another request got, and may have expired since
	}
}

// renew replaces the header stale, with which a request was refused, and sends the
// request with the fresh one. It returns the answer, or nil when another request
// has replaced the header before.
//
// Others see the fresh header only when this request is answered: a token may be
// good for so short that, used by all of them first, it were stale again.
func (s *session) renew(req *http.Request, stale string, refusal *http.Response, challenge *transport.Challenge) (answer *http.Response, err error) {
	defer func() {
		if answer != refusal {
			_ = refusal.Body.Close()
		}
	}()
	ctx := req.Context()
	select {
	case s.renewing <- struct{}{}:
		defer func() { <-s.renewing }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if _, header := s.current(); header != stale {
		return nil, nil
	}
	fresh, err := s.authorize(ctx, challenge)
	if err != nil {
		return nil, err
	}
	if fresh == stale {
		return refusal, nil
	}
	answer, err = s.base.RoundTrip(withHeader(req, fresh))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.header = fresh
	return answer, err
}

// withHeader is a copy of req with an Authorization header, if there is one.
func withHeader(req *http.Request, authorization string) *http.Request {
	req = req.Clone(req.Context())
	req.Header.Del("Authorization")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	return req
}

// read reads a manifest or another small thing whole. The answer must not be
// longer than limit, and if nothing but the end of the connection ends it no
// shorter than least.
func (s *session) read(ctx context.Context, subject string, u *url.URL, accept string, least, limit int64) ([]byte, http.Header, error) {
	var body []byte
	var header http.Header
	err := s.retry.do(ctx, subject, func() error {
		request := http.Header{"Accept-Encoding": {"identity"}}
		if accept != "" {
			request.Set("Accept", accept)
		}
		resp, err := s.get(ctx, s.client, u, request)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return s.statusErrorOf(resp)
		}
		header = resp.Header
		body, err = io.ReadAll(io.LimitReader(resp.Body, limit+1))
		if err != nil {
			return err
		}
		unframed := resp.ContentLength < 0 && len(resp.TransferEncoding) == 0 && resp.ProtoMajor == 1
		if unframed && int64(len(body)) < least {
			return fmt.Errorf("%s ends the connection after %d of %d bytes", s.host(), len(body), least)
		}
		if int64(len(body)) > limit {
			return image.Corruptf("%s %w", s.host(), tooLong(limit))
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return body, header, nil
}

// close ends the connections, if they are the session's own. Nothing may be using
// the session any longer.
func (s *session) close() {
	if s.own != nil {
		s.own.CloseIdleConnections()
		s.conns.close()
	}
}

// what is how a blob or manifest of the repository is called in messages.
func what(kind string, digest fmt.Stringer) string { return kind + " " + digest.String() }
