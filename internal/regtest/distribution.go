// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package regtest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// htpasswd is [User] and [Password] as "htpasswd -Bbn" writes them.
const htpasswd = "alice:$2y$05$I7ZiSXiGww1rxiu6FHi1x.NPlcVt5XlcrQyVj/p47jn/B7LI5Yfs.\n"

var listening = regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)

// Distribution starts Debian's docker-registry on a free port and returns its
// host. With auth it wants [User] and [Password]. It runs until the test ends.
// Where it is not installed the test is skipped.
func Distribution(tb testing.TB, auth Auth) string {
	tb.Helper()
	program, err := exec.LookPath("docker-registry")
	if err != nil {
		tb.Skip("docker-registry is not installed (Debian package docker-registry)")
	}
	dir := tb.TempDir()
	config := fmt.Sprintf("version: 0.1\nlog: {level: info, formatter: text}\n"+
		"storage: {filesystem: {rootdirectory: %q}}\nhttp: {addr: \"127.0.0.1:0\"}\n", filepath.Join(dir, "store"))
	switch auth {
	case Basic:
		config += fmt.Sprintf("auth: {htpasswd: {realm: regtest, path: %q}}\n", filepath.Join(dir, "htpasswd"))
	case Token:
		tb.Fatal("docker-registry has no token server of its own")
	}
	for name, text := range map[string]string{"config.yml": config, "htpasswd": htpasswd} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	cmd := exec.Command(program, "serve", filepath.Join(dir, "config.yml"))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "OTEL_TRACES_EXPORTER=none"}
	output, err := cmd.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return awaitAddress(tb, output)
}

// awaitAddress reads a server's log until it says where it listens, and then
// goes on reading so that the server does not block.
func awaitAddress(tb testing.TB, output io.Reader) string {
	tb.Helper()
	type result struct{ address, log string }
	found := make(chan result, 1)
	go func() {
		var log strings.Builder
		lines := bufio.NewScanner(output)
		for lines.Scan() {
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				found <- result{address: m[1]}
				_, _ = io.Copy(io.Discard, output)
				return
			}
			log.WriteString(lines.Text() + "\n")
		}
		found <- result{log: log.String()}
	}()
	select {
	case r := <-found:
		if r.address == "" {
			tb.Fatalf("docker-registry did not start:\n%s", r.log)
		}
		return r.address
	case <-time.After(30 * time.Second):
		tb.Fatal("docker-registry did not start in 30 s")
	}
	return ""
}
