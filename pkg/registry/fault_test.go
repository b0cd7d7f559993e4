// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten/internal/regtest"
)

// step is a kind of request that a pull makes.
type step struct {
	name string
	is   func(regtest.Request) bool
}

// pullSteps are the steps of a pull of an image with this layer.
func pullSteps(layer []byte) []step {
	id := digest.FromBytes(layer).String()
	return []step{
		{"first request", func(r regtest.Request) bool { return r.Path == "/v2/" }},
		{"token", func(r regtest.Request) bool { return r.Path == "/token" }},
		{"manifest", func(r regtest.Request) bool { return strings.Contains(r.Path, "/manifests/") }},
		{"configuration", func(r regtest.Request) bool { return r.IsBlob && !strings.HasSuffix(r.Path, id) }},
		{"layer", func(r regtest.Request) bool { return r.IsBlob && strings.HasSuffix(r.Path, id) }},
	}
}

// passingFaults go away when the request is made again.
func passingFaults() map[string]regtest.Fault {
	return map[string]regtest.Fault{
		"dropped":             {Drop: true},
		"reset":               {Reset: true},
		"cut in the status":   {HeadersCut: 5},
		"cut in a header":     {HeadersCut: 30},
		"cut before a body":   {HeadersCut: 90},
		"cut at byte 0":       {Cut: true},
		"cut at byte 1":       {Cut: true, After: 1},
		"cut at byte 100":     {Cut: true, After: 100},
		"stalls":              {Stall: true},
		"stalls at byte 1":    {Stall: true, After: 1},
		"a byte now and then": {Pause: 40 * time.Millisecond},
		"408":                 status(408, ""),
		"425":                 status(425, ""),
		"429":                 status(429, "", "Retry-After", "3"),
		"500":                 status(500, "<html>"),
		"502":                 status(502, "<html>"),
		"503":                 status(503, `{"errors":[{"code":"UNAVAILABLE"}]}`),
		"504":                 status(504, ""),
		"error without end":   {Status: 500, Stall: true},
	}
}

// impatient are options with small timeouts, for servers that stall.
func impatient(t *testing.T) Options {
	o := quick(t)
	o.User, o.Password = regtest.User, regtest.Password
	o.StallTimeout, o.SlowWindow = 400*time.Millisecond, 400*time.Millisecond
	return o
}

// Whatever breaks, and wherever in a pull, it goes on with the next request, and a
// layer where it broke: every byte of it is sent once.
func TestEveryFaultEverywhere(t *testing.T) {
	settled(t)
	layer := noise(1, 2000)
	faults := passingFaults()
	for _, step := range pullSteps(layer) {
		for _, name := range slices.Sorted(maps.Keys(faults)) {
			t.Run(step.name+" "+name, func(t *testing.T) {
				t.Parallel()
				var happened atomic.Int64
				s := regtest.New(t, regtest.Config{Auth: regtest.Token, Fault: func(r regtest.Request) regtest.Fault {
					if step.is(r) && happened.Add(1) <= 2 {
						return faults[name]
					}
					return regtest.Fault{}
				}})
				o := impatient(t)
				var told atomic.Int64
				o.OnRetry = func(Retry) { told.Add(1) }
				checkLayers(t, mustOpen(t, s.Push(t, "app:1", blobsImage(t, layer)), o), layer)
				if cut := faults[name].Cut; cut && step.name == "first request" || cut && step.name == "token" && faults[name].After == 100 {
					return // nobody needs what is missing
				}
				if happened.Load() < 3 {
					t.Errorf("%d requests, of which the first 2 fail", happened.Load())
				}
				if told.Load() == 0 {
					t.Error("a retry was not shown")
				}
				most := int64(len(layer))
				if faults[name].Pause > 0 {
					most += 4 // two each time that were under way when the client had enough
				}
				if got := s.Sent(digest.FromBytes(layer).String()); got > most {
					t.Errorf("the registry sent %d bytes of a layer of %d", got, len(layer))
				}
			})
		}
	}
}

// The first request tries HTTPS and then HTTP where that is allowed. What counts is
// what was said in the protocol that the registry speaks.
func TestFirstRequestFails(t *testing.T) {
	limited := status(429, `{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}`, "Retry-After", "7")
	tests := []struct {
		name   string
		secure bool
		fault  regtest.Fault
		text   string // a regular expression
	}{
		{"HTTP, limited", false, limited, "answers 429 Too Many Requests: slow down"},
		{"HTTP, dropped", false, regtest.Fault{Drop: true}, "EOF|connection reset"}, // by how far the request had come
		{"HTTP, no whole answer", false, regtest.Fault{Status: 503, Body: "x", Cut: true}, "answers 503 Service Unavailable"},
		{"HTTPS, limited", true, limited, "answers 429 Too Many Requests"},
		{"HTTPS, dropped", true, regtest.Fault{Drop: true}, "EOF|connection reset"}, // by how far the request had come
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			settled(t)
			var requests atomic.Int64
			s := regtest.New(t, regtest.Config{TLS: test.secure, Auth: regtest.Basic, Fault: func(r regtest.Request) regtest.Fault {
				if r.Path == "/v2/" && requests.Add(1) <= 3 {
					return test.fault
				}
				return regtest.Fault{}
			}})
			ref := s.Push(t, "app:1", blobsImage(t))
			o := quick(t)
			o.Insecure = test.secure
			o.User, o.Password = regtest.User, regtest.Password
			var told []Retry
			o.OnRetry = func(r Retry) { told = append(told, r) }
			mustOpen(t, ref, o)
			if len(told) != 3 {
				t.Errorf("%d retries, want 3", len(told))
			}
			for _, r := range told {
				if !regexp.MustCompile(test.text).MatchString(r.Err.Error()) {
					t.Errorf("tried again for %q, want %q", r.Err, test.text)
				}
				if test.fault.Status == 429 && r.Wait != 7*time.Second {
					t.Errorf("waited %v, want the 7 s of Retry-After", r.Wait)
				}
			}
		})
	}
}

// A layer continues with ranges after an answer that had another one.
func TestRangesAgain(t *testing.T) {
	settled(t)
	layer := noise(1, 300_000)
	s := regtest.New(t, regtest.Config{Fault: func(r regtest.Request) regtest.Fault {
		faults := []regtest.Fault{{Cut: true, After: 100_000}, {Shift: 5, Cut: true}, {Cut: true, After: 200_000}, {}}
		if faultOn(layer, 4, regtest.Fault{Drop: true})(r).Drop {
			return faults[r.N-1]
		}
		return regtest.Fault{}
	}})
	checkLayers(t, mustOpen(t, s.Push(t, "app:1", blobsImage(t, layer)), quick(t)), layer)
	if got := s.Sent(digest.FromBytes(layer).String()); got != 400_000 {
		t.Errorf("the registry sent %d bytes, want 100,000 twice and the rest once", got)
	}
}
