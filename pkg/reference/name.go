// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package reference

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

const (
	dockerHub     = "docker.io"
	dockerHubOld  = "index.docker.io"
	officialSpace = "library/"
	defaultTag    = "latest"

	// maxRepository is the longest repository that registries accept, without
	// the host.
	maxRepository = 255
)

// The grammar of a name in a registry:
//
//	host        =  label { "." label } [ ":" port ]  |  "[" IPv6 "]" [ ":" port ]
//	repository  =  part { "/" part }
//	part        =  word { ( "." | "_" | "__" | "-" { "-" } ) word }
//	tag         =  a letter, digit or "_", then up to 127 of these, "." and "-"
var (
	hostGrammar = regexp.MustCompile(`^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?$`)
	repoGrammar = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagGrammar  = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}$`)
)

// parseName reads a reference into a registry; s is the whole text, for errors.
func parseName(s, name string) (Reference, error) {
	fail := func(hint, format string, args ...any) (Reference, error) {
		err := fmt.Errorf("reference %q: %s", s, fmt.Sprintf(format, args...))
		return Reference{}, image.WithHint(err, "%s", hint)
	}
	r := Reference{Kind: Registry}
	name, text, hasDigest := strings.Cut(name, "@")
	if hasDigest {
		r.Digest = digest.Digest(text)
		if err := image.CheckDigest(r.Digest); err != nil {
			return fail("a digest is sha256: and 64 hexadecimal digits", "%s", err)
		}
	}
	// A colon after the last slash begins a tag, any other one a port.
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name, r.Tag = name[:i], name[i+1:]
		if !tagGrammar.MatchString(r.Tag) {
			return fail(forms, "malformed tag %q", r.Tag)
		}
	}
	host, repository, ok := strings.Cut(name, "/")
	if !ok || host != "localhost" && !strings.ContainsAny(host, ".:") {
		host, repository = dockerHub, name
	}
	if host == dockerHubOld {
		host = dockerHub
	}
	if host == dockerHub && !strings.Contains(repository, "/") {
		repository = officialSpace + repository
	}
	switch {
	case !hostGrammar.MatchString(host):
		return fail(forms, "malformed host %q", host)
	case repoGrammar.MatchString(repository) && len(repository) <= maxRepository:
	case len(repository) > maxRepository:
		return fail(forms, "repository of %d characters, over the limit of %d", len(repository), maxRepository)
	case strings.HasPrefix(s, "~"):
		return fail("the shell replaces ~ only where it is not quoted; write the whole path", "malformed repository %q", repository)
	case repoGrammar.MatchString(strings.ToLower(repository)):
		return fail("a repository in a registry is in lower case; a file is named by a path such as ./"+s, "malformed repository %q", repository)
	default:
		return fail(forms, "malformed repository %q", repository)
	}
	r.Name = host + "/" + repository
	if r.Tag == "" && r.Digest == "" {
		r.Tag = defaultTag
	}
	return r, nil
}
