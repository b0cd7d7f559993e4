// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	ggcr "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/internal/regtest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

func TestOpen(t *testing.T) {
	settled(t)
	s := regtest.New(t, regtest.Config{})
	layers := [][]byte{noise(1, 300_000), noise(2, 10), {}, noise(1, 300_000)}
	stored := blobsImage(t, layers...)
	ref := s.Push(t, "team/app:1", stored)
	o := quick(t)
	o.Version = "1.2.3"

	img := mustOpen(t, ref, o)
	checkLayers(t, img, layers...)
	want, err := stored.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if img.Digest.String() != want.String() {
		t.Errorf("digest %s, want %s", img.Digest, want)
	}
	if img.Reference != "docker://"+ref {
		t.Errorf("reference %q, want %q", img.Reference, "docker://"+ref)
	}
	for _, r := range s.Requests() {
		if got := r.Header.Get("User-Agent"); got != "flatten/1.2.3" {
			t.Errorf("%s: User-Agent %q", r.Path, got)
		}
	}
	if got := s.Sent(img.Layers[0].Digest.String()); got != 300_000 {
		t.Errorf("%d bytes were sent for a layer of 300,000 that occurs twice", got)
	}

	byDigest := mustOpen(t, s.Host+"/team/app@"+want.String(), o)
	if byDigest.Digest != img.Digest || byDigest.Tags != nil {
		t.Errorf("by digest: %s, tags %q", byDigest.Digest, byDigest.Tags)
	}
}

func TestOpenChoosesPlatform(t *testing.T) {
	settled(t)
	s := regtest.New(t, regtest.Config{})
	index := mutate.IndexMediaType(empty.Index, types.DockerManifestList)
	for _, arch := range []string{"amd64", "arm64", "s390x"} {
		img, err := mutate.ConfigFile(blobsImage(t), &ggcr.ConfigFile{OS: "linux", Architecture: arch})
		if err != nil {
			t.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        img,
			Descriptor: ggcr.Descriptor{Platform: &ggcr.Platform{OS: "linux", Architecture: arch}},
		})
	}
	ref := s.Push(t, "app:multi", index)
	o := quick(t)
	o.Platform = &v1.Platform{OS: "linux", Architecture: "s390x"}
	if img := mustOpen(t, ref, o); img.Platform.Architecture != "s390x" {
		t.Errorf("opened the image for %s", img.Platform.Architecture)
	}
	o.Platform.Architecture = "riscv64"
	if _, err := Open(t.Context(), ref, o); !errors.Is(err, image.ErrNotFound) {
		t.Errorf("a platform that is not there: %v", err)
	}
}

// rawManifest is a document of any kind.
type rawManifest struct {
	mediaType types.MediaType
	text      string
}

func (m rawManifest) RawManifest() ([]byte, error)        { return []byte(m.text), nil }
func (m rawManifest) MediaType() (types.MediaType, error) { return m.mediaType, nil }

func TestOpenErrors(t *testing.T) {
	onManifest := func(f regtest.Fault) func(regtest.Request) regtest.Fault {
		return func(r regtest.Request) regtest.Fault {
			if strings.Contains(r.Path, "/manifests/") {
				return f
			}
			return regtest.Fault{}
		}
	}
	always := func(f regtest.Fault) func(regtest.Request) regtest.Fault {
		return func(regtest.Request) regtest.Fault { return f }
	}
	tests := []struct {
		name   string
		config regtest.Config
		ref    string // behind the host; default app:1
		user   string
		kind   error    // nil: none of image's
		text   []string // parts of the error
		hint   string   // part of the hint
	}{
		{name: "no such tag", ref: "app:2", kind: image.ErrNotFound, text: []string{"/app:2: not found", "404"}, hint: "check the name"},
		{name: "no such repository", ref: "other:1", kind: image.ErrNotFound, text: []string{"/other:1: not found"}},
		{name: "not a name", ref: "App:1", text: []string{"is not a reference"}, hint: "lower case"},
		{name: "anonymous, basic", config: regtest.Config{Auth: regtest.Basic}, kind: image.ErrDenied,
			text: []string{"/app:1: access denied", "401"}, hint: "docker login"},
		{name: "anonymous, token", config: regtest.Config{Auth: regtest.Token}, kind: image.ErrDenied,
			text: []string{"/app: access denied", "401"}, hint: "docker login"},
		{name: "wrong user, basic", config: regtest.Config{Auth: regtest.Basic}, user: "mallory", kind: image.ErrDenied,
			text: []string{"access denied"}, hint: `the credentials of "mallory" were not accepted`},
		{name: "wrong user, token", config: regtest.Config{Auth: regtest.Token}, user: "mallory", kind: image.ErrDenied,
			text: []string{"access denied"}, hint: `the credentials of "mallory" were not accepted`},
		{name: "forbidden", config: regtest.Config{Fault: onManifest(status(403, `{"errors":[{"code":"DENIED","message":"not\nyours","detail":{"a":1}}]}`))},
			kind: image.ErrDenied, text: []string{"answers 403 Forbidden: not yours"}},
		{name: "down", config: regtest.Config{Fault: onManifest(status(503, "<html>"))}, text: []string{"answers 503 Service Unavailable (tried 6 times)"}},
		{name: "down at the first request", config: regtest.Config{Fault: always(status(502, "<html>"))}, text: []string{"answers 502 Bad Gateway (tried 6 times)"}},
		{name: "limited for long", config: regtest.Config{Fault: onManifest(status(429, "", "Retry-After", "3600"))},
			text: []string{"answers 429 Too Many Requests, and asks to wait 1h0m0s"}, hint: "wait"},
		{name: "odd authentication", config: regtest.Config{Fault: always(status(401, "", "WWW-Authenticate", "Negotiate"))},
			kind: image.ErrDenied, text: []string{`"negotiate", which is not supported`}},
		{name: "manifest too large", config: regtest.Config{Fault: onManifest(regtest.Fault{Change: func([]byte) []byte { return make([]byte, 5<<20) }})},
			kind: image.ErrCorrupt, text: []string{"sends a manifest of more than 4194304 bytes"}},
		{name: "manifest of another digest", ref: "app@sha256:" + strings.Repeat("0", 64),
			config: regtest.Config{Fault: onManifest(status(200, "{}"))}, kind: image.ErrCorrupt, text: []string{"the bytes have digest"}},
		{name: "schema 1", ref: "old:1", kind: image.ErrCorrupt, text: []string{"schema 1"}, hint: "skopeo copy"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			settled(t)
			s := regtest.New(t, test.config)
			s.Push(t, "app:1", blobsImage(t, noise(1, 100)))
			s.Push(t, "old:1", rawManifest{types.DockerManifestSchema1Signed, `{"schemaVersion":1,"fsLayers":[]}`})
			o := quick(t)
			o.User, o.Password = test.user, "guess"
			ref := test.ref
			if ref == "" {
				ref = "app:1"
			}
			_, err := Open(t.Context(), s.Host+"/"+ref, o)
			checkError(t, err, test.kind, test.text, test.hint)
			checkEmpty(t, o.TmpDir)
		})
	}
}

