// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"io"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Root is the document that a reference names, a manifest or an index, and how
// what it refers to is read: an image as it is stored, for those who copy it.
type Root struct {
	// Reference is the image as the user named it, transport included.
	Reference string

	// Descriptor is that of the document. Whatever the source does not know
	// before it has read the document is empty.
	Descriptor v1.Descriptor

	// Document is the document's bytes if the source has them already, else nil.
	Document []byte

	// Tag is the short name of the image where it is: the tag in a registry, the
	// org.opencontainers.image.ref.name in a layout. Empty when there is none.
	Tag string

	// Name is the whole name of the image as Docker completes it, such as
	// "docker.io/library/app:1". Empty when it is not known.
	Name string

	// Fetch returns the bytes of a manifest, an index or a configuration.
	Fetch Fetch

	// Copy writes the bytes of any blob.
	Copy Copy

	// Closer releases what the source keeps open. Nil when there is nothing to
	// release.
	Closer io.Closer
}

// Copy writes the bytes of a blob to w, from an offset on, one after the other and
// never more than the blob has by its descriptor, which must have been checked. It
// does not verify them. When it fails, the bytes written until then are good, so
// that another call can go on behind them.
type Copy func(ctx context.Context, d v1.Descriptor, offset int64, w io.Writer) error

// Resolve is the function of that name for the root's document.
func (r *Root) Resolve(ctx context.Context, opt Options) (*Image, []v1.Descriptor, error) {
	return Resolve(ctx, r.Descriptor, r.Document, opt, r.Fetch)
}

// Close releases what the root's source keeps open.
func (r *Root) Close() error {
	if r.Closer == nil {
		return nil
	}
	return r.Closer.Close()
}

// CopyBlob writes a blob from an offset on, until ctx ends: what a [Copy] of blobs
// that are at hand is made of.
func CopyBlob(ctx context.Context, b Blob, offset int64, w io.Writer) error {
	r := io.NewSectionReader(b, offset, max(0, b.Size()-offset))
	buffer := make([]byte, copySize)
	for {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		n, err := io.ReadFull(r, buffer)
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return err
			}
		}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return nil
		default:
			return err
		}
	}
}

// copySize is how much CopyBlob reads at once.
const copySize = 1 << 20
