// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten/internal/regtest"
	"github.com/seed-81b0d42e/flatten/internal/tartest"
)

var chaosSeed = flag.Uint64("chaos", 1, "the seed of the random faults of registries")

// outcome is how a run of the command ended.
type outcome struct {
	code           int
	stdout, stderr string
}

// processOf is a run of the command as a process of its own, with nothing of
// the user's.
func processOf(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("flatten")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = []string{"HOME=/nonexistent", "PATH=" + os.Getenv("PATH"), "XDG_CACHE_HOME=" + t.TempDir()}
	return cmd
}

func finish(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// flattened runs the command and returns the name of its output.
func flattened(t *testing.T, args ...string) string {
	t.Helper()
	o := finish(t, processOf(t, append([]string{"-q", "-o", t.TempDir()}, args...)...))
	if o.code != 0 {
		t.Fatalf("%q: exit %d: %s", args, o.code, o.stderr)
	}
	return filepath.Base(strings.TrimSpace(o.stdout))
}

func checkNothingIn(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Error(err)
		}
		for _, e := range entries {
			t.Errorf("left in a folder: %s", e.Name())
		}
	}
}

// largeLayers do not compress.
func largeLayers(n, size int) []tartest.Blob {
	random := rand.NewChaCha8([32]byte{})
	layers := make([]tartest.Blob, n)
	for i := range layers {
		body := make([]byte, size)
		_, _ = io.ReadFull(random, body)
		layers[i] = tartest.Layer(tartest.File("shared", fmt.Sprint(i)), tartest.File(fmt.Sprintf("file%d", i), string(body))).Gzip()
	}
	return layers
}

// The command gets through 100 random faults with its own limits and waits, and
// fetches no byte twice.
func TestPullThroughFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("waits between retries")
	}
	layers := largeLayers(10, 400_000)
	quiet := regtest.New(t, regtest.Config{})
	want := flattened(t, quiet.Push(t, "app:1", regtest.Image(t, layers...)))
	for _, name := range []string{"flatten", "pull"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			chaos := &regtest.Chaos{Seed: *chaosSeed, Kinds: regtest.Breaks | regtest.Connections, Faults: 100, Patience: 1}
			var size, sent int64
			for _, l := range layers {
				chaos.Layers = append(chaos.Layers, digest.FromBytes(l.Stored))
				size += int64(len(l.Stored))
			}
			s := regtest.New(t, regtest.Config{Auth: regtest.Token, TokenUses: 20, CDN: true, Fault: chaos.Fault})
			ref := "docker://" + s.Push(t, "app:1", regtest.Image(t, layers...))
			creds := "--creds=" + regtest.User + ":" + regtest.Password
			var got, shown string
			if name == "flatten" {
				o := finish(t, processOf(t, creds, "--jobs", "10", "-o", t.TempDir(), ref))
				got, shown = filepath.Base(strings.TrimSpace(o.stdout)), o.stderr
			} else {
				store := "oci:" + filepath.Join(t.TempDir(), "store")
				o := finish(t, processOf(t, "pull", creds, "--jobs", "10", ref, store))
				shown = o.stderr
				if o.code != 0 {
					t.Fatalf("exit %d: %s", o.code, o.stderr)
				}
				got = flattened(t, store)
			}
			if got != want {
				t.Errorf("the output is %q, want %q\n%s", got, want, shown)
			}
			for _, d := range chaos.Layers {
				sent += s.Sent(d.String())
			}
			retries := strings.Count(shown, "; trying again in ")
			t.Logf("seed %d: %d faults, %d retries shown, %d of %d bytes sent again", chaos.Seed, chaos.Happened(), retries, sent-size, size)
			if chaos.Happened() < 100 || sent != size || retries == 0 {
				t.Errorf("seed %d: want 100 faults, retries, and every byte once\n%s", chaos.Seed, shown)
			}
			if strings.Contains(shown, regtest.Password) || strings.Contains(shown, "signature") {
				t.Errorf("shows a secret: %s", shown)
			}
		})
	}
}

// Ctrl-C ends a run that waits for a registry, whatever it waits for, and nothing
// is left.
func TestInterruptWhileStalled(t *testing.T) {
	layers := largeLayers(1, 200_000)
	id := digest.FromBytes(layers[0].Stored).String()
	waits := map[string]regtest.Fault{
		"nothing comes": {Stall: true},
		"a byte comes":  {Stall: true, After: 1},
		"the next try":  {Status: 429, Header: http.Header{"Retry-After": {"100"}}},
	}
	for step, is := range map[string]func(regtest.Request) bool{
		"first request": func(r regtest.Request) bool { return r.Path == "/v2/" },
		"token":         func(r regtest.Request) bool { return r.Path == "/token" },
		"manifest":      func(r regtest.Request) bool { return strings.Contains(r.Path, "/manifests/") },
		"configuration": func(r regtest.Request) bool { return r.IsBlob && !strings.HasSuffix(r.Path, id) },
		"layer":         func(r regtest.Request) bool { return r.IsBlob && strings.HasSuffix(r.Path, id) },
	} {
		for wait, fault := range waits {
			for _, command := range []string{"flatten", "pull"} {
				t.Run(step+"/"+wait+"/"+command, func(t *testing.T) {
					reached := make(chan struct{}, 100)
					s := regtest.New(t, regtest.Config{Auth: regtest.Token, Fault: func(r regtest.Request) regtest.Fault {
						if !is(r) {
							return regtest.Fault{}
						}
						reached <- struct{}{}
						return fault
					}})
					ref := "docker://" + s.Push(t, "app:1", regtest.Image(t, layers...))
					out, tmp := t.TempDir(), t.TempDir()
					args := []string{"--creds=" + regtest.User + ":" + regtest.Password, "--tmpdir", tmp, "-o", out, ref}
					if command == "pull" {
						args = []string{"pull", args[0], "--tmpdir", tmp, ref, "oci:" + filepath.Join(t.TempDir(), "store")}
					}
					interruptOnce(t, processOf(t, args...), reached)
					checkNothingIn(t, out, tmp)
				})
			}
		}
	}
}

