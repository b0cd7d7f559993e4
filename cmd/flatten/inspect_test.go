// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/seed-81b0d42e/flatten/internal/regtest"
)

// Looking at an image asks a registry for its configuration, never for a layer.
func TestNoLayerIsFetched(t *testing.T) {
	host := serve(t, "../../fixtures/hello", regtest.Anonymous)
	forward := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: host})
	var mu sync.Mutex
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.URL.Path)
		mu.Unlock()
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	ref := strings.TrimPrefix(server.URL, "http://") + "/hello"

	var images []inspection
	if err := json.Unmarshal([]byte(flattenCommand(t, "inspect", ref)), &images); err != nil {
		t.Fatal(err)
	}
	flattenCommand(t, "history", "--no-cache", ref)
	flattenCommand(t, "history", "--no-cache", "--json", ref)

	paths := strings.Join(asked, "\n")
	if n := strings.Count(paths, images[0].ID); n != 3 {
		t.Errorf("the configuration was fetched %d times, want 3:\n%s", n, paths)
	}
	for _, l := range images[0].Layers {
		if strings.Contains(paths, l.Digest) {
			t.Errorf("layer %s was asked for:\n%s", l.Digest, paths)
		}
	}
	if len(images[0].Layers) != 5 {
		t.Errorf("%d layers, want 5", len(images[0].Layers))
	}
}

// A password from standard input is read once, for however many images.
func TestPasswordIsReadOnce(t *testing.T) {
	host := serve(t, "../../fixtures/hello", regtest.Anonymous)
	forward := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: host})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "me" || password != "a:b" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	ref := strings.TrimPrefix(server.URL, "http://") + "/hello"
	var stdout, stderr bytes.Buffer
	code := run(context.Background(), process{
		args: []string{"inspect", "-f", "{{.Os}}", "--creds", "me", ref, ref}, getenv: func(string) string { return "" },
		stdin: strings.NewReader("a:b\n"), stdout: &stdout, stderr: &stderr,
	})
	if code != 0 || stdout.String() != "linux\nlinux\n" {
		t.Errorf("exit code %d, %q, %s", code, &stdout, &stderr)
	}
}
