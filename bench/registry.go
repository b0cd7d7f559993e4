// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// repository is what the registry calls the layout.
const repository = "bench"

// serveCommand is "bench serve DIR": a registry on loopback that hands out the
// images of a layout. It prints its address and ends with its standard input.
//
// It is a process of its own so that its work counts for nobody, and only sends
// files, so that it holds nobody up.
func serveCommand(args []string, stdout io.Writer) error {
	if len(args) != 1 {
		return errors.New("serve: it takes the folder of a layout")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: layoutRegistry(args[0]), ReadHeaderTimeout: time.Minute}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = server.Close()
	}()
	if _, err := fmt.Fprintln(stdout, listener.Addr()); err != nil {
		return err
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// layoutRegistry answers what pulling takes: /v2/, manifests and blobs.
func layoutRegistry(dir string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Docker-Distribution-API-Version", "registry/2.0")
	})
	mux.HandleFunc("GET /v2/"+repository+"/manifests/{name}", func(w http.ResponseWriter, r *http.Request) {
		d, mediaType, err := findManifest(dir, r.PathValue("name"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		sendBlob(w, r, dir, d, mediaType)
	})
	mux.HandleFunc("GET /v2/"+repository+"/blobs/{digest}", func(w http.ResponseWriter, r *http.Request) {
		d, err := digest.Parse(r.PathValue("digest"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		sendBlob(w, r, dir, d, "application/octet-stream")
	})
	return mux
}

// findManifest looks a tag or digest up.
func findManifest(dir, name string) (digest.Digest, string, error) {
	if d, err := digest.Parse(name); err == nil {
		var m struct{ MediaType string }
		err := readJSON(blobPath(dir, d), &m)
		return d, m.MediaType, err
	}
	img, err := openImage("oci:" + dir + ":" + name)
	if err != nil {
		return "", "", err
	}
	return img.descriptor.Digest, img.descriptor.MediaType, nil
}

func sendBlob(w http.ResponseWriter, r *http.Request, dir string, d digest.Digest, mediaType string) {
	f, err := os.Open(blobPath(dir, d))
	if err != nil {
		http.Error(w, "no such blob", http.StatusNotFound)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Docker-Content-Digest", d.String())
	http.ServeContent(w, r, filepath.Base(f.Name()), time.Time{}, f)
}

// startRegistry starts "bench serve" and returns its host and what ends it.
func startRegistry(ctx context.Context, self, dir string) (host string, stop func(), err error) {
	cmd := exec.CommandContext(ctx, self, "serve", dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("starting the registry: %w", err)
	}
	return strings.TrimSpace(line), stop, nil
}
