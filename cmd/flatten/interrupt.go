// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// grace is how long an interrupted run may clean up. One that is blocked by a pipe
// that nobody writes to, or reads from, never would: it is ended, and what it leaves
// the next run removes.
const grace = time.Second

// interruptible is run until a signal interrupts it. A second signal ends the
// process at once.
func interruptible(p process) int {
	// A pipe whose reader is gone is an error like any other.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := interruption()
	defer stop()
	context.AfterFunc(ctx, stop)
	code := make(chan int, 1)
	go func() { code <- run(ctx, p) }()
	select {
	case c := <-code:
		return c
	case <-ctx.Done():
	}
	select {
	case c := <-code:
		return c
	case <-time.After(grace):
		u := &ui{stderr: p.stderr}
		u.fail(explain(ctx, ctx.Err()))
		return exitCode(ctx, ctx.Err())
	}
}

// interruption is a context that a signal ends: any of three, but for those that
// whoever started the process has ignored, as nohup does with SIGHUP.
func interruption() (context.Context, context.CancelFunc) {
	var list []os.Signal
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			list = append(list, s)
		}
	}
	if len(list) == 0 { // which would mean all signals
		return context.WithCancel(context.Background())
	}
	return signal.NotifyContext(context.Background(), list...)
}
