// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/http"
	"net/url"
	"os"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/internal/diskspace"
	"github.com/seed-81b0d42e/flatten/internal/nameless"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// emptyLayer is the gzip of 1,024 zero bytes, an archive without entries, that
// Docker writes for a build step without files. Its bytes are known, so it is
// never fetched.
const emptyLayer = digest.Digest("sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4")

const emptyLayerBytes = "\x1f\x8b\x08\x00\x00\x09\x6e\x88\x00\xff" +
	"\x62\x18\x05\xa3\x60\x14\x8c\x58\x00\x08\x00\x00\xff\xff" +
	"\x2e\xaf\xb5\xef\x00\x04\x00\x00"

const tmpdirHint = "name a folder that can take the layers by --tmpdir"

// spool is the layers of one image on their way into files without a name.
type spool struct {
	session    *session
	dir        string
	available  func(dir string) (bytes int64, known bool)
	slots      chan struct{} // one value for each download that runs
	goroutines sync.WaitGroup

	mu        sync.Mutex
	downloads map[blobKey]*download
	order     []*download // the same, in the order of the layers
}

// blobKey is what makes two layers one download.
type blobKey struct {
	digest digest.Digest
	size   int64
}

func newSpool(s *session, o *Options) *spool {
	sp := &spool{
		session:   s,
		dir:       o.TmpDir,
		available: o.available,
		slots:     make(chan struct{}, o.jobs()),
		downloads: map[blobKey]*download{},
	}
	if sp.dir == "" {
		sp.dir = os.TempDir()
	}
	if sp.available == nil {
		sp.available = diskspace.Available
	}
	return sp
}

// opener returns what opens a layer. Nothing is fetched before it is called.
func (sp *spool) opener(desc v1.Descriptor) func(context.Context) (image.Blob, error) {
	if isEmptyLayer(desc) {
		return func(context.Context) (image.Blob, error) {
			return knownBlob{bytes.NewReader([]byte(emptyLayerBytes))}, nil
		}
	}
	sp.mu.Lock()
	defer sp.mu.Unlock()
	key := blobKey{desc.Digest, desc.Size}
	d := sp.downloads[key]
	if d == nil {
		d = newDownload(sp, desc.Digest, desc.Size, sp.places(desc))
		sp.downloads[key] = d
		sp.order = append(sp.order, d)
	}
	return func(ctx context.Context) (image.Blob, error) {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err := sp.checkSpace(d); err != nil {
			return nil, err
		}
		if err := d.enter(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", d.subject(), err)
		}
		return d.open(ctx), nil
	}
}

// copy is the image.Copy of a registry: a download that goes to w and is not
// stored here.
func (sp *spool) copy(ctx context.Context, desc v1.Descriptor, offset int64, w io.Writer) error {
	if offset >= desc.Size {
		return nil
	}
	if isEmptyLayer(desc) {
		_, err := io.WriteString(w, emptyLayerBytes[offset:])
		return err
	}
	d := newDownload(sp, desc.Digest, desc.Size, sp.places(desc))
	d.have, d.to = offset, w
	err := d.run(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// isEmptyLayer reports whether a descriptor is that of the layer whose bytes are
// known.
func isEmptyLayer(desc v1.Descriptor) bool {
	return desc.Digest == emptyLayer && desc.Size == int64(len(emptyLayerBytes))
}

// places lists where a blob may be had: the registry, then the addresses in its
// descriptor that are HTTPS.
func (sp *spool) places(desc v1.Descriptor) []place {
	s := sp.session
	u := s.url("blobs", desc.Digest.String())
	places := []place{{s.host(), func(ctx context.Context, header http.Header) (*http.Response, error) {
		return s.get(ctx, s.client, u, header)
	}}}
	for _, address := range desc.URLs {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "https" || u.Host == "" {
			continue
		}
		if isPrivate(u.Hostname()) && !s.insecure && !isPrivate(s.hostname()) {
			continue
		}
		places = append(places, place{u.Host, func(ctx context.Context, header http.Header) (*http.Response, error) {
			return s.get(ctx, s.bare, u, header)
		}})
	}
	return places
}

// checkSpace returns an error when the layers that are not there yet, d among
// them, do not fit.
func (sp *spool) checkSpace(d *download) error {
	if d.missing() == 0 {
		return nil
	}
	available, known := sp.available(sp.dir)
	if !known {
		return nil
	}
	sp.mu.Lock()
	defer sp.mu.Unlock()
	var needed int64
	for _, d := range sp.order {
		needed += min(d.missing(), math.MaxInt64-needed)
	}
	if needed <= available {
		return nil
	}
	err := fmt.Errorf("no room for the layers in %s: %d bytes are needed, %d are free", sp.dir, needed, available)
	return image.WithHint(&localError{&image.SpaceError{Dir: sp.dir, Needed: needed, Err: err}}, tmpdirHint)
}

// writeError is the error for a spool file that cannot be written.
func (sp *spool) writeError(err error) error {
	var needed int64
	sp.mu.Lock()
	for _, d := range sp.order {
		needed += min(d.size, math.MaxInt64-needed)
	}
	sp.mu.Unlock()
	err = image.CheckSpace(fmt.Errorf("writing to %s: %w", sp.dir, pathless(err)), sp.dir, 0, needed)
	if errors.As(err, new(*image.SpaceError)) {
		return image.WithHint(&localError{err}, "the layers take %d bytes: %s", needed, tmpdirHint)
	}
	return &localError{err}
}

// pathless takes the name of a spool file, which says nothing, out of an error.
func pathless(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// localError is a failure of this machine, which no other place can cure.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// Close ends all downloads, waits for them and removes what they have stored.
func (sp *spool) Close() error {
	sp.mu.Lock()
	order := sp.order
	sp.mu.Unlock()
	for _, d := range order {
		d.close()
	}
	sp.goroutines.Wait()
	var errs []error
	for _, d := range order {
		errs = append(errs, d.remove())
	}
	sp.session.close()
	return errors.Join(errs...)
}

// remove closes the spool file. Its goroutine must have ended.
func (d *download) remove() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.file == nil {
		return nil
	}
	file := d.file
	d.file = nil
	return nameless.Remove(file)
}

// knownBlob is a blob that is in memory.
type knownBlob struct{ *bytes.Reader }

func (knownBlob) Close() error { return nil }
