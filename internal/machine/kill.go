// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// Kills is how often [Kill] kills: FLATTEN_KILLS, or so few that a test takes some
// seconds.
func Kills(tb testing.TB) int {
	tb.Helper()
	text := os.Getenv("FLATTEN_KILLS")
	if text == "" {
		return 5
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		tb.Fatalf("FLATTEN_KILLS=%q: it is a number from 1", text)
	}
	return n
}

// thorough reports whether somebody asked for more than some seconds of tests.
func thorough() bool { return os.Getenv("FLATTEN_KILLS") != "" }

// Kill runs a command until it was killed [Kills] times, as kill -9 does, each time
// at another random moment of the time that it takes, and calls check after each
// run. command prepares a run from its beginning; it is called a few times more for
// runs that are timed. Runs that end before they are killed must succeed. If those
// are most, the test fails.
func Kill(tb testing.TB, command func() *exec.Cmd, check func(when string)) {
	tb.Helper()
	took := timed(tb, command)
	n, runs, killed := Kills(tb), 0, 0
	for killed < n && runs < 4*n+20 {
		at := time.Duration(1.1 * rand.Float64() * float64(took))
		cmd := command()
		began := time.Now()
		dead, err := killAfter(cmd, at)
		if err != nil {
			tb.Fatalf("%v was not killed after %v: %v", cmd, at, err)
		}
		runs++
		switch {
		case !dead: // others need the processors less than before
			took = min(took, time.Since(began))
		case at > took:
			took = at
		}
		if dead {
			killed++
		}
		check(fmt.Sprintf("killed after %v of %v", at, took))
		if tb.Failed() {
			return
		}
	}
	tb.Logf("killed %d times in %d runs of about %v", killed, runs, took.Round(time.Millisecond))
	if killed < n {
		tb.Errorf("%d of %d runs ended before they were killed: this tests too little", runs-killed, runs)
	}
}

// timed is how long the command takes, the shortest of three runs.
func timed(tb testing.TB, command func() *exec.Cmd) time.Duration {
	tb.Helper()
	least := time.Duration(1<<63 - 1)
	for range 3 {
		cmd := command()
		began := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			tb.Fatalf("%v: %v\n%s", cmd, err, out)
		}
		least = min(least, time.Since(began))
	}
	return least
}

// killAfter reports whether the command was killed before it ended by itself.
func killAfter(cmd *exec.Cmd, after time.Duration) (killed bool, err error) {
	if err := cmd.Start(); err != nil {
		return false, err
	}
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && !exit.Exited() {
		return true, nil
	}
	return false, err
}
