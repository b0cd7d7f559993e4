// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// Options say how a registry is spoken to. The zero value reads a public image
// over HTTPS.
type Options struct {
	// Platform chooses from an index; nil means [image.DefaultPlatform].
	Platform *v1.Platform

	// Limits are those of manifests, indexes and configurations.
	Limits image.Limits

	// User and Password are the credentials, when User is not empty. Keychain
	// is not asked then.
	User, Password string

	// Keychain yields the credentials otherwise (see [NewKeychain]); nil means
	// anonymous access.
	Keychain authn.Keychain

	// Insecure allows plain HTTP and certificates that nobody here trusts, and
	// redirects from HTTPS to HTTP and to private addresses.
	Insecure bool

	// TmpDir is where layers are spooled; empty means [os.TempDir].
	TmpDir string

	// Jobs is how many layers are downloaded at once; 0 means 4.
	Jobs int

	// Version is that of the program, for the User-Agent header.
	Version string

	// Transport sends the requests; nil means net/http's default with timeouts
	// for connecting, for TLS and for response headers, and with the proxies
	// that net/http finds in the environment. One that is given has to see to
	// Insecure's certificates itself and must not decompress.
	Transport http.RoundTripper

	// ConnectTimeout bounds connecting, and likewise the TLS handshake; 0 means
	// 15 seconds. HeaderTimeout bounds the wait for an answer's headers; 0 means
	// 30 seconds. Neither applies to a Transport that is given.
	ConnectTimeout, HeaderTimeout time.Duration

	// StallTimeout ends a request that has no answer or for which nothing more
	// arrives for so long; 0 means 60 seconds.
	StallTimeout time.Duration

	// SlowBytes and SlowWindow are the least speed: a request ends for which
	// fewer than SlowBytes have arrived in SlowWindow of waiting for them. 0
	// means 16 KiB and one minute; with negative SlowBytes any speed will do.
	SlowBytes  int64
	SlowWindow time.Duration

	// Retries is how often in a row a request that failed is made again without
	// progress, 16 KiB of a layer; 0 means 5, a negative number none.
	Retries int

	// Jitter yields numbers in [0, 1) that spread retries; nil means that
	// retries come at fixed times. It must be safe for use by several
	// goroutines at once, as math/rand's Float64 is.
	Jitter func() float64

	// Sleep waits before a retry, or until the context ends; nil means a timer.
	Sleep func(context.Context, time.Duration) error

	// OnRetry, when not nil, is told of every retry. It is called from several
	// goroutines at once and must return quickly.
	OnRetry func(Retry)

	available func(dir string) (bytes int64, known bool) // for tests
}

func (o *Options) jobs() int {
	if o.Jobs > 0 {
		return o.Jobs
	}
	return 4
}

func (o *Options) agent() string {
	if o.Version == "" {
		return "flatten"
	}
	return "flatten/" + o.Version
}

func (o *Options) retrier() *retrier {
	r := &retrier{retries: o.Retries, jitter: o.Jitter, sleep: o.Sleep, notify: o.OnRetry}
	switch {
	case r.retries == 0:
		r.retries = defaultRetries
	case r.retries < 0:
		r.retries = 0
	}
	if r.sleep == nil {
		r.sleep = sleep
	}
	return r
}

// Media types of documents that a registry keeps among its manifests.
const (
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerSchema1  = "application/vnd.docker.distribution.manifest.v1+json"
	dockerSigned1  = "application/vnd.docker.distribution.manifest.v1+prettyjws"
)

// accept lists the documents that are understood, and schema 1, so that it is
// recognised and refused by its name.
const accept = v1.MediaTypeImageIndex + "," + v1.MediaTypeImageManifest + "," + dockerList + "," + dockerManifest + "," +
	dockerSigned1 + ";q=0.1," + dockerSchema1 + ";q=0.1"

// isManifest reports whether a registry keeps a document of this type among its
// manifests rather than its blobs.
func isManifest(mediaType string) bool {
	mediaType, _, _ = strings.Cut(mediaType, ";")
	switch strings.TrimSpace(mediaType) {
	case v1.MediaTypeImageIndex, v1.MediaTypeImageManifest, dockerList, dockerManifest, dockerSchema1, dockerSigned1:
		return true
	}
	return false
}

