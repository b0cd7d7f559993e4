// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package flatten

import (
	"io"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// Options say how an image is flattened. The zero value writes a digest-named
// file to the current directory.
type Options struct {
	// Output receives the stream. Nil: a file in Dir named by its digest.
	Output io.Writer

	// Dir is the folder of the digest-named file; empty means ".".
	Dir string

	// Uncompressed writes a plain tar (<sha256>.tar) instead of a gzip one.
	Uncompressed bool

	// Level, from 1 to 9, compresses everything again at that level. 0 copies
	// compressed blocks as they are wherever that can be.
	Level int

	// TarDigest asks for Result.TarDigest. Unless everything is compressed
	// again, that means to decompress all of the output.
	TarDigest bool

	// Canonical writes the same bytes for the same filesystem whatever its
	// layers, headers or compression were.
	Canonical bool

	// Epoch, when not nil, is the latest modification time that a canonical
	// output holds, and the time of directories that no layer has an entry for.
	Epoch *time.Time

	// RootEntry keeps the topmost layer's entry for the root directory.
	RootEntry bool

	// FollowLowerSymlinks lets an entry whose parent is a symbolic link in a
	// lower layer follow that link, as unpacking into one folder would, instead
	// of replacing it, as overlayfs does (rule 45).
	FollowLowerSymlinks bool

	// Strict makes every warning an error.
	Strict bool

	// Jobs is how many layers are read and how many blocks are compressed at
	// once; 0 means one for each processor. It does not change the output.
	Jobs int

	// Cache, when not nil, remembers the tables of contents of layers.
	Cache *toc.Cache

	// TempDir is where layers are kept, compressed, that have to be read in an order
	// in which they cannot be decoded; empty means [os.TempDir]. Of what is known
	// only a canonical output of large layers wants it.
	TempDir string

	// Limits bound what a hostile image can make flatten do.
	Limits image.Limits

	// Progress, when not nil, is told what goes on. It is called from several
	// goroutines at once and must return quickly.
	Progress func(Event)
}

// Event is one step of progress.
type Event struct {
	// Stage is what goes on.
	Stage Stage

	// Layer is the layer's index, lowest first from 0, for stage Scan.
	Layer int

	// Done and Total are bytes: of the blob for Scan, of the tar for Write.
	// Done never goes back. Done equals Total when the step is over.
	Done, Total int64
}

// Stage is a step of flattening.
type Stage uint8

const (
	Scan  Stage = iota // a layer is read, and for a registry fetched
	Write              // the output is written
)

// Result is what was written.
type Result struct {
	// Path is the file, empty when Options.Output was set.
	Path string

	// Digest and Size are those of the bytes written.
	Digest digest.Digest
	Size   int64

	// TarSize is the length of the tar stream inside.
	TarSize int64

	// TarDigest is the digest of the tar stream inside. It is empty when it was
	// not asked for and is not known anyway.
	TarDigest digest.Digest

	// Copied and Encoded are the bytes of the tar stream that were copied as
	// compressed blocks and those that were compressed here.
	Copied, Encoded int64

	// Entries is the number of entries in the tar.
	Entries int

	// Layers are the layers' blobs, lowest first.
	Layers []ResultLayer

	// Warnings are what the rules tolerated.
	Warnings []image.Warning

	// Encoder names what made the compressed bytes and with which parameters:
	// the same image, flags and encoder give the same bytes.
	Encoder string
}

// ResultLayer is one layer of the image, as it was read.
type ResultLayer struct {
	Digest, DiffID digest.Digest
	Size           int64 // of the blob, in bytes
	Uncompressed   int64 // of the tar stream, in bytes
	Entries        int
}
