// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/seed-81b0d42e/flatten/internal/regtest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// vault is a keychain with one entry.
type vault authn.AuthConfig

func (v vault) Resolve(authn.Resource) (authn.Authenticator, error) {
	return authn.FromConfig(authn.AuthConfig(v)), nil
}

// secrets are what must not be seen.
var secrets = []string{regtest.Password, "refresh-me", "a-token", "signature",
	base64.StdEncoding.EncodeToString([]byte(regtest.User + ":" + regtest.Password))}

func checkNoSecret(t *testing.T, text string) {
	t.Helper()
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("%q shows %q", text, secret)
		}
	}
}

// A registry or a token server that repeats credentials in what it says does not
// bring them into an error, nor do addresses that are signed.
func TestNoSecretInErrors(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request, code int) {
		w.WriteHeader(code)
		_ = r.ParseForm()
		fmt.Fprintf(w, `{"errors":[{"code":"DENIED","message":"no use for %s %s"}]}`, r.Header.Get("Authorization"), r.PostForm.Get("refresh_token"))
	}
	moved := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusTemporaryRedirect) }
	}
	say := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
	}
	denied := func(w http.ResponseWriter, r *http.Request) { echo(w, r, 403) }
	const refresh = "refresh"
	tests := []struct {
		name, scheme, user string
		token, rest        http.HandlerFunc
		text               string
	}{
		{"password", "Basic", regtest.User, nil, denied, "no use for Basic …"},
		{"password at the token server", "Bearer", regtest.User, denied, nil, "no use for Basic …"},
		{"refresh token", "Bearer", refresh, denied, nil, "no use for  …"},
		{"token", "Bearer", regtest.User, say(`{"token":"a-token"}`), denied, "no use for Bearer …"},
		{"answer without a token", "Bearer", refresh, say(`{"refresh_token":"refresh-me"}`), nil, "the answer has no token"},
		{"answer that is no JSON", "Bearer", refresh, say(`refresh-me`), nil, "invalid character"},
		{"token server moved to a private address", "Bearer", regtest.User, moved("http://10.0.0.1/?signature=1"), nil, "redirects to where it must not"},
		{"refresh token sent elsewhere", "Bearer", refresh, moved("http://public.example/?signature=1"), nil, "which is not to see credentials"},
		{"manifest at a dead host", "Basic", regtest.User, nil, moved("http://127.0.0.1:1/?signature=1"), "127.0.0.1:1: "},
		{"token server moves in a circle", "Bearer", regtest.User, moved("/token?signature=1"), nil, "redirect"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			settled(t)
			mux := http.NewServeMux()
			s := httptest.NewServer(mux)
			defer s.Close()
			mux.HandleFunc("/v2/", func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") == "" {
					w.Header().Set("WWW-Authenticate", test.scheme+` realm="`+s.URL+`/token?signature=2",service="s"`)
					w.WriteHeader(401)
					return
				}
				test.rest(w, r)
			})
			mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) { test.token(w, r) })
			o := quick(t)
			o.Retries = 1
			o.Keychain = vault{Username: test.user, Password: regtest.Password}
			if test.user == refresh {
				o.Keychain = vault{IdentityToken: "refresh-me"}
			}
			o.OnRetry = func(r Retry) { checkNoSecret(t, r.Err.Error()) }
			_, err := Open(t.Context(), strings.TrimPrefix(s.URL, "http://")+"/app:1", o)
			if err == nil || !strings.Contains(err.Error(), test.text) {
				t.Fatalf("error %v does not say %q", err, test.text)
			}
			checkNoSecret(t, err.Error()+image.Hint(err))
		})
	}
}

// Whoever a registry redirects the first request to sees no credentials, nor does
// whoever a token server redirects to, and a registry of HTTPS stays one.
func TestFirstRequestIsRedirected(t *testing.T) {
	settled(t)
	plain := regtest.New(t, regtest.Config{Auth: regtest.Basic})
	plain.Push(t, "app:1", blobsImage(t))
	s := regtest.New(t, regtest.Config{TLS: true, Fault: func(r regtest.Request) regtest.Fault {
		return status(307, "", "Location", "http://"+plain.Host+r.Path)
	}})
	o := quick(t)
	o.User, o.Password = regtest.User, regtest.Password
	o.Transport = named(t, s, true)
	_, err := Open(t.Context(), "registry.example/app:1", o)
	checkError(t, err, nil, []string{"redirected from HTTPS to HTTP"}, "--insecure")
	if len(plain.Requests()) > 0 {
		t.Error("the redirect was followed")
	}
}

// Answers to the first request and of token servers that do not end are cut off.
func TestEndlessAnswers(t *testing.T) {
	for _, path := range []string{"/v2/", "/token"} {
		for _, code := range []int{200, 401, 500} {
			t.Run(fmt.Sprint(path, code), func(t *testing.T) {
				settled(t)
				var sent atomic.Int64
				var s *httptest.Server
				s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("WWW-Authenticate", `Bearer realm="`+s.URL+`/token",service="s"`)
					if r.URL.Path != path {
						w.WriteHeader(401)
						return
					}
					w.WriteHeader(code)
					for {
						n, err := w.Write(make([]byte, 64<<10))
						sent.Add(int64(n))
						if err != nil {
							return
						}
					}
				}))
				defer s.Close()
				o := quick(t)
				o.Retries = -1
				o.User, o.Password = regtest.User, regtest.Password
				_, err := Open(t.Context(), strings.TrimPrefix(s.URL, "http://")+"/app:1", o)
				if err == nil || len(err.Error()) > 400 {
					t.Errorf("error %v", err)
				}
				if got := sent.Load(); got > 64<<20 { // most of it is in the buffers of the connection
					t.Errorf("%d bytes were taken", got)
				}
			})
		}
	}
}