func checkError(t *testing.T, err, kind error, text []string, hint string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, k := range []error{image.ErrCorrupt, image.ErrDenied, image.ErrNotFound} {
		if is := errors.Is(err, k); is != (k == kind) {
			t.Errorf("error %q is %q: %v", err, k, is)
		}
	}
	for _, part := range text {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
	if !strings.Contains(image.Hint(err), hint) {
		t.Errorf("hint %q does not say %q", image.Hint(err), hint)
	}
	if len(err.Error()) > 400 || strings.ContainsAny(err.Error(), "\n{") || strings.Contains(err.Error(), "secret") {
		t.Errorf("error is not short and clear: %q", err)
	}
}

func TestAuthentication(t *testing.T) {
	for name, auth := range map[string]regtest.Auth{"basic": regtest.Basic, "token": regtest.Token} {
		t.Run(name, func(t *testing.T) {
			settled(t)
			s := regtest.New(t, regtest.Config{Auth: auth})
			layer := noise(1, 1000)
			ref := s.Push(t, "team/app:1", blobsImage(t, layer))

			given := quick(t)
			given.User, given.Password = regtest.User, regtest.Password
			checkLayers(t, mustOpen(t, ref, given), layer)

			file := filepath.Join(t.TempDir(), "auth.json")
			write(t, file, `{"auths":{"`+s.Host+`/team":{"username":"alice","password":"open:sesame"},"`+s.Host+`":{"auth":"bm86"}}}`)
			found := quick(t)
			found.Keychain = NewKeychain(KeychainOptions{AuthFile: file})
			checkLayers(t, mustOpen(t, ref, found), layer)
		})
	}
}

// A token that expires is renewed, once for all requests that find it expired.
func TestTokenExpires(t *testing.T) {
	settled(t)
	s := regtest.New(t, regtest.Config{Auth: regtest.Token, TokenUses: 2})
	layers := [][]byte{noise(1, 1000), noise(2, 1000), noise(3, 1000), noise(4, 1000), noise(5, 1000)}
	ref := s.Push(t, "app:1", blobsImage(t, layers...))
	o := quick(t)
	o.User, o.Password = regtest.User, regtest.Password
	checkLayers(t, mustOpen(t, ref, o), layers...)
	tokens := 0
	for _, r := range s.Requests() {
		if r.Path == "/token" {
			tokens++
		}
	}
	if tokens < 3 || tokens > 5 {
		t.Errorf("%d tokens for 7 requests at 2 a token", tokens)
	}
}

// A token that is good for one request only serves the one that asked for it,
// however many others wait for a token.
func TestTokenForOne(t *testing.T) {
	settled(t)
	for range 10 {
		s := regtest.New(t, regtest.Config{Auth: regtest.Token, TokenUses: 1})
		layers := make([][]byte, 12)
		for i := range layers {
			layers[i] = noise(byte(i), 1000)
		}
		o := quick(t)
		o.User, o.Password = regtest.User, regtest.Password
		img := mustOpen(t, s.Push(t, "app:1", blobsImage(t, layers...)), o)
		var blobs []image.Blob
		for i := range img.Layers {
			b, err := img.Layers[i].Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			blobs = append(blobs, b)
		}
		var readers sync.WaitGroup
		for i, b := range blobs {
			readers.Go(func() {
				got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
				if err != nil || !bytes.Equal(got, layers[i]) {
					t.Errorf("layer %d: %d bytes, %v", i+1, len(got), err)
				}
			})
		}
		readers.Wait()
	}
}

// A registry that lets everybody in but for some repositories asks for
// credentials later than at the first request.
func TestLateChallenge(t *testing.T) {
	settled(t)
	s := regtest.New(t, regtest.Config{Fault: func(r regtest.Request) regtest.Fault {
		if r.Path != "/v2/" && r.Header.Get("Authorization") == "" {
			return status(401, "", "WWW-Authenticate", `Basic realm="later"`)
		}
		return regtest.Fault{}
	}})
	layer := noise(1, 1000)
	ref := s.Push(t, "app:1", blobsImage(t, layer))
	o := quick(t)
	o.User, o.Password = regtest.User, regtest.Password
	checkLayers(t, mustOpen(t, ref, o), layer)
}

func TestTLS(t *testing.T) {
	settled(t)
	s := regtest.New(t, regtest.Config{TLS: true, CDN: true})
	layer := noise(1, 300_000)
	ref := s.Push(t, "app:1", blobsImage(t, layer))
	o := quick(t)
	_, err := Open(t.Context(), ref, o)
	checkError(t, err, nil, []string{"certificate"}, "--insecure")
	o.Insecure = true
	checkLayers(t, mustOpen(t, ref, o), layer)
}

// named sends requests for the host registry.example to a registry, so that
// the rules for hosts that are not this machine hold.
func named(t *testing.T, s *regtest.Server, insecure bool) http.RoundTripper {
	transport := newTransport(&Options{Insecure: insecure})
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.Host)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func TestPlainHTTP(t *testing.T) {
	settled(t)
	s := regtest.New(t, regtest.Config{})
	layer := noise(1, 1000)
	s.Push(t, "app:1", blobsImage(t, layer))
	o := quick(t)
	o.Transport = named(t, s, false)
	_, err := Open(t.Context(), "registry.example/app:1", o)
	checkError(t, err, nil, []string{"registry.example/app: registry.example: http: server gave HTTP response to HTTPS client"}, "--insecure")
	o.Insecure = true
	checkLayers(t, mustOpen(t, "registry.example/app:1@"+digestOf(t, s, "app:1"), o), layer)
}

// digestOf asks a registry for the digest of an image.
func digestOf(t *testing.T, s *regtest.Server, as string) string {
	t.Helper()
	return mustOpen(t, s.Host+"/"+as, quick(t)).Digest.String()
}

// A token server in a private network is not for a registry outside of it.
func TestPrivateTokenServer(t *testing.T) {
	settled(t)
	s := regtest.New(t, regtest.Config{TLS: true, Auth: regtest.Token})
	layer := noise(1, 1000)
	s.Push(t, "app:1", blobsImage(t, layer))
	o := quick(t)
	o.User, o.Password = regtest.User, regtest.Password
	o.Transport = named(t, s, true)
	_, err := Open(t.Context(), "registry.example/app:1", o)
	checkError(t, err, nil, []string{"private"}, "")
	o.Insecure = true
	checkLayers(t, mustOpen(t, "registry.example/app:1", o), layer)
}

func TestNothingListens(t *testing.T) {
	settled(t)
	s := regtest.New(t, regtest.Config{})
	s.Close()
	o := quick(t)
	waits := new(sleeps)
	o.Sleep = waits.sleep
	_, err := Open(t.Context(), s.Host+"/app:1", o)
	checkError(t, err, nil, []string{"refused"}, "")
	if len(waits.waits) > 0 {
		t.Errorf("tried again though nothing listens: %v", waits.waits)
	}
}

func TestOpenStalls(t *testing.T) {
	settled(t)
	s := regtest.New(t, regtest.Config{Fault: func(r regtest.Request) regtest.Fault {
		return regtest.Fault{Stall: r.N <= 2}
	}})
	ref := s.Push(t, "app:1", blobsImage(t))
	o := quick(t)
	o.StallTimeout = 300 * time.Millisecond
	mustOpen(t, ref, o)
}

func TestOpenCancelled(t *testing.T) {
	settled(t)
	s := regtest.New(t, regtest.Config{Fault: func(regtest.Request) regtest.Fault { return regtest.Fault{Stall: true} }})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := Open(ctx, s.Host+"/app:1", quick(t))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("took %v", took)
	}
}

// A caller's transport is used, and its connections are left alone.
func TestTransport(t *testing.T) {
	s := regtest.New(t, regtest.Config{})
	ref := s.Push(t, "app:1", blobsImage(t, noise(1, 10)))
	used := 0
	o := quick(t)
	o.Transport = roundTripper(func(req *http.Request) (*http.Response, error) {
		used++
		return http.DefaultTransport.RoundTrip(req)
	})
	mustOpen(t, ref, o)
	if used == 0 {
		t.Error("the transport was not used")
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
