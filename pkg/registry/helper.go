// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/docker/docker-credential-helpers/client"
	"github.com/docker/docker-credential-helpers/credentials"
	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// helperTimeout bounds a credential helper: one that waits for somebody to
// unlock something would wait for ever on a build host.
const helperTimeout = 60 * time.Second

// tokenUser is the user name of a helper whose secret is an identity token.
const tokenUser = "<token>"

// askHelper runs docker-credential-NAME for the credentials of a server. That
// it has none is no error.
func askHelper(ctx context.Context, name, server string) (authn.AuthConfig, error) {
	if strings.ContainsAny(name, `/\`) {
		return authn.AuthConfig{}, fmt.Errorf("credential helper %q: not a plain name", name)
	}
	ctx, cancel := context.WithTimeout(ctx, helperTimeout)
	defer cancel()
	program := "docker-credential-" + name
	p := &helperProgram{cmd: exec.CommandContext(ctx, program)}
	p.cmd.WaitDelay = time.Second
	found, err := client.Get(p.with, server)
	switch {
	case credentials.IsErrCredentialsNotFound(err):
		return authn.AuthConfig{}, nil
	case errors.Is(p.err, exec.ErrNotFound):
		return authn.AuthConfig{}, image.WithHint(fmt.Errorf("credential helper %s is not installed", program),
			"install it, or give --authfile or --creds")
	case ctx.Err() != nil:
		return authn.AuthConfig{}, fmt.Errorf("credential helper %s: %w", program, ctx.Err())
	case p.err != nil:
		return authn.AuthConfig{}, fmt.Errorf("credential helper %s: %w: %s", program, p.err, p.said)
	case err != nil:
		return authn.AuthConfig{}, fmt.Errorf("credential helper %s: its answer is not what the protocol wants", program)
	}
	if found.Username == tokenUser {
		return authn.AuthConfig{Username: tokenUser, IdentityToken: found.Secret}, nil
	}
	return authn.AuthConfig{Username: found.Username, Password: found.Secret}, nil
}

// helperProgram is a command as the client of credential helpers wants it. It
// keeps how the command failed, of which the client makes a text.
type helperProgram struct {
	cmd  *exec.Cmd
	err  error
	said string // the first line that it printed, when it failed
}

var _ client.Program = (*helperProgram)(nil)

func (p *helperProgram) with(args ...string) client.Program {
	p.cmd.Args = append(p.cmd.Args, args...)
	return p
}

func (p *helperProgram) Input(in io.Reader) { p.cmd.Stdin = in }

func (p *helperProgram) Output() ([]byte, error) {
	out, err := p.cmd.Output()
	if err != nil {
		p.err = err
		p.said, _, _ = strings.Cut(strings.TrimSpace(string(out)), "\n")
	}
	return out, err
}
