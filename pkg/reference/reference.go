// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package reference

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// Kind is where an image is.
type Kind uint8

const (
	Registry      Kind = iota // in a registry: Name, Tag, Digest
	OCI                       // in an OCI layout directory: Path, and Tag or Digest
	OCIArchive                // in an OCI layout in a tar file: Path, and Tag or Digest
	DockerArchive             // in a tar file of docker save's: Path, and Tag or Digest
	Stdin                     // in an archive on standard input
	Path                      // at a path, in a form to be detected: Path
)

var schemes = map[Kind]string{Registry: "docker://", OCI: "oci:", OCIArchive: "oci-archive:", DockerArchive: "docker-archive:"}

// String is the scheme without punctuation, or what stands for it.
func (k Kind) String() string {
	switch k {
	case Stdin:
		return "-"
	case Path:
		return "path"
	}
	return strings.TrimRight(schemes[k], ":/")
}

// Reference names an image. It is comparable: equal values name the same image
// in the same way.
type Reference struct {
	Kind Kind

	// Path is the directory or file, as given, for the kinds that have one.
	Path string

	// Name is the name of a repository with its host, such as
	// "docker.io/library/alpine", for kind Registry.
	Name string

	// Tag is the tag in a registry, or the name of an image in a layout or
	// archive; empty when there is none.
	Tag string

	// Digest is that of a manifest, or of a configuration for kind DockerArchive;
	// empty when there is none.
	Digest digest.Digest
}

// String is the canonical form: [Parse] of it gives the same value.
func (r Reference) String() string {
	switch r.Kind {
	case Stdin:
		return "-"
	case Path:
		return r.Path
	case Registry:
		return schemes[Registry] + r.Image()
	}
	return schemes[r.Kind] + r.Path + r.selector()
}

// Image is the form of a registry reference that registry clients read: without
// a scheme.
func (r Reference) Image() string { return r.Name + r.selector() }

func (r Reference) selector() string {
	var s string
	if r.Tag != "" {
		s = ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + string(r.Digest)
	}
	return s
}

// forms is the hint for a text that could be anything.
const forms = "an image is docker://REF, oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:REF], " +
	"a path such as ./image.tar, - for standard input, or the name of an image in a registry"

// Parse reads a reference in one of the forms of the package comment. Its errors
// have a hint (see image.Hint).
func Parse(s string) (Reference, error) {
	switch {
	case s == "":
		return Reference{}, image.WithHint(fmt.Errorf("no image named"), forms)
	case s == "-":
		return Reference{Kind: Stdin}, nil
	case strings.ContainsRune(s, 0):
		return Reference{}, image.WithHint(fmt.Errorf("reference %q has a NUL byte", s), forms)
	case IsPath(s):
		return Reference{Kind: Path, Path: s}, nil
	}
	if rest, ok := strings.CutPrefix(s, "docker://"); ok {
		return parseName(s, rest)
	}
	scheme, rest, ok := strings.Cut(s, ":")
	if ok {
		switch scheme {
		case "oci", "oci-dir":
			return parseFile(OCI, s, rest)
		case "oci-archive":
			return parseFile(OCIArchive, s, rest)
		case "docker-archive":
			return parseFile(DockerArchive, s, rest)
		}
		if hint := foreignHint(scheme, rest); hint != "" {
			return Reference{}, image.WithHint(fmt.Errorf("reference %q: %q is not a scheme known here", s, scheme+":"), "%s", hint)
		}
	}
	return parseName(s, s)
}

