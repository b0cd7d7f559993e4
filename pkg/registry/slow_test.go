// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten/internal/regtest"
)

// A server that sends a byte now and then, so that it never stalls, is too slow. The
// layer is asked for again from there, and again, and then the pull ends.
func TestSlowForEver(t *testing.T) {
	settled(t)
	layer := noise(1, 100_000)
	s := regtest.New(t, regtest.Config{Fault: faultOn(layer, 1000, regtest.Fault{Pause: 10 * time.Millisecond})})
	ref := s.Push(t, "app:1", blobsImage(t, layer))
	o := quick(t)
	o.SlowBytes, o.SlowWindow = 1000, 200*time.Millisecond
	waits := new(sleeps)
	o.Sleep = waits.sleep
	img := mustOpen(t, ref, o)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := readLayer(ctx, img.Layers[0])
	checkError(t, err, nil, []string{"layer sha256:", "too slow: ", " bytes in 200ms, where 1000 are the least (tried 6 times)"}, "")
	if len(waits.waits) != 5 {
		t.Errorf("%d retries, want 5", len(waits.waits))
	}
	var ranges []string
	for _, r := range s.Requests() {
		if r.IsBlob && strings.HasSuffix(r.Path, digest.FromBytes(layer).String()) {
			ranges = append(ranges, r.Header.Get("Range"))
		}
	}
	for i, r := range ranges[1:] {
		if r == "" || r == ranges[i] {
			t.Errorf("request %d is for %q, after one for %q", i+2, r, ranges[i])
		}
	}
}

// A slow server is left for a faster one, or for itself, and what it sent is kept.
func TestSlowAtFirst(t *testing.T) {
	settled(t)
	layer := noise(1, 100_000)
	s := regtest.New(t, regtest.Config{Fault: faultOn(layer, 2, regtest.Fault{Pause: 10 * time.Millisecond})})
	o := quick(t)
	o.SlowBytes, o.SlowWindow = 1000, 200*time.Millisecond
	checkLayers(t, mustOpen(t, s.Push(t, "app:1", blobsImage(t, layer)), o), layer)
	if got := s.Sent(digest.FromBytes(layer).String()); got < 100_000 || got > 100_004 {
		t.Errorf("the registry sent %d bytes", got)
	}
}

// Any speed will do when no least one is set, and one that is just enough.
func TestSlowEnough(t *testing.T) {
	for name, least := range map[string]int64{"any": -1, "a byte": 1} {
		t.Run(name, func(t *testing.T) {
			settled(t)
			layer := noise(1, 100)
			s := regtest.New(t, regtest.Config{Fault: faultOn(layer, 1, regtest.Fault{Pause: 10 * time.Millisecond})})
			o := quick(t)
			o.Retries = -1
			o.SlowBytes, o.SlowWindow = least, 400*time.Millisecond
			checkLayers(t, mustOpen(t, s.Push(t, "app:1", blobsImage(t, layer)), o), layer)
		})
	}
}

// slowWriter takes its time, more than a server may.
type slowWriter struct {
	pause time.Duration
	n     int
}

func (w *slowWriter) Write(p []byte) (int, error) {
	time.Sleep(w.pause)
	w.n += len(p)
	return len(p), nil
}

// It is not the server's fault when nobody takes what it sends.
func TestSlowReader(t *testing.T) {
	settled(t)
	layer := noise(1, 500_000)
	s := regtest.New(t, regtest.Config{})
	o := quick(t)
	o.Retries = -1
	o.StallTimeout, o.SlowBytes, o.SlowWindow = 500*time.Millisecond, 10<<20, 500*time.Millisecond
	root := mustOpenRoot(t, s.Push(t, "app:1", blobsImage(t, layer)), o)
	w := &slowWriter{pause: 700 * time.Millisecond}
	if err := root.Copy(t.Context(), layerOf(t, root), int64(len(layer)-150_000), w); err != nil || w.n != 150_000 {
		t.Errorf("%d bytes and %v", w.n, err)
	}
}

// A server that sends all of a layer and then keeps its stream open is not waited
// for.
func TestStreamWithoutEnd(t *testing.T) {
	settled(t)
	layer := noise(1, 1000)
	s := regtest.New(t, regtest.Config{TLS: true, Fault: faultOn(layer, 1, regtest.Fault{Stall: true, After: 1000})})
	o := quick(t)
	o.Insecure, o.StallTimeout = true, time.Hour
	root := mustOpenRoot(t, s.Push(t, "app:1", blobsImage(t, layer)), o)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := root.Copy(ctx, layerOf(t, root), 0, io.Discard); err != nil {
		t.Error(err)
	}
}

// silent listens and says nothing, also when spoken to.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var accepted []net.Conn
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			accepted = append(accepted, c)
			mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, c := range accepted {
			_ = c.Close()
		}
	})
	return l.Addr().String()
}

// Each phase of a connection has its own limit, which ends it long before the
// others would.
func TestTimeouts(t *testing.T) {
	const soon = 100 * time.Millisecond
	tests := []struct {
		name string
		set  func(*Options)
		text string
	}{
		{"TLS", func(o *Options) { o.ConnectTimeout = soon }, "TLS handshake timeout"},
		{"everything", func(o *Options) { o.StallTimeout = soon }, "nothing received for 100ms"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			settled(t)
			o := quick(t)
			o.Retries = 1
			o.StallTimeout = 3 * time.Second
			test.set(&o)
			transport := newTransport(&o)
			defer transport.CloseIdleConnections()
			to := silent(t)
			transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, to)
			}
			o.Transport = transport
			_, err := Open(t.Context(), "registry.example/app:1", o) // a public name: HTTPS alone
			checkError(t, err, nil, []string{test.text, "(tried 2 times)"}, "")
		})
	}
	t.Run("headers", func(t *testing.T) {
		settled(t)
		o := quick(t)
		o.Retries, o.HeaderTimeout = 1, soon
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v2/" {
				<-r.Context().Done()
			}
		})
		hangs := httptest.NewServer(handler)
		defer hangs.Close()
		_, err := Open(t.Context(), strings.TrimPrefix(hangs.URL, "http://")+"/app:1", o)
		checkError(t, err, nil, []string{"timeout awaiting response headers (tried 2 times)"}, "")
	})
	t.Run("connecting", func(t *testing.T) {
		settled(t)
		o := quick(t)
		o.Retries, o.ConnectTimeout = 1, time.Nanosecond
		_, err := Open(t.Context(), silent(t)+"/app:1", o)
		checkError(t, err, nil, []string{"i/o timeout (tried 2 times)"}, "")
	})
}
