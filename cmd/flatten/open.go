// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/reference"
	"github.com/seed-81b0d42e/flatten/pkg/registry"
	"github.com/seed-81b0d42e/flatten/pkg/source"
)

// openImage opens the image that an argument names and says which one it is.
func openImage(c *cli.Context, p process, u *ui, text string) (*image.Image, error) {
	return openImageFor(c, p, u, text, c.String("platform"))
}

// openImageFor is openImage with the platform's name, empty for the default.
func openImageFor(c *cli.Context, p process, u *ui, text, platform string) (*image.Image, error) {
	ref, err := reference.Parse(text)
	if err != nil {
		return nil, &usageError{err}
	}
	if ref.Kind == reference.Stdin && isTerminal(p.stdin) {
		return nil, usagef("-: standard input is a terminal, not an archive")
	}
	opts, err := sourceOptions(c, p, u, ref, platform)
	if err != nil {
		return nil, err
	}
	img, err := source.Open(c.Context, ref, opts)
	if err != nil {
		return nil, meantElse(text, ref, err)
	}
	id := img.Digest
	if id == "" {
		id = img.ConfigDigest
	}
	u.say("%s %s %s, %d layers", img.Reference, image.FormatPlatform(img.Platform), id, len(img.Layers))
	return img, nil
}

// meantElse adds a hint to the error of an image that was probably meant otherwise:
// one of a registry where a file or a layout has the same name, and an archive on
// standard input that is none.
func meantElse(text string, ref reference.Reference, err error) error {
	switch {
	case ref.Kind == reference.Stdin && errors.Is(err, image.ErrCorrupt) && image.Hint(err) == "":
		return image.WithHint(err, "it has to be an archive, as docker save writes it; did what writes to the pipe fail?")
	case ref.Kind != reference.Registry || strings.Contains(text, "://"):
		return err
	case exists(text):
		return image.WithHint(err, "%s is here, too: ./%s means what is here", text, text)
	}
	dir, _, digested := strings.Cut(text, "@")
	if i := strings.LastIndexByte(text, ':'); i > 0 && !digested {
		dir = text[:i]
	}
	if exists(filepath.Join(dir, v1.ImageLayoutFile)) {
		return image.WithHint(err, "%s is an OCI layout here, too: oci:%s means that", dir, text)
	}
	return err
}

func exists(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}

func sourceOptions(c *cli.Context, p process, u *ui, ref reference.Reference, platform string) (source.Options, error) {
	o := source.Options{
		Stdin:  p.stdin,
		TmpDir: tmpDir(c, p),
		Registry: registry.Options{
			Insecure: c.Bool("insecure"),
			Jobs:     c.Int("jobs"),
			Version:  version(),
			Jitter:   rand.Float64,
			Keychain: registry.NewKeychain(keychain(c, p)),
			OnRetry: func(r registry.Retry) {
				u.say("%s: %v; trying again in %v", r.Subject, r.Err, r.Wait.Round(100*time.Millisecond))
			},
		},
	}
	var err error
	if o.Limits, err = limitsOf(c); err != nil {
		return o, err
	}
	if platform != "" {
		chosen, err := image.ParsePlatform(platform)
		if err != nil {
			return o, &usageError{err}
		}
		o.Platform = &chosen
	}
	creds := c.String("creds")
	if creds == "" {
		return o, nil
	}
	user, password, ok := strings.Cut(creds, ":")
	if !ok {
		if ref.Kind == reference.Stdin {
			return o, usagef("--creds %s: the password cannot come from standard input, the image does", user)
		}
		var err error
		if password, err = readPassword(p, user); err != nil {
			return o, err
		}
		// A second image is opened with the same one.
		if err := c.Set("creds", user+":"+password); err != nil {
			return o, err
		}
	}
	o.Registry.User, o.Registry.Password = user, password
	return o, nil
}

// tmpDir is the folder for what is spooled, empty for the system's.
func tmpDir(c *cli.Context, p process) string {
	return cmp.Or(c.String("tmpdir"), p.getenv("TMPDIR"))
}

// keychain is where credentials are, by the environment.
func keychain(c *cli.Context, p process) registry.KeychainOptions {
	o := registry.KeychainOptions{
		AuthFile:        c.String("authfile"),
		DockerConfigDir: p.getenv("DOCKER_CONFIG"),
		RuntimeDir:      p.getenv("XDG_RUNTIME_DIR"),
		ConfigHome:      p.getenv("XDG_CONFIG_HOME"),
		Home:            p.getenv("HOME"),
	}
	if o.AuthFile == "" {
		o.AuthFile = p.getenv("REGISTRY_AUTH_FILE")
	}
	if o.Home == "" && runtime.GOOS == "windows" {
		o.Home = p.getenv("USERPROFILE")
	}
	return o
}

// readPassword reads a line of standard input, without echo from a terminal.
func readPassword(p process, user string) (string, error) {
	if f, ok := p.stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(p.stderr, "Password for %s: ", user)
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(p.stderr)
		return string(b), err
	}
	line, err := bufio.NewReader(p.stdin).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	if line == "" {
		return "", usagef("--creds %s: no password on standard input", user)
	}
	return strings.TrimRight(line, "\r\n"), nil
}