// Open reads the manifest and the configuration of the image that ref names,
// such as "registry.example/app:1", "busybox" or "ghcr.io/org/app@sha256:…". No
// layer is fetched before it is opened. The image must be closed; that ends its
// downloads and removes them.
func Open(ctx context.Context, ref string, o Options) (*image.Image, error) {
	root, sp, err := open(ctx, ref, &o)
	if err != nil {
		return nil, err
	}
	img, layers, err := root.Resolve(ctx, image.Options{Platform: o.Platform, Limits: o.Limits})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", sp.session.subject, err), sp.Close())
	}
	img.Reference = root.Reference
	if root.Tag != "" {
		img.Tags = []string{root.Tag}
	}
	for i, desc := range layers {
		img.Layers[i].Open = sp.opener(desc)
	}
	img.Closer = sp
	return img, nil
}

// OpenRoot reads the document that ref names, a manifest or an index, and nothing
// else yet. Options.Platform is not looked at. The root must be closed.
func OpenRoot(ctx context.Context, ref string, o Options) (*image.Root, error) {
	root, sp, err := open(ctx, ref, &o)
	if err != nil {
		return nil, err
	}
	root.Copy, root.Closer = sp.copy, sp
	return root, nil
}

// open makes a connection and reads the document that ref names.
func open(ctx context.Context, ref string, o *Options) (*image.Root, *spool, error) {
	ref = strings.TrimPrefix(ref, "docker://")
	parsed, err := parse(ref, o.Insecure)
	if err != nil {
		return nil, nil, err
	}
	account, err := accountFor(ctx, parsed.Context(), o)
	if err != nil {
		return nil, nil, err
	}
	s := newSession(parsed, account, o)
	root, err := s.root(ctx, parsed, o.Limits.WithDefaults().ManifestBytes)
	if err != nil {
		s.close()
		return nil, nil, err
	}
	root.Reference = "docker://" + ref
	if tag, ok := parsed.(name.Tag); ok {
		root.Tag = tag.TagStr()
	}
	return root, newSpool(s, o), nil
}

func parse(ref string, insecure bool) (name.Reference, error) {
	opts := []name.Option{name.WeakValidation}
	if insecure {
		opts = append(opts, name.Insecure)
	}
	parsed, err := name.ParseReference(ref, opts...)
	if err != nil {
		return nil, image.WithHint(fmt.Errorf("%q is not a reference to an image in a registry", ref),
			"write it as [HOST[:PORT]/]NAME[:TAG|@DIGEST], in lower case")
	}
	return parsed, nil
}

// accountFor returns the credentials given, else those that the keychain has for
// the repository.
func accountFor(ctx context.Context, repo name.Repository, o *Options) (authn.AuthConfig, error) {
	if o.User != "" {
		return authn.AuthConfig{Username: o.User, Password: o.Password}, nil
	}
	if o.Keychain == nil {
		return authn.AuthConfig{}, nil
	}
	auth, err := authn.Resolve(ctx, o.Keychain, repo)
	if err != nil {
		return authn.AuthConfig{}, err
	}
	config, err := authn.Authorization(ctx, auth)
	if err != nil {
		return authn.AuthConfig{}, fmt.Errorf("credentials for %s: %w", repo.RegistryStr(), err)
	}
	return *config, nil
}

// tooLong is a body of more bytes than it may have.
type tooLong int64

func (n tooLong) Error() string {
	return fmt.Sprintf("sends more than the %d bytes that it may have", int64(n))
}

// root reads the document that a reference names, of so many bytes at most.
func (s *session) root(ctx context.Context, ref name.Reference, most int64) (*image.Root, error) {
	if err := s.connect(ctx); err != nil {
		return nil, err
	}
	raw, header, err := s.read(ctx, s.subject, s.url("manifests", ref.Identifier()), accept, 0, most)
	if long := tooLong(0); errors.As(err, &long) {
		err = image.Corruptf("%s sends %w", s.host(), image.Over("ManifestBytes", most))
	}
	if err != nil {
		return nil, s.explain(s.subject, err)
	}
	root := &image.Root{Descriptor: v1.Descriptor{MediaType: header.Get("Content-Type")}, Document: raw, Fetch: s.fetch}
	if d, ok := ref.(name.Digest); ok {
		root.Descriptor.Digest, root.Descriptor.Size = digest.Digest(d.DigestStr()), int64(len(raw))
	}
	return root, nil
}

// fetch reads a document below the root one, which image.Resolve then verifies.
func (s *session) fetch(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	kind, accepted := "blobs", ""
	if isManifest(d.MediaType) {
		kind, accepted = "manifests", accept
	}
	raw, _, err := s.read(ctx, what(kind[:len(kind)-1], d.Digest), s.url(kind, d.Digest.String()), accepted, d.Size, d.Size)
	if err != nil {
		return nil, s.explain("", err)
	}
	return raw, nil
}
