// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
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

	// StallTimeout ends a request, or the rest of one, for which nothing has
	// arrived for so long; 0 means 60 seconds.
	StallTimeout time.Duration

	// Retries is how often a request that failed is made again as long as no
	// byte arrives; 0 means 5, a negative number none.
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

func (o *Options) stall() time.Duration {
	if o.StallTimeout > 0 {
		return o.StallTimeout
	}
	return defaultStall
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
	ref = strings.TrimPrefix(ref, "docker://")
	parsed, err := parse(ref, o.Insecure)
	if err != nil {
		return nil, err
	}
	account, err := accountFor(ctx, parsed.Context(), &o)
	if err != nil {
		return nil, err
	}
	s := newSession(parsed.Context(), account, &o)
	img, layers, err := s.resolve(ctx, parsed, &o)
	if err != nil {
		s.close()
		return nil, err
	}
	img.Reference = "docker://" + ref
	if tag, ok := parsed.(name.Tag); ok {
		img.Tags = []string{tag.TagStr()}
	}
	sp := newSpool(s, &o)
	for i, desc := range layers {
		img.Layers[i].Open = sp.opener(desc)
	}
	img.Closer = sp
	return img, nil
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

// resolve gets from the reference to the image.
func (s *session) resolve(ctx context.Context, ref name.Reference, o *Options) (*image.Image, []v1.Descriptor, error) {
	if err := s.connect(ctx); err != nil {
		return nil, nil, err
	}
	subject := ref.Name()
	raw, header, err := s.read(ctx, subject, s.url("manifests", ref.Identifier()), accept, image.MaxManifestSize)
	if err != nil {
		return nil, nil, s.explain(subject, err)
	}
	root := v1.Descriptor{MediaType: header.Get("Content-Type")}
	if d, ok := ref.(name.Digest); ok {
		root.Digest, root.Size = digest.Digest(d.DigestStr()), int64(len(raw))
	}
	img, layers, err := image.Resolve(ctx, root, raw, image.Options{Platform: o.Platform}, s.fetch)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", subject, err)
	}
	return img, layers, nil
}

// fetch reads a document below the root one, which image.Resolve then verifies.
func (s *session) fetch(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	kind, accepted := "blobs", ""
	if isManifest(d.MediaType) {
		kind, accepted = "manifests", accept
	}
	raw, _, err := s.read(ctx, what(kind[:len(kind)-1], d.Digest), s.url(kind, d.Digest.String()), accepted, d.Size)
	if err != nil {
		return nil, s.explain("", err)
	}
	return raw, nil
}
