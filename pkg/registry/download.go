// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten/internal/nameless"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// bufferSize is how much of a blob is read at once.
const bufferSize = 128 << 10

// download is one blob on its way into its spool file, or to where it is copied.
//
// Invariant: the first have bytes of the blob have been written. have grows only,
// and only the one goroutine that runs makes it grow.
type download struct {
	spool  *spool
	digest digest.Digest
	size   int64
	places []place
	to     io.Writer // what the blob is copied to, nil for the spool file

	mu      sync.Mutex
	changed sync.Cond // whenever a field below changes
	file    *os.File  // nil before the first byte is wanted, and when copied
	have    int64
	err     error // why it ended early; sticky until opened again
	users   int   // open blobs whose context has not ended
	running bool
	cancel  context.CancelFunc // ends the goroutine that runs
	closed  bool
}

// place is where a blob may be had.
type place struct {
	name string // for messages
	get  func(context.Context, http.Header) (*http.Response, error)
}

func newDownload(sp *spool, dgst digest.Digest, size int64, places []place) *download {
	d := &download{spool: sp, digest: dgst, size: size, places: places}
	d.changed.L = &d.mu
	return d
}

// missing is the number of bytes that are still to come.
func (d *download) missing() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.size - d.have
}

// enter adds a user and starts the download, or starts it again, if there is
// something missing.
func (d *download) enter(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return fs.ErrClosed
	}
	if d.file == nil {
		file, err := nameless.Create(d.spool.dir)
		if err != nil {
			return image.WithHint(fmt.Errorf("creating a spool file in %s: %w", d.spool.dir, pathless(err)), tmpdirHint)
		}
		d.file = file
	}
	d.users++
	if !d.running && d.have < d.size {
		d.start(context.WithoutCancel(ctx))
	}
	return nil
}

// leave removes a user. A download that nobody waits for stops; what it has
// is kept.
func (d *download) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.users--
	if d.users == 0 && d.running {
		d.cancel()
	}
}

// start runs the download until it is whole, fails or has no users. The caller
// holds d.mu.
func (d *download) start(ctx context.Context) {
	running, cancel := context.WithCancel(ctx)
	d.running, d.cancel, d.err = true, cancel, nil
	d.spool.goroutines.Go(func() {
		err := d.run(running)
		cancel()
		d.mu.Lock()
		defer d.mu.Unlock()
		d.running = false
		switch {
		case d.closed:
		case errors.Is(err, context.Canceled) && d.users > 0:
			d.start(ctx) // somebody came back in the meantime
		default:
			d.err = err
		}
		d.changed.Broadcast()
	})
}

// close ends the download for good. The file goes when its goroutine has ended.
func (d *download) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.err = fs.ErrClosed
	if d.running {
		d.cancel()
	}
	d.changed.Broadcast()
}

// run fetches what is missing, from one place after the other.
func (d *download) run(ctx context.Context) error {
	select {
	case d.spool.slots <- struct{}{}:
		defer func() { <-d.spool.slots }()
	case <-ctx.Done():
		return context.Canceled
	}
	var err error
	for _, p := range d.places {
		if err = d.runFrom(ctx, p); err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Canceled
		}
		var local *localError
		if errors.As(err, &local) {
			break
		}
	}
	return d.spool.session.explain(d.subject(), err)
}

func (d *download) subject() string {
	if d.to != nil {
		return what("blob", d.digest)
	}
	return what("layer", d.digest)
}

// progress is how many bytes of a blob have to arrive for failures before them to
// be forgotten.
const progress = 16 << 10

// runFrom fetches what is missing from one place. As long as there is progress
// it goes on; it gives up after several failures in a row without any. An attempt
// that was too slow is never progress: a server could go on for ever otherwise.
func (d *download) runFrom(ctx context.Context, p place) error {
	retry := d.spool.session.retry
	failures, ranges := 0, true
	before := d.missing()
	for {
		err := d.attempt(ctx, p, ranges)
		if err == nil {
			return nil
		}
		var slow *slowError
		switch now := d.missing(); {
		case errors.As(err, &slow):
			before = now
		case before-now >= progress:
			failures, before = 0, now
		}
		failures++
		var status *statusError
		var odd *rangeError
		ranges = !errors.As(err, &odd) && (!errors.As(err, &status) || status.status != http.StatusRequestedRangeNotSatisfiable)
		if err := retry.wait(ctx, d.subject(), failures, err); err != nil {
			return err
		}
	}
}

