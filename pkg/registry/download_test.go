// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten/internal/regtest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// What was received is not fetched again: the registry sends every byte once.
func TestResume(t *testing.T) {
	const size = 700_000
	layer := noise(1, size)
	cut := func(after ...int64) func(regtest.Request) regtest.Fault {
		return func(r regtest.Request) regtest.Fault {
			if r.IsBlob && r.N <= len(after) && strings.HasSuffix(r.Path, digest.FromBytes(layer).String()) {
				return regtest.Fault{Cut: true, After: after[r.N-1]}
			}
			return regtest.Fault{}
		}
	}
	tests := []struct {
		name   string
		config regtest.Config
		sent   int64
	}{
		{"not broken", regtest.Config{}, size},
		{"once", regtest.Config{Fault: cut(1000)}, size},
		{"before the first byte", regtest.Config{Fault: cut(0, 0, 0, 0, 0)}, size},
		{"after each byte at first", regtest.Config{Fault: cut(1, 1, 1, 1, 1)}, size},
		{"before the last byte", regtest.Config{Fault: cut(size - 1)}, size},
		{"often", regtest.Config{Fault: cut(100_000, 0, 0, 200_000, 0, 5, 0, 0, 300_000)}, size},
		{"over HTTP/2", regtest.Config{TLS: true, Fault: cut(1000, 0, 300_000)}, size},
		{"from a second host", regtest.Config{CDN: true, Fault: cut(1000, 300_000)}, size},
		{"with tokens that expire", regtest.Config{Auth: regtest.Token, TokenUses: 1, Fault: cut(1000, 300_000)}, size},
		{"without ranges", regtest.Config{NoRange: true, Fault: cut(1000, 300_000)}, size + 1000 + 300_000},
		{"without ranges, cut while skipping", regtest.Config{NoRange: true, Fault: cut(300_000, 1000)}, size + 300_000 + 1000},
		{"without a length", regtest.Config{Fault: faultOn(layer, 1, regtest.Fault{Chunked: true, Cut: true, After: 1000})}, size},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			settled(t)
			s := regtest.New(t, test.config)
			ref := s.Push(t, "app:1", blobsImage(t, layer))
			o := quick(t)
			o.Insecure = test.config.TLS
			o.User, o.Password = regtest.User, regtest.Password
			checkLayers(t, mustOpen(t, ref, o), layer)
			for _, r := range s.Requests() {
				if want := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[test.config.TLS]; r.Proto != want {
					t.Errorf("%s: %s, want %s", r.Path, r.Proto, want)
				}
			}
			if got := s.Sent(digest.FromBytes(layer).String()); got != test.sent {
				t.Errorf("the registry sent %d bytes, want %d", got, test.sent)
			}
		})
	}
}

// Answers to ranged requests that are wrong do no harm.
func TestOddRanges(t *testing.T) {
	layer := noise(1, 100_000)
	on2 := func(f regtest.Fault) func(regtest.Request) regtest.Fault {
		return func(r regtest.Request) regtest.Fault {
			first := faultOn(layer, 1, regtest.Fault{Cut: true, After: 60_000})(r)
			if !first.Cut && r.IsBlob && r.N == 2 && r.Header.Get("Range") != "" {
				return f
			}
			return first
		}
	}
	partial := func(contentRange string, body []byte) regtest.Fault {
		return status(http.StatusPartialContent, string(body), "Content-Range", contentRange)
	}
	tests := map[string]regtest.Fault{
		"not satisfiable":      status(http.StatusRequestedRangeNotSatisfiable, "", "Content-Range", "bytes */100000"),
		"from too far":         partial("bytes 70000-99999/100000", layer[70_000:]),
		"from the start":       partial("bytes 0-99999/100000", layer),
		"from before":          partial("bytes 50000-99999/100000", layer[50_000:]),
		"less than asked for":  partial("bytes 60000-60009/100000", layer[60_000:60_010]),
		"of unknown size":      partial("bytes 60000-99999/*", layer[60_000:]),
		"without a range":      status(http.StatusPartialContent, "xyz"),
		"negative":             partial("bytes -5-99999/100000", layer),
		"not a number":         partial("bytes a-b/c", layer),
		"other unit":           partial("lines 60000-99999/100000", layer),
		"larger than an int64": partial("bytes 99999999999999999999-3/4", layer),
	}
	for name, fault := range tests {
		t.Run(name, func(t *testing.T) {
			settled(t)
			s := regtest.New(t, regtest.Config{Fault: on2(fault)})
			ref := s.Push(t, "app:1", blobsImage(t, layer))
			checkLayers(t, mustOpen(t, ref, quick(t)), layer)
		})
	}
}

