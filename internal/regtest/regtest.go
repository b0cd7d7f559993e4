// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package regtest

import (
	"encoding/json"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// User and Password are the credentials that registries with authentication
// want. The password has a colon, which a careless split would take for one of
// its own.
const (
	User     = "alice"
	Password = "open:sesame"
)

// Config says what a registry does beyond storing images. The zero value stores
// images, for everybody, over HTTP.
type Config struct {
	// Auth wants [User] and [Password].
	Auth Auth

	// TokenUses is how many requests a token is good for; 0 means any number.
	TokenUses int

	// NoRange ignores Range headers.
	NoRange bool

	// CDN answers requests for blobs with a redirect to a second host, which
	// wants no credentials and must not see any.
	CDN bool

	// TLS serves HTTPS with a certificate that nobody trusts, and HTTP/2.
	TLS bool

	// Fault, when not nil, is asked about every request but those that store.
	// It is called from several goroutines at once.
	Fault func(Request) Fault
}

// Auth is how a registry wants credentials.
type Auth uint8

const (
	Anonymous Auth = iota // not at all
	Basic
	Token
)

// Request is a request as it came in.
type Request struct {
	// Host is "registry" or "cdn".
	Host string

	Path   string
	Proto  string // "HTTP/1.1" or "HTTP/2.0"
	Header http.Header

	// IsBlob says whether a blob was asked for, of the host that has it.
	IsBlob bool

	// N counts the requests with this path, from 1.
	N int
}

// Server is a registry that runs until its test ends.
type Server struct {
	// Host is the host and port by which references name the registry.
	Host string

	config Config
	store  http.Handler
	main   *httptest.Server
	cdn    *httptest.Server
	ended  chan struct{}

	mu       sync.Mutex
	requests []Request
	counts   map[string]int
	sent     map[string]int64 // body bytes by the last element of the path
	tokens   map[string]int   // by token: the uses that are left
}

// New starts a registry.
func New(tb testing.TB, config Config) *Server {
	tb.Helper()
	s := &Server{
		config: config,
		store:  registry.New(registry.Logger(log.New(io.Discard, "", 0))),
		ended:  make(chan struct{}),
		counts: map[string]int{},
		sent:   map[string]int64{},
		tokens: map[string]int{},
	}
	s.main = s.start(s.serve)
	s.cdn = s.start(s.serveCDN)
	s.Host = s.main.Listener.Addr().String()
	tb.Cleanup(s.Close)
	return s
}

func (s *Server) start(handler http.HandlerFunc) *httptest.Server {
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Config.ConnContext = withConnection
	if s.config.TLS {
		server.EnableHTTP2 = true
		server.StartTLS()
	} else {
		server.Start()
	}
	return server
}

// Close ends the registry before its test does.
func (s *Server) Close() {
	select {
	case <-s.ended:
		return
	default:
	}
	close(s.ended)
	s.main.CloseClientConnections()
	s.cdn.CloseClientConnections()
	s.main.Close()
	s.cdn.Close()
}

// Push stores an image or an index under a name such as "app:1" and returns the
// reference to it. Nothing is asked of the one who pushes, nor recorded.
func (s *Server) Push(tb testing.TB, as string, what remote.Taggable) string {
	tb.Helper()
	ref, err := name.ParseReference(s.Host+"/"+as, name.Insecure)
	if err != nil {
		tb.Fatal(err)
	}
	direct := remote.WithTransport(direct{s.store})
	switch what := what.(type) {
	case v1.ImageIndex:
		err = remote.WriteIndex(ref, what, direct)
	case v1.Image:
		err = remote.Write(ref, what, direct)
	default:
		err = remote.Put(ref, what, direct)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return ref.String()
}

// direct sends requests to a handler without a connection.
type direct struct{ handler http.Handler }

func (d direct) RoundTrip(req *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	if req.Body == nil {
		req = req.Clone(req.Context())
		req.Body = http.NoBody
	}
	d.handler.ServeHTTP(recorder, req)
	resp := recorder.Result()
	resp.Request = req
	return resp, nil
}

// Requests returns the requests so far, in their order.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// Sent returns how many bytes of bodies were sent for paths that end in "/" and
// id, such as the digest of a blob.
func (s *Server) Sent(id string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent[id]
}

// serve is the registry.
func (s *Server) serve(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path == "/token" {
		s.serveToken(w, req)
		return
	}
	if !s.admits(req) {
		s.serveStranger(w, req)
		return
	}
	blob := isBlob(req)
	fault := s.record("registry", blob && !s.config.CDN, req)
	fault.breakEarly(req)
	switch {
	case fault.Status != 0:
		s.answer(w, req, fault)
	case blob && s.config.CDN:
		http.Redirect(w, req, s.cdn.URL+req.URL.Path+"?signature=secret", http.StatusTemporaryRedirect)
	default:
		s.send(w, req, fault)
	}
}

// serveCDN is the host that has the blobs.
func (s *Server) serveCDN(w http.ResponseWriter, req *http.Request) {
	fault := s.record("cdn", isBlob(req), req)
	fault.breakEarly(req)
	switch {
	case fault.Status != 0:
		s.answer(w, req, fault)
	case req.URL.Query().Get("signature") != "secret":
		http.Error(w, "not signed", http.StatusForbidden)
	default:
		s.send(w, req, fault)
	}
}

func isBlob(req *http.Request) bool {
	return req.Method == http.MethodGet && strings.Contains(req.URL.Path, "/blobs/sha")
}

// record notes a request and returns what shall go wrong with it.
func (s *Server) record(host string, blob bool, req *http.Request) Fault {
	s.mu.Lock()
	key := host + req.URL.Path
	s.counts[key]++
	r := Request{Host: host, Path: req.URL.Path, Proto: req.Proto, Header: req.Header.Clone(), IsBlob: blob, N: s.counts[key]}
	s.requests = append(s.requests, r)
	s.mu.Unlock()
	if s.config.Fault == nil {
		return Fault{}
	}
	return s.config.Fault(r)
}

// answer is a fault's own answer.
func (s *Server) answer(w http.ResponseWriter, req *http.Request, fault Fault) {
	maps.Copy(w.Header(), fault.Header)
	w.WriteHeader(fault.Status)
	_, _ = io.WriteString(s.faulty(w, req, fault), fault.Body)
}

func (s *Server) count(req *http.Request, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := req.URL.Path[strings.LastIndexByte(req.URL.Path, '/')+1:]
	s.sent[id] += int64(n)
}

// admits reports whether a request shows what the registry wants to see.
func (s *Server) admits(req *http.Request) bool {
	switch s.config.Auth {
	case Basic:
		return isAlice(req)
	case Token:
		token, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
		s.mu.Lock()
		defer s.mu.Unlock()
		if !ok || s.tokens[token] == 0 {
			return false
		}
		s.tokens[token]--
	}
	return true
}

func isAlice(req *http.Request) bool {
	user, password, ok := req.BasicAuth()
	return ok && user == User && password == Password
}

// serveStranger says what the registry wants to see. Of these requests only the
// first one of a client is recorded.
func (s *Server) serveStranger(w http.ResponseWriter, req *http.Request) {
	var fault Fault
	if req.URL.Path == "/v2/" {
		fault = s.record("registry", false, req)
	}
	fault.breakEarly(req)
	if fault.Status != 0 {
		s.answer(w, req, fault)
		return
	}
	challenge := `Basic realm="regtest"`
	if s.config.Auth == Token {
		challenge = `Bearer realm="` + s.main.URL + `/token",service="regtest"`
	}
	w.Header().Set("WWW-Authenticate", challenge)
	fault.Status = http.StatusUnauthorized
	w.WriteHeader(fault.Status)
	_, _ = io.WriteString(s.faulty(w, req, fault), `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
}

// serveToken exchanges credentials for a token that is good for the scope asked
// for and, unlike a real one, for any other too.
func (s *Server) serveToken(w http.ResponseWriter, req *http.Request) {
	fault := s.record("registry", false, req)
	fault.breakEarly(req)
	switch {
	case fault.Status != 0:
		s.answer(w, req, fault)
		return
	case !isAlice(req) || req.URL.Query().Get("service") != "regtest" || !strings.HasSuffix(req.URL.Query().Get("scope"), ":pull"):
		http.Error(w, "denied", http.StatusUnauthorized)
		return
	}
	s.mu.Lock()
	token := strings.Repeat("t", len(s.tokens)+1)
	s.tokens[token] = s.config.TokenUses
	if s.config.TokenUses == 0 {
		s.tokens[token] = 1 << 30
	}
	s.mu.Unlock()
	_ = json.NewEncoder(s.faulty(w, req, fault)).Encode(map[string]string{"token": token})
}