// IsPath reports whether a reference is a path by its looks.
func IsPath(s string) bool {
	if s == "." || s == ".." || hasDrive(s) {
		return true
	}
	for _, prefix := range []string{"/", "./", "../", `\`, `.\`, `..\`} {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}

// hasDrive reports whether s starts like C:\ or C:/.
func hasDrive(s string) bool {
	if len(s) < 3 || s[1] != ':' || s[2] != '\\' && s[2] != '/' {
		return false
	}
	c := s[0] | 0x20
	return 'a' <= c && c <= 'z'
}

// foreignHint says what to write instead of a scheme that only other tools have;
// it is empty for a word that is no scheme.
func foreignHint(scheme, rest string) string {
	name := strings.TrimLeft(rest, "/")
	switch scheme {
	case "docker":
		return fmt.Sprintf("write docker://%s for that image in a registry, or docker://docker:%s for the image called docker", name, name)
	case "http", "https":
		return fmt.Sprintf("write docker://%s for an image in that registry; plain HTTP is a matter of --insecure", name)
	case "file":
		return fmt.Sprintf("write the path alone: %s", rest)
	case "docker-daemon":
		return fmt.Sprintf("have the daemon write it: docker save %s | flatten -", name)
	case "containers-storage":
		return fmt.Sprintf("have it written: podman save --format oci-archive %s | flatten -", name)
	case "dir", "ostree", "sif", "tarball":
		return fmt.Sprintf("convert it first: skopeo copy %s:%s oci:DIR:TAG", scheme, rest)
	}
	if strings.HasPrefix(rest, "//") {
		return forms
	}
	return ""
}

// digestAt finds where a path is followed by a digest, however badly written.
var digestAt = regexp.MustCompile(`(?i)@sha(?:256|512):`)

// parseFile reads what follows the scheme of a file or directory.
func parseFile(k Kind, s, rest string) (Reference, error) {
	scheme, _, _ := strings.Cut(s, ":")
	fail := func(hint, format string, args ...any) (Reference, error) {
		err := fmt.Errorf("reference %q: %s", s, fmt.Sprintf(format, args...))
		return Reference{}, image.WithHint(err, "%s", hint)
	}
	usage := map[Kind]string{
		OCI:           "write oci:DIR, oci:DIR:TAG or oci:DIR@DIGEST",
		OCIArchive:    "write oci-archive:FILE, oci-archive:FILE:TAG or oci-archive:FILE@DIGEST",
		DockerArchive: "write docker-archive:FILE, docker-archive:FILE:REF or docker-archive:FILE@ID",
	}[k]
	if strings.HasPrefix(rest, "//") {
		short := strings.TrimLeft(rest, "/")
		if !strings.HasPrefix(rest, "///") {
			return fail(fmt.Sprintf("write %s:%s or %s:/%s", scheme, short, scheme, short),
				"%s: is followed by a path, not by //", scheme)
		}
		rest = "/" + short
	}
	r := Reference{Kind: k, Path: rest}
	if at := digestAt.FindStringIndex(rest); at != nil {
		r.Path, r.Digest = rest[:at[0]], digest.Digest(rest[at[0]+1:])
	}
	if r.Digest != "" {
		if err := image.CheckDigest(r.Digest); err != nil {
			return fail(usage, "%s", err)
		}
	}
	drive := 0
	if hasDrive(r.Path) {
		drive = 2
	}
	if i := strings.IndexByte(r.Path[drive:], ':'); i >= 0 {
		r.Path, r.Tag = r.Path[:drive+i], r.Path[drive+i+1:]
		switch {
		case r.Tag == "":
			return fail(usage, "nothing follows the last colon")
		case !validTag(r.Tag):
			return fail(usage, "%q cannot be the name of an image", r.Tag)
		case r.Digest != "":
			return fail(usage, "has both a tag and a digest")
		}
	}
	if r.Path == "" {
		return fail(usage, "no path follows %s:", scheme)
	}
	return r, nil
}

// validTag reports whether a layout's or an archive's image may have this name:
// broadly what org.opencontainers.image.ref.name may be.
func validTag(tag string) bool {
	for i, c := range tag {
		switch {
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_':
		case i == 0 || c == unicode.ReplacementChar || !strings.ContainsRune("-.:/@+", c):
			return false
		}
	}
	return true
}
