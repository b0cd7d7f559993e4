// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-81b0d42e/flatten/internal/regtest"
)

// openFiles are the file descriptors of this process and what they are.
func openFiles(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err != nil || strings.HasPrefix(target, "anon_inode:") { // the folder itself, and those of Go's poller
			continue
		}
		files = append(files, e.Name()+" "+target)
	}
	return files
}

// However a pull ends, its connections, files and goroutines end with it, while the
// registry goes on.
func TestNothingLeaks(t *testing.T) {
	layers := [][]byte{noise(1, 200_000), noise(2, 200_000), noise(3, 200_000)}
	stalls := func(r regtest.Request) regtest.Fault {
		return regtest.Fault{Stall: r.IsBlob, After: 100_000}
	}
	interrupted := errors.New("interrupted")
	pull := func(ctx context.Context, ref string, o Options) error {
		img, err := Open(ctx, ref, o)
		if err != nil {
			return err
		}
		defer img.Close()
		for _, l := range img.Layers {
			if _, err := readLayer(ctx, l); err != nil {
				return err
			}
		}
		return nil
	}
	tests := []struct {
		name  string
		tag   string
		fault func(regtest.Request) regtest.Fault
		end   time.Duration // when the context ends, 0 for never
		fails bool
	}{
		{"success", "1", nil, 0, false},
		{"no such image", "2", nil, 0, true},
		{"breaks for ever", "1", faultOn(layers[1], 1000, regtest.Fault{Cut: true, After: 10}), 0, true},
		{"dropped for ever", "1", faultOn(layers[1], 1000, regtest.Fault{Drop: true}), 0, true},
		{"another size", "1", faultOn(layers[1], 1000, regtest.Fault{Length: 5}), 0, true},
		{"an error that goes on", "1", faultOn(layers[1], 1000, regtest.Fault{Status: 404, Body: strings.Repeat("x", 1<<20)}), 0, true},
		{"cancelled in a layer", "1", stalls, 200 * time.Millisecond, true},
		{"cancelled at the first request", "1", func(regtest.Request) regtest.Fault { return regtest.Fault{Stall: true} }, 100 * time.Millisecond, true},
	}
	for _, secure := range []bool{false, true} {
		for _, test := range tests {
			t.Run(fmt.Sprintf("%s/tls=%v", test.name, secure), func(t *testing.T) {
				settled(t)
				s := regtest.New(t, regtest.Config{TLS: secure, Auth: regtest.Token, Fault: test.fault})
				s.Push(t, "app:1", blobsImage(t, layers...))
				before := openFiles(t)
				o := quick(t)
				o.Insecure = secure
				o.User, o.Password = regtest.User, regtest.Password
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if test.end > 0 {
					timer := time.AfterFunc(test.end, func() { cancel(interrupted) })
					defer timer.Stop()
				}
				err := pull(ctx, s.Host+"/app:"+test.tag, o)
				if (err != nil) != test.fails || test.end > 0 && !errors.Is(err, interrupted) {
					t.Errorf("error %v", err)
				}
				checkEmpty(t, o.TmpDir)
				var after []string
				for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
					after = slices.DeleteFunc(openFiles(t), func(f string) bool { return slices.Contains(before, f) })
					if len(after) == 0 {
						return
					}
				}
				t.Errorf("still open: %q", after)
			})
		}
	}
}