func TestLayerErrors(t *testing.T) {
	layer := noise(1, 100_000)
	longer := func(b []byte) []byte { return append(bytes.Clone(b), "more"...) }
	shorter := func(b []byte) []byte { return b[:50_000] }
	tests := []struct {
		name  string
		fault regtest.Fault
		kind  error
		text  []string
		waits int
	}{
		{"not there", status(404, ""), image.ErrNotFound, []string{"layer sha256:", "not found", "404"}, 0},
		{"denied", status(403, ""), image.ErrDenied, []string{"access denied"}, 0},
		{"down", status(500, ""), nil, []string{"500 Internal Server Error (tried 6 times)"}, 5},
		{"longer", regtest.Fault{Change: longer}, image.ErrCorrupt, []string{"announces 100004 bytes where the manifest says 100000"}, 0},
		{"shorter", regtest.Fault{Change: shorter}, image.ErrCorrupt, []string{"announces 50000 bytes where the manifest says 100000"}, 0},
		{"broken for ever", regtest.Fault{Cut: true}, nil, []string{"ends the connection after 0 of 100000 bytes (tried 6 times)"}, 5},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			settled(t)
			s := regtest.New(t, regtest.Config{Fault: faultOn(layer, 1000, test.fault)})
			ref := s.Push(t, "app:1", blobsImage(t, layer))
			o := quick(t)
			waits := new(sleeps)
			o.Sleep = waits.sleep
			img := mustOpen(t, ref, o)
			_, err := readLayer(t.Context(), img.Layers[0])
			checkError(t, err, test.kind, test.text, "")
			if len(waits.waits) != test.waits {
				t.Errorf("%d retries, want %d", len(waits.waits), test.waits)
			}
		})
	}
}

// A body without a length that goes on for ever is read up to the blob's size.
func TestNeverMoreThanAnnounced(t *testing.T) {
	settled(t)
	layer := noise(1, 100_000)
	s := regtest.New(t, regtest.Config{Fault: faultOn(layer, 1, regtest.Fault{
		Chunked: true, Change: func(b []byte) []byte { return append(bytes.Clone(b), make([]byte, 4<<20)...) },
	})})
	ref := s.Push(t, "app:1", blobsImage(t, layer))
	checkLayers(t, mustOpen(t, ref, quick(t)), layer)
}

// A layer that failed is tried again when it is opened again, from where it
// broke.
func TestOpenAfterFailure(t *testing.T) {
	settled(t)
	layer := noise(1, 100_000)
	var down atomic.Bool
	down.Store(true)
	s := regtest.New(t, regtest.Config{Fault: func(r regtest.Request) regtest.Fault {
		switch {
		case !down.Load():
			return regtest.Fault{}
		case r.N == 1:
			return faultOn(layer, 1, regtest.Fault{Cut: true, After: 40_000})(r)
		}
		return faultOn(layer, 1000, status(503, ""))(r)
	}})
	ref := s.Push(t, "app:1", blobsImage(t, layer))
	img := mustOpen(t, ref, quick(t))
	b, err := img.Layers[0].Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(layer))
	n, err := b.ReadAt(got, 0)
	if err == nil || n != 40_000 || !bytes.Equal(got[:n], layer[:n]) {
		t.Errorf("read %d bytes and %v, want the 40,000 that arrived and an error", n, err)
	}
	if n, err := b.ReadAt(got[:1000], 39_000); n != 1000 || err != nil {
		t.Errorf("bytes that are there: %d and %v", n, err)
	}
	b.Close()
	down.Store(false)
	checkLayers(t, img, layer)
	if got := s.Sent(digest.FromBytes(layer).String()); got != 100_000 {
		t.Errorf("the registry sent %d bytes", got)
	}
}