// attempt makes one request for what is missing and stores what it yields.
// Without ranges, or when the server ignores them, the bytes that are there
// already are received once more and dropped.
func (d *download) attempt(ctx context.Context, p place, ranges bool) error {
	from := d.size - d.missing()
	header := http.Header{"Accept-Encoding": {"identity"}}
	if from > 0 && ranges {
		header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	resp, err := p.get(ctx, header)
	if err != nil {
		return err
	}
	defer resp.Body.Close()

	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusPartialContent {
		return d.spool.session.statusErrorOf(resp)
	}
	first, total, err := extent(resp)
	if err != nil {
		return err
	}
	if total >= 0 && total != d.size {
		return image.Corruptf("%s announces %d bytes where the manifest says %d", p.name, total, d.size)
	}
	if first > from {
		return &rangeError{fmt.Sprintf("%s sends bytes from %d on when asked for those from %d on", p.name, first, from)}
	}
	if _, err := io.CopyN(io.Discard, resp.Body, from-first); err != nil {
		return d.cut(p, first, err)
	}
	if err := d.store(p, resp.Body, from); err != nil {
		return err
	}
	if resp.ContentLength >= 0 && resp.ProtoMajor == 1 {
		_, _ = resp.Body.Read(make([]byte, 1)) // sees the end, so that the connection can be used again
	}
	return nil
}

// store writes the body behind the bytes that are there, and never more than
// the size of the blob.
func (d *download) store(p place, body io.Reader, from int64) error {
	buffer := make([]byte, bufferSize)
	for from < d.size {
		n, err := body.Read(buffer[:min(bufferSize, d.size-from)])
		if n > 0 {
			if err := d.write(buffer[:n], from); err != nil {
				return err
			}
			from += int64(n)
			d.mu.Lock()
			d.have = from
			d.changed.Broadcast()
			d.mu.Unlock()
		}
		if err != nil && from < d.size {
			return d.cut(p, from, err)
		}
	}
	return nil
}

// write stores bytes that arrived.
func (d *download) write(p []byte, at int64) error {
	if d.to != nil {
		if _, err := d.to.Write(p); err != nil {
			return &localError{err}
		}
		return nil
	}
	if _, err := d.file.WriteAt(p, at); err != nil {
		return d.spool.writeError(err)
	}
	return nil
}

// cut is the error for a body that ends too early.
func (d *download) cut(p place, at int64, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s ends the connection after %d of %d bytes", p.name, at, d.size)
	}
	return err
}

// rangeError is an answer to a ranged request that cannot be used. The next
// request is made without a range.
type rangeError struct{ text string }

func (e *rangeError) Error() string { return e.text }

// extent returns where the body of resp, a 200 or 206, begins within the blob, and
// the size of the whole blob, -1 when the server does not say.
func extent(resp *http.Response) (first, total int64, err error) {
	if resp.StatusCode == http.StatusPartialContent {
		return contentRange(resp.Header.Get("Content-Range"))
	}
	return 0, resp.ContentLength, nil
}

// contentRange reads "bytes FIRST-LAST/TOTAL" (RFC 9110, section 14.4), where
// TOTAL may be "*".
func contentRange(value string) (first, total int64, err error) {
	bad := &rangeError{fmt.Sprintf("the answer to a ranged request has Content-Range %q", value)}
	rest, isBytes := strings.CutPrefix(value, "bytes ")
	span, size, hasSize := strings.Cut(rest, "/")
	low, _, hasLow := strings.Cut(span, "-")
	if !isBytes || !hasSize || !hasLow {
		return 0, 0, bad
	}
	unsigned, err := strconv.ParseUint(low, 10, 63)
	if err != nil {
		return 0, 0, bad
	}
	if size == "*" {
		return int64(unsigned), -1, nil
	}
	whole, err := strconv.ParseUint(size, 10, 63)
	if err != nil {
		return 0, 0, bad
	}
	return int64(unsigned), int64(whole), nil
}