// interruptOnce sends SIGINT to a run that has reached something.
func interruptOnce(t *testing.T, cmd *exec.Cmd, reached <-chan struct{}) {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hangs := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer hangs.Stop()
	<-reached
	time.Sleep(50 * time.Millisecond) // until the answer is there
	begin := time.Now()
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
	took := time.Since(begin)
	t.Logf("ended %v after Ctrl-C", took.Round(time.Millisecond))
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("exit %d: %s", code, stderr.String())
	}
	if took > 20*time.Second { // a second is promised; machines can be busy
		t.Errorf("ended only %v after Ctrl-C", took)
	}
	if !strings.HasSuffix(stderr.String(), "flatten: interrupted\n") {
		t.Errorf("says %q", stderr.String())
	}
}

// Bytes that are not those of their digest reach neither an output nor a store.
func TestWrongBytes(t *testing.T) {
	layers := largeLayers(2, 100_000)
	id := digest.FromBytes(layers[0].Stored).String()
	flip := func(b []byte) []byte {
		b = bytes.Clone(b)
		b[len(b)/2] ^= 1
		return b
	}
	for step, is := range map[string]func(regtest.Request) bool{
		"manifest": func(r regtest.Request) bool { return strings.Contains(r.Path, "/manifests/") },
		"configuration": func(r regtest.Request) bool {
			return r.IsBlob && !strings.Contains(r.Path, "/blobs/"+id) && r.Header.Get("Range") == ""
		},
		"layer": func(r regtest.Request) bool { return strings.HasSuffix(r.Path, id) },
	} {
		t.Run(step, func(t *testing.T) {
			s := regtest.New(t, regtest.Config{Fault: func(r regtest.Request) regtest.Fault {
				if is(r) {
					return regtest.Fault{Change: flip}
				}
				return regtest.Fault{}
			}})
			img := regtest.Image(t, layers...)
			s.Push(t, "app:1", img)
			name, err := img.Digest()
			if err != nil {
				t.Fatal(err)
			}
			ref := "docker://" + s.Host + "/app@" + name.String()
			out, tmp := t.TempDir(), t.TempDir()
			if o := finish(t, processOf(t, "-q", "-o", out, "--tmpdir", tmp, ref)); o.code != exitCorrupt || o.stdout != "" {
				t.Errorf("exit %d: %s%s", o.code, o.stdout, o.stderr)
			}
			checkNothingIn(t, out, tmp)
			store := filepath.Join(t.TempDir(), "store")
			if o := finish(t, processOf(t, "pull", ref, "oci:"+store)); o.code != exitCorrupt || o.stdout != "" {
				t.Errorf("pull: exit %d: %s%s", o.code, o.stdout, o.stderr)
			}
			blobs, err := filepath.Glob(filepath.Join(store, "blobs", "sha256", strings.Repeat("[0-9a-f]", 64)))
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range blobs {
				b, err := os.ReadFile(path)
				if err != nil || digest.FromBytes(b).Encoded() != filepath.Base(path) {
					t.Errorf("%s has other bytes: %v", filepath.Base(path), err)
				}
			}
		})
	}
}

// The environment's proxy is used, and its password is not shown.
func TestProxyOfTheEnvironment(t *testing.T) {
	s := regtest.New(t, regtest.Config{})
	image := regtest.Image(t, largeLayers(1, 1000)...)
	want := flattened(t, s.Push(t, "app:1", image))
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", s.Host }}
	allowed := "Basic " + base64.StdEncoding.EncodeToString([]byte("bob:secret"))
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect || r.Header.Get("Proxy-Authorization") != allowed {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	dead := httptest.NewServer(nil)
	dead.Close()
	host, deadHost := strings.TrimPrefix(proxy.URL, "http://"), strings.TrimPrefix(dead.URL, "http://")
	for _, test := range []struct{ name, proxy, want, hint string }{
		{"used", "http://bob:secret@" + host, "", ""},
		{"refuses", "http://eve:secret@" + host, "407 Proxy Authentication Required", "USER:PASSWORD"},
		{"not there", "http://bob:secret@" + deadHost, "connection refused", "HTTPS_PROXY"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cmd := processOf(t, "-q", "--insecure", "-o", t.TempDir(), "registry.example/app:1")
			cmd.Env = append(cmd.Env, "HTTP_PROXY="+test.proxy, "HTTPS_PROXY="+test.proxy)
			o := finish(t, cmd)
			if test.want == "" {
				if o.code != 0 || filepath.Base(strings.TrimSpace(o.stdout)) != want {
					t.Errorf("exit %d: %s%s", o.code, o.stdout, o.stderr)
				}
				return
			}
			if o.code != exitFailed || !strings.Contains(o.stderr, test.want) || !strings.Contains(o.stderr, test.hint) {
				t.Errorf("exit %d: %s", o.code, o.stderr)
			}
			if strings.Contains(o.stderr, "secret") || strings.Contains(o.stderr, "trying again") {
				t.Errorf("shows a password or tries again: %s", o.stderr)
			}
		})
	}
}