func TestWaits(t *testing.T) {
	layer := noise(1, 1000)
	tests := []struct {
		name  string
		fault regtest.Fault
		want  []time.Duration
	}{
		{"doubling", status(500, ""), []time.Duration{375e6, 750e6, 1500e6, 3e9}},
		{"seconds", status(429, "", "Retry-After", "7"), []time.Duration{7e9, 7e9, 7e9, 7e9}},
		{"shorter than ours", status(503, "", "Retry-After", "1"), []time.Duration{1e9, 1e9, 1500e6, 3e9}},
		{"date", status(503, "", "Retry-After", "Sun, 06 Nov 1994 08:50:37 GMT", "Date", "Sun, 06 Nov 1994 08:49:37 GMT"),
			[]time.Duration{60e9, 60e9, 60e9, 60e9}},
		{"nonsense", status(503, "", "Retry-After", "-1"), []time.Duration{375e6, 750e6, 1500e6, 3e9}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			settled(t)
			s := regtest.New(t, regtest.Config{Fault: faultOn(layer, 4, test.fault)})
			ref := s.Push(t, "app:1", blobsImage(t, layer))
			waits := new(sleeps)
			o := quick(t)
			o.Sleep = waits.sleep
			o.Jitter = func() float64 { return 0.5 }
			var told []Retry
			o.OnRetry = func(r Retry) { told = append(told, r) }
			checkLayers(t, mustOpen(t, ref, o), layer)
			if !slices.Equal(waits.waits, test.want) {
				t.Errorf("waited %v, want %v", waits.waits, test.want)
			}
			for i, r := range told {
				if r.Failures != i+1 || r.Wait != test.want[i] || r.Subject != "layer "+digest.FromBytes(layer).String() || r.Err == nil {
					t.Errorf("told of %+v", r)
				}
			}
		})
	}
}

// A body that stops is cut off and resumed.
func TestStall(t *testing.T) {
	settled(t)
	layer := noise(1, 200_000)
	s := regtest.New(t, regtest.Config{Fault: faultOn(layer, 2, regtest.Fault{Stall: true, After: 50_000})})
	ref := s.Push(t, "app:1", blobsImage(t, layer))
	o := quick(t)
	o.StallTimeout = 500 * time.Millisecond
	var told []Retry
	o.OnRetry = func(r Retry) { told = append(told, r) }
	checkLayers(t, mustOpen(t, ref, o), layer)
	if got := s.Sent(digest.FromBytes(layer).String()); got != 200_000 && len(told) == 2 {
		t.Errorf("the registry sent %d bytes", got)
	}
	for _, r := range told {
		if !strings.Contains(r.Err.Error(), "nothing received for 500ms") {
			t.Errorf("retried for %v", r.Err)
		}
	}
}

// Neither credentials nor tokens go to the host that a blob is redirected to.
func TestRedirectWithoutCredentials(t *testing.T) {
	for name, auth := range map[string]regtest.Auth{"basic": regtest.Basic, "token": regtest.Token} {
		t.Run(name, func(t *testing.T) {
			settled(t)
			layer := noise(1, 100_000)
			s := regtest.New(t, regtest.Config{Auth: auth, CDN: true, Fault: faultOn(layer, 1, regtest.Fault{Cut: true, After: 10})})
			ref := s.Push(t, "app:1", blobsImage(t, layer))
			o := quick(t)
			o.User, o.Password = regtest.User, regtest.Password
			o.OnRetry = func(r Retry) {
				if strings.Contains(r.Err.Error(), "secret") {
					t.Errorf("the error shows a signature: %v", r.Err)
				}
			}
			checkLayers(t, mustOpen(t, ref, o), layer)
			seen := 0
			for _, r := range s.Requests() {
				if r.Host != "cdn" {
					continue
				}
				seen++
				for key, values := range r.Header {
					if key == "Authorization" || key == "Referer" || key == "Cookie" || strings.Contains(strings.Join(values, " "), "Bearer") {
						t.Errorf("the second host got %s: %q", key, values)
					}
				}
			}
			if seen != 3 { // the configuration, and the layer twice
				t.Errorf("%d requests to the second host, want 3", seen)
			}
		})
	}
}

