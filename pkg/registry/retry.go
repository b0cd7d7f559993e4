// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

const (
	defaultRetries = 5
	firstWait      = 500 * time.Millisecond
	longestWait    = 15 * time.Second

	// longestRetryAfter bounds how long a registry can make a client wait. A
	// registry that asks for more is not asked again.
	longestRetryAfter = 2 * time.Minute
)

// Retry is a request that failed and is about to be made again.
type Retry struct {
	// Subject is what is being read, such as "layer sha256:12ab…".
	Subject string

	// Failures counts the attempts that failed one after another without
	// progress, this one included.
	Failures int

	// Wait is the time until the next attempt.
	Wait time.Duration

	// Err is why the attempt failed.
	Err error
}

// retrier holds the rules by which requests are made again.
type retrier struct {
	retries int
	jitter  func() float64
	sleep   func(context.Context, time.Duration) error
	notify  func(Retry)
}

// do calls f until it succeeds, fails for good or has failed too often.
func (r *retrier) do(ctx context.Context, subject string, f func() error) error {
	for failures := 1; ; failures++ {
		err := f()
		if err == nil {
			return nil
		}
		if err := r.wait(ctx, subject, failures, err); err != nil {
			return err
		}
	}
}

// wait sleeps before the next attempt after err. It returns an error, err in
// the end, when there shall be none.
func (r *retrier) wait(ctx context.Context, subject string, failures int, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !retryable(err) {
		return err
	}
	if failures > r.retries {
		if failures == 1 {
			return err
		}
		return &gaveUpError{err, failures}
	}
	wait := r.backoff(failures)
	var status *statusError
	if errors.As(err, &status) && status.retryAfter > 0 {
		if status.retryAfter > longestRetryAfter {
			return image.WithHint(fmt.Errorf("%w, and asks to wait %v", err, status.retryAfter), "try again later")
		}
		wait = max(wait, status.retryAfter)
	}
	if r.notify != nil {
		r.notify(Retry{Subject: subject, Failures: failures, Wait: wait, Err: err})
	}
	return r.sleep(ctx, wait)
}

// backoff is the wait after so many failures: doubling, of which up to half is
// left to chance.
func (r *retrier) backoff(failures int) time.Duration {
	wait := longestWait
	if shift := failures - 1; shift < 10 {
		wait = min(firstWait<<shift, longestWait)
	}
	if r.jitter == nil {
		return wait
	}
	return wait/2 + time.Duration(r.jitter()*float64(wait/2))
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// gaveUpError is the last of several errors.
type gaveUpError struct {
	err      error
	attempts int
}

func (e *gaveUpError) Error() string { return fmt.Sprintf("%v (tried %d times)", e.err, e.attempts) }
func (e *gaveUpError) Unwrap() error { return e.err }

// permanentError is an error that another attempt would meet again.
type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// retryable reports whether another attempt may succeed after err.
func retryable(err error) bool {
	var permanent *permanentError
	var local *localError
	var status *statusError
	var dns *net.DNSError
	switch {
	case errors.As(err, &permanent), errors.As(err, &local):
		return false
	case errors.Is(err, image.ErrDenied), errors.Is(err, image.ErrNotFound), errors.Is(err, image.ErrCorrupt):
		return false
	case errors.As(err, &status):
		return status.temporary()
	case errors.As(err, &dns):
		return !dns.IsNotFound
	}
	return !speaksOtherProtocol(err)
}

// refused reports whether nothing listens at the address.
func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
