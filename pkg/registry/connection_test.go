// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"encoding/base64"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/seed-81b0d42e/flatten/internal/regtest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// Why a registry cannot be talked to, and what to do about it.
func TestConnectionHints(t *testing.T) {
	nobody := regtest.New(t, regtest.Config{})
	nobody.Close()
	unknown := func(_ context.Context, _, address string) (net.Conn, error) {
		host, _, _ := net.SplitHostPort(address)
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}}
	}
	tests := []struct {
		name       string
		ref        string
		dial       func(context.Context, string, string) (net.Conn, error)
		proxy      string
		text, hint string
	}{
		{name: "unknown host", ref: "registry.example/app:1", dial: unknown,
			text: "registry.example/app: registry.example: dial tcp: lookup registry.example: no such host", hint: "check the registry's name"},
		{name: "refused", ref: nobody.Host + "/app:1", text: "connection refused", hint: "host and port"},
		{name: "no proxy", ref: "registry.example/app:1", proxy: "http://bob:secret@" + nobody.Host, text: "proxyconnect", hint: "HTTPS_PROXY"},
		{name: "unknown proxy", ref: "registry.example/app:1", proxy: "http://bob:secret@proxy.example:3128", dial: unknown, text: "no such host", hint: "HTTPS_PROXY"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			settled(t)
			o := quick(t)
			transport := newTransport(&o)
			defer transport.CloseIdleConnections()
			if test.dial != nil {
				transport.DialContext = test.dial
			}
			if test.proxy != "" {
				transport.Proxy = fixedProxy(t, test.proxy)
			}
			o.Transport = transport
			waits := new(sleeps)
			o.Sleep = waits.sleep
			_, err := Open(t.Context(), test.ref, o)
			checkError(t, err, nil, []string{test.text}, test.hint)
			if len(waits.waits) > 0 {
				t.Errorf("tried again %d times", len(waits.waits))
			}
		})
	}
}

func fixedProxy(t *testing.T, address string) func(*http.Request) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return http.ProxyURL(u)
}

// proxyFor is a proxy that wants the password "secret" of bob and passes requests
// without TLS on to a registry, whatever host they are for.
func proxyFor(t *testing.T, s *regtest.Server) string {
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = "http", s.Host
	}}
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("bob:secret"))
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Proxy-Authorization") != want:
			w.WriteHeader(http.StatusProxyAuthRequired)
		case r.Method == http.MethodConnect:
			w.WriteHeader(http.StatusForbidden)
		default:
			forward.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(proxy.Close)
	return proxy.Listener.Addr().String()
}

// A proxy is used, and its refusals are told apart from the registry's.
func TestProxy(t *testing.T) {
	settled(t)
	s := regtest.New(t, regtest.Config{})
	layer := noise(1, 1000)
	s.Push(t, "app:1", blobsImage(t, layer))
	host := proxyFor(t, s)
	through := func(user string, insecure bool) Options {
		o := quick(t)
		o.Insecure = insecure
		transport := newTransport(&o)
		t.Cleanup(transport.CloseIdleConnections)
		transport.Proxy = fixedProxy(t, "http://"+user+"@"+host)
		o.Transport = transport
		return o
	}
	checkLayers(t, mustOpen(t, "registry.example/app:1", through("bob:secret", true)), layer)

	_, err := Open(t.Context(), "registry.example/app:1", through("bob:secret", false))
	checkError(t, err, nil, []string{"the proxy " + host + " answers 403 Forbidden"}, "HTTPS_PROXY")

	_, err = Open(t.Context(), "registry.example/app:1", through("bob:wrong", false))
	checkError(t, err, nil, []string{"the proxy " + host + " answers 407 Proxy Authentication Required"}, "HTTPS_PROXY")

	_, err = Open(t.Context(), "registry.example/app:1", through("bob:wrong", true))
	checkError(t, err, nil, []string{"registry.example answers 407 Proxy Authentication Required"}, "HTTP_PROXY")
}

// Hosts may be IPv6 addresses.
func TestIPv6(t *testing.T) {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip(err)
	}
	settled(t)
	s := regtest.New(t, regtest.Config{})
	layer := noise(1, 1000)
	s.Push(t, "team/app:1", blobsImage(t, layer))
	to, err := url.Parse("http://" + s.Host)
	if err != nil {
		t.Fatal(err)
	}
	six := &httptest.Server{Listener: l, Config: &http.Server{Handler: httputil.NewSingleHostReverseProxy(to)}}
	six.Start()
	defer six.Close()
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	ref := strings.TrimPrefix(six.URL, "http://") + "/team/app:1"
	if !strings.HasPrefix(ref, "[::1]:") {
		t.Fatalf("reference %s", ref)
	}
	img := mustOpen(t, ref, quick(t))
	checkLayers(t, img, layer)
	if img.Reference != "docker://"+ref {
		t.Errorf("reference %s", img.Reference)
	}
	six.Close()
	_, err = Open(t.Context(), ref, quick(t))
	checkError(t, err, nil, []string{"[::1]:", "refused"}, "host and port")
	_, err = Open(t.Context(), "[::1/app:1", quick(t))
	if err == nil || image.Hint(err) == "" {
		t.Errorf("error %v", err)
	}
}
