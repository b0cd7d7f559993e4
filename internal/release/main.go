// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Command release builds what a release of flatten consists of:
//
//	go run ./internal/release -out dist
//
//	flatten-VERSION-OS-ARCH             a static binary for each system
//	flatten-VERSION-OS-ARCH.cdx.json    its bill of materials, CycloneDX
//	SHA256SUMS                          for sha256sum -c
//
// It runs in a clone and needs Go and the modules that go.mod names. VERSION is
// that of the commit, by its tag if it has one: Go records it in the binary.
//
// The same commit and the same release of Go give the same bytes, wherever and
// whenever they are built: no path, time or name of a machine is in them. See
// docs/release.md.
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
)

// targets are the systems that a release is built for.
const targets = "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64,windows/amd64,windows/arm64"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.SetOutput(stderr)
	out := flags.String("out", "dist", "folder to write to; it must not be there")
	list := flags.String("targets", targets, "systems, as OS/ARCH,…")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := os.Mkdir(*out, 0o755); err != nil {
		return err
	}
	for target := range strings.SplitSeq(*list, ",") {
		name, err := release(ctx, *out, target, stderr)
		if err != nil {
			return fmt.Errorf("%s: %w", target, err)
		}
		fmt.Fprintln(stdout, filepath.Join(*out, name))
	}
	return writeSums(*out)
}

// release builds one binary and its bill of materials and returns its name.
func release(ctx context.Context, out, target string, stderr io.Writer) (string, error) {
	system, arch, ok := strings.Cut(target, "/")
	if !ok {
		return "", errors.New("not OS/ARCH")
	}
	temp := filepath.Join(out, "building")
	if err := build(ctx, ".", temp, system, arch, stderr); err != nil {
		return "", err
	}
	info, err := read(temp)
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("flatten-%s-%s-%s", info.Main.Version, system, arch)
	bill := name + ".cdx.json"
	if system == "windows" {
		name += ".exe"
	}
	if err := os.Rename(temp, filepath.Join(out, name)); err != nil {
		return "", err
	}
	return name, writeBill(filepath.Join(out, bill), filepath.Join(out, name), info)
}

// build compiles the command of the clone that dir is in. -trimpath keeps the folder out of the binary; an
// empty build ID keeps out what links depend on; cgo would bring the machine's C
// library in.
func build(ctx context.Context, dir, file, system, arch string, stderr io.Writer) error {
	abs, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=true",
		"-ldflags=-s -w -buildid=", "-o", abs, "github.com/seed-81b0d42e/flatten/cmd/flatten")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+arch,
		"GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOEXPERIMENT=")
	cmd.Dir, cmd.Stderr = dir, stderr
	return cmd.Run()
}

// writeSums writes the digests of all files of a folder, in the order of their
// names.
func writeSums(dir string) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var sums strings.Builder
	for _, e := range list {
		sum, err := digestOf(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sum, e.Name())
	}
	return os.WriteFile(filepath.Join(dir, "SHA256SUMS"), []byte(sums.String()), 0o644)
}

func digestOf(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}
