// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	defaultStall  = 60 * time.Second
	defaultWindow = time.Minute

	// defaultSlow in a minute is what a modem of 9,600 bit/s has for each of
	// four downloads.
	defaultSlow = 16 << 10

	// samples is how often in a window it is looked whether somebody waits.
	samples = 20
)

// errStalled: no byte arrived for Options.StallTimeout.
var errStalled = errors.New("nothing received")

// slowError: fewer bytes than Options.SlowBytes arrived in Options.SlowWindow.
type slowError struct {
	received, least int64
	window          time.Duration
}

func (e *slowError) Error() string {
	return fmt.Sprintf("too slow: %d bytes in %v, where %d are the least", e.received, e.window, e.least)
}

// pace is how slow a server may be.
type pace struct {
	stall  time.Duration
	least  int64 // bytes in a window; 0 or less for any number
	window time.Duration
}

func (o *Options) pace() pace {
	return pace{
		stall:  cmp.Or(max(o.StallTimeout, 0), defaultStall),
		least:  cmp.Or(o.SlowBytes, defaultSlow),
		window: cmp.Or(max(o.SlowWindow, 0), defaultWindow),
	}
}

// get asks for an address. The answer's body must be closed. The request ends
// with an error when its headers have not arrived after s.pace.stall, and reading
// the body when the server is slower than s.pace.
func (s *session) get(ctx context.Context, client *http.Client, u *url.URL, header http.Header) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	stall := time.AfterFunc(s.pace.stall, func() { cancel(errStalled) })
	req := (&http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: header}).WithContext(ctx)
	resp, err := client.Do(req)
	stall.Stop()
	if err != nil {
		defer cancel(context.Canceled)
		if errors.Is(context.Cause(ctx), errStalled) {
			return nil, fmt.Errorf("%s: %w for %v", u.Host, errStalled, s.pace.stall)
		}
		return nil, plainError(err)
	}
	resp.Body = watch(ctx, cancel, s.pace, resp)
	return resp, nil
}

// watchedBody is a response body whose reads end when the server is too slow.
// Time that its reader spends elsewhere is not the server's.
type watchedBody struct {
	inner  io.ReadCloser
	host   string
	pace   pace
	ctx    context.Context // of the request
	cancel context.CancelCauseFunc
	stall  *time.Timer // runs while a Read waits
	tick   *time.Timer // a sample is due

	mu       sync.Mutex
	waiting  bool // a Read is under way
	closed   bool
	received int64 // in this window
	waited   int   // samples of this window that found a Read waiting
}

func watch(ctx context.Context, cancel context.CancelCauseFunc, p pace, resp *http.Response) *watchedBody {
	b := &watchedBody{inner: resp.Body, host: resp.Request.URL.Host, pace: p, ctx: ctx, cancel: cancel}
	b.stall = time.AfterFunc(p.stall, func() { cancel(errStalled) })
	b.stall.Stop()
	if p.least > 0 {
		b.mu.Lock()
		b.tick = time.AfterFunc(p.window/samples, b.sample)
		b.mu.Unlock()
	}
	return b
}

// sample looks whether a Read waits. After a window's worth of waiting it
// compares what has been received, and cancels the request if that is too little.
func (b *watchedBody) sample() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	if b.waiting {
		b.waited++
	}
	if b.waited == samples {
		if b.received < b.pace.least {
			b.cancel(&slowError{b.received, b.pace.least, b.pace.window})
			return
		}
		b.waited, b.received = 0, 0
	}
	b.tick.Reset(b.pace.window / samples)
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.setWaiting(true, 0)
	n, err := b.inner.Read(p)
	b.setWaiting(false, n)
	if err == nil || err == io.EOF {
		return n, err
	}
	var slow *slowError
	switch cause := context.Cause(b.ctx); {
	case errors.Is(cause, errStalled):
		err = fmt.Errorf("%w for %v", errStalled, b.pace.stall)
	case errors.As(cause, &slow):
		err = slow
	}
	return n, fmt.Errorf("%s: %w", b.host, err)
}

func (b *watchedBody) setWaiting(waiting bool, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = waiting
	b.received += int64(n)
	if waiting && !b.closed {
		b.stall.Reset(b.pace.stall)
	} else {
		b.stall.Stop()
	}
}

func (b *watchedBody) Close() error {
	b.mu.Lock()
	b.closed = true
	b.stall.Stop()
	if b.tick != nil {
		b.tick.Stop()
	}
	b.mu.Unlock()
	b.cancel(context.Canceled)
	return b.inner.Close()
}