func TestRedirectsRefused(t *testing.T) {
	layer := noise(1, 1000)
	path := "/v2/app/blobs/" + digest.FromBytes(layer).String()
	tests := []struct {
		name, location string
		text           string
	}{
		{"in a loop", path, "redirected more than 10 times"},
		{"to a file", "file:///etc/passwd", `address of type "file"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			settled(t)
			s := regtest.New(t, regtest.Config{Fault: faultOn(layer, 1000, status(307, "", "Location", test.location))})
			ref := s.Push(t, "app:1", blobsImage(t, layer))
			img := mustOpen(t, ref, quick(t))
			_, err := readLayer(t.Context(), img.Layers[0])
			checkError(t, err, nil, []string{test.text}, "")
		})
	}
}

func TestCheckRedirect(t *testing.T) {
	tests := []struct {
		from, to string
		insecure bool
		text     string // empty: followed
	}{
		{"https://registry.example/v2/", "https://cdn.example/x", false, ""},
		{"https://registry.example/v2/", "http://cdn.example/x", false, "from HTTPS to HTTP"},
		{"https://registry.example/v2/", "http://cdn.example/x", true, ""},
		{"https://registry.example/v2/", "https://169.254.169.254/x", false, "private address"},
		{"https://registry.example/v2/", "https://[::ffff:10.0.0.1]:5000/x", false, "private address"},
		{"https://registry.example/v2/", "https://localhost/x", false, "private address"},
		{"https://registry.example/v2/", "https://10.0.0.1/x", true, ""},
		{"https://10.0.0.2/v2/", "https://10.0.0.1/x", false, ""},
		{"http://10.0.0.2/v2/", "http://10.0.0.1/x", false, ""},
	}
	for _, test := range tests {
		s := &session{insecure: test.insecure}
		to, err := http.NewRequest(http.MethodGet, test.to, nil)
		if err != nil {
			t.Fatal(err)
		}
		from, err := http.NewRequest(http.MethodGet, test.from, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = s.checkRedirect(to, []*http.Request{from})
		if (err == nil) != (test.text == "") || err != nil && !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s to %s: %v", test.from, test.to, err)
		}
	}
}

// A pull through many faults of many kinds ends with the right bytes.
func TestManyFaults(t *testing.T) {
	settled(t)
	var layers [][]byte
	for i := range 10 {
		layers = append(layers, noise(byte(i), 100_000+i))
	}
	faults := []regtest.Fault{
		{Cut: true, After: 1}, status(500, ""), {Cut: true, After: 9_999}, status(429, "", "Retry-After", "3"),
		{Cut: true}, status(502, "<html>"), {Stall: true, After: 12_345}, status(503, ""), {Chunked: true, Cut: true, After: 20_000}, status(408, ""),
	}
	var happened atomic.Int64
	s := regtest.New(t, regtest.Config{Auth: regtest.Token, TokenUses: 3, CDN: true, Fault: func(r regtest.Request) regtest.Fault {
		for i, l := range layers {
			if r.N <= len(faults) && strings.HasSuffix(r.Path, digest.FromBytes(l).String()) {
				happened.Add(1)
				return faults[(r.N+i)%len(faults)]
			}
		}
		return regtest.Fault{}
	}})
	o := quick(t)
	o.User, o.Password = regtest.User, regtest.Password
	o.StallTimeout = 100 * time.Millisecond
	o.Retries = 20
	checkLayers(t, mustOpen(t, s.Push(t, "app:1", blobsImage(t, layers...)), o), layers...)
	t.Logf("%d faults", happened.Load())
	if happened.Load() < 100 {
		t.Errorf("only %d faults", happened.Load())
	}
}
