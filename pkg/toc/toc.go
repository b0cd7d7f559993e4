// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

import (
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/inflate"
)

// The types of tar entry that a layer may hold. Old and odd spellings are
// normalised: '\x00', '7' and sparse 'S' are TypeReg; '\x00' with a trailing
// slash is TypeDir.
const (
	TypeReg     = '0'
	TypeLink    = '1'
	TypeSymlink = '2'
	TypeChar    = '3'
	TypeBlock   = '4'
	TypeDir     = '5'
	TypeFifo    = '6'
)

// Layer is the table of contents of one layer.
type Layer struct {
	// Digest is the digest of the blob as stored, verified.
	Digest digest.Digest

	// DiffID is the digest of the tar stream, verified.
	DiffID digest.Digest

	// BlobSize is the size of the blob, Size that of the tar stream, in bytes.
	BlobSize, Size int64

	// HeaderBytes is the memory that names, link targets, owner names, PAX records
	// and sparse maps take, as [image.Limits] counts it.
	HeaderBytes int64

	// Compression is how the blob is stored, by its magic bytes.
	Compression Compression

	// Entries are the entries in the order of the stream, global headers and
	// entries of no effect left out. They do not overlap.
	Entries []Entry

	// Blocks is the block map of a gzip blob, Checkpoints the places where
	// decoding it can resume; nil for others.
	Blocks      []inflate.Block
	Checkpoints []inflate.Checkpoint

	// Warnings are what was odd in the blob or the stream, Layer being 0 in
	// each: the layer does not know where in the stack it stands.
	Warnings []image.Warning

	// Unverified is set when the table comes from a cache: it is that of the
	// blob with this digest, but the blob at hand has not been read: see [Verify].
	Unverified bool
}

// Compression is how a blob is stored.
type Compression uint8

const (
	Plain Compression = iota
	Gzip
	Zstd
)

func (c Compression) String() string {
	return [...]string{"plain", "gzip", "zstd"}[c]
}

// Entry is one entry of a tar stream. Offsets are bytes in the decompressed
// stream. It is kept small: an image may have millions.
//
// The entry's bytes are
//
//	Start            its first header block, extension headers ('x', 'L', 'K') included
//	Start+Header     its body: Stored() bytes, then padding to 512
type Entry struct {
	// Name is the name as stored, extension headers applied, otherwise
	// untouched: bytes that need not be UTF-8, with any "./", "/" or "..".
	Name string

	// Extra holds what most entries do not have; nil when all of it is zero.
	// Entries may share one.
	Extra *Extra

	// Start is where the entry's first header block begins.
	Start int64

	// Size is the size of the file in bytes, holes included; 0 unless TypeReg.
	Size int64

	// Sec and Nsec are the modification time since the epoch. Sec may be
	// negative or out of any file system's range: the merge clamps it.
	Sec  int64
	Nsec int32

	// Header is the length in bytes of all headers of the entry.
	Header int32

	UID, GID uint32

	// Mode is the permission bits with setuid, setgid and sticky, 07777 at most.
	Mode uint16

	Type byte

	// Flags say what the stored header cannot be used for.
	Flags Flags
}

// Flags are findings about a stored header.
type Flags uint8

const (
	// Rewrite: the stored header must not be carried into an output as it is,
	// because readers differ on it or because a value in it was normalised: an
	// old or odd type, bits in the mode that stand for another type, a sparse
	// map, a signed checksum, two extension headers of one kind, no NUL at the
	// end of 'L'.
	Rewrite Flags = 1 << iota

	// Unpadded: the stream ended before the body's padding did.
	Unpadded
)

// Extra is the rarer part of an entry's metadata.
type Extra struct {
	// Link is the target of a symbolic or hard link as stored.
	Link string

	// Uname and Gname are owner names; uid and gid decide.
	Uname, Gname string

	// Devmajor and Devminor number a device.
	Devmajor, Devminor uint32

	// AccessTime and ChangeTime are zero when the header has none.
	AccessTime, ChangeTime time.Time

	// Records are the PAX records that no field above stands for, the extended
	// attributes ("SCHILY.xattr.…") among them, sorted by key, one per key.
	// Records of sparse maps ("GNU.sparse.…") are left out.
	Records []Record

	// Sparse are the data fragments of a sparse file, in order; nil for a file
	// that is stored whole. Their lengths add up to the stored length.
	Sparse []Fragment

	// SparseHeader is how many bytes of the body, a multiple of 512, hold the
	// sparse map itself (PAX sparse format 1.0) and come before the fragments.
	SparseHeader int64

	// IsSparse tells a sparse file without a single fragment from a whole one.
	IsSparse bool
}

// Record is one PAX record (POSIX pax, "ustar Interchange Format" extended
// header). Values may be empty and may hold any byte.
type Record struct{ Key, Value string }

// Fragment is a run of data in a sparse file: Length bytes at Offset.
type Fragment struct{ Offset, Length int64 }

// XattrPrefix begins the key of a PAX record that is an extended attribute.
const XattrPrefix = "SCHILY.xattr."

// Link is the target of a symbolic or hard link as stored, empty otherwise.
func (e *Entry) Link() string {
	if e.Extra == nil {
		return ""
	}
	return e.Extra.Link
}

// Body is the offset of the entry's body.
func (e *Entry) Body() int64 { return e.Start + int64(e.Header) }

// Stored is the number of bytes that the body takes in the stream, padding not
// counted: Size, or less for a sparse file.
func (e *Entry) Stored() int64 {
	if e.Extra == nil || !e.Extra.IsSparse {
		return e.Size
	}
	n := e.Extra.SparseHeader
	for _, f := range e.Extra.Sparse {
		n += f.Length
	}
	return n
}

// End is the offset just behind the entry's body and padding. For an entry
// flagged Unpadded the stream is shorter.
func (e *Entry) End() int64 { return e.Body() + Pad(e.Stored()) }

// Pad rounds n up to the 512 bytes of a tar block.
func Pad(n int64) int64 { return (n + 511) &^ 511 }
