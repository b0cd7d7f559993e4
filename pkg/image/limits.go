// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"fmt"
	"math"
)

// Limits bound what reading an image can cost. A field that is not positive means
// its default. Counts and sums are those of all layers of an image, one that
// occurs twice counted twice.
//
// The defaults let every image pass that is known to be in use, of tens of
// gigabytes and some million files, while one of a few megabytes, whatever it
// holds, takes no more than 256 MiB of memory.
type Limits struct {
	// Entries is the number of tar entries; default 20 million.
	Entries int64

	// PathBytes is the length of a path in the image; default 4095, the most that
	// Linux looks up.
	PathBytes int64

	// Size is the length of the tar streams in bytes, with the holes of sparse
	// files; default 1 TiB.
	Size int64

	// Ratio is how many times as long as its blob a layer may be, and all layers
	// together as their blobs; default 200. It is not counted below 1 GiB, so that
	// empty disks and databases pass, and each entry counts 8 KiB beside its own
	// bytes: what it takes at least, inode and all, where it is unpacked. What is
	// common decompresses to 3 to 10 times its size; DEFLATE can reach 1032, zstd has
	// no bound.
	Ratio int64

	// HeaderBytes is the memory that names, link targets, owner names, PAX records
	// and sparse maps take, beyond 128 bytes of each entry; default 64 MiB. A
	// fragment of a sparse file counts 64 bytes, a directory that no entry stands
	// for 256, and so does a DEFLATE block where there are more of them than one
	// for each 64 bytes.
	HeaderBytes int64

	// ManifestBytes is the size of a manifest or an index; default
	// [MaxManifestSize].
	ManifestBytes int64

	// ConfigBytes is the size of a configuration; default [MaxConfigSize].
	ConfigBytes int64

	// IndexDepth is how many indexes may lie within each other; default
	// [MaxDepth].
	IndexDepth int64
}

// What the documentation of [Limits] says of Ratio.
const (
	ratioFrom  = 1 << 30
	ratioEntry = 8192
)

// WithDefaults fills in the defaults.
func (l Limits) WithDefaults() Limits {
	for _, f := range []struct {
		field *int64
		value int64
	}{
		{&l.Entries, 20_000_000},
		{&l.PathBytes, 4095},
		{&l.Size, 1 << 40},
		{&l.Ratio, 200},
		{&l.HeaderBytes, 64 << 20},
		{&l.ManifestBytes, MaxManifestSize},
		{&l.ConfigBytes, MaxConfigSize},
		{&l.IndexDepth, MaxDepth},
	} {
		if *f.field <= 0 {
			*f.field = f.value
		}
	}
	return l
}

// CheckRatio fails when so many bytes with so many entries are too much for blobs
// of a size. Ratio must not be 0.
func (l Limits) CheckRatio(blob, bytes, entries int64) error {
	most := int64(math.MaxInt64)
	if blob < most/l.Ratio {
		most = max(ratioFrom, blob*l.Ratio)
	}
	if bytes > most-min(entries, most/ratioEntry)*ratioEntry {
		return Over("Ratio", l.Ratio)
	}
	return nil
}

// LimitError says which limit an image is over.
type LimitError struct {
	// Limit is the name of the field of [Limits].
	Limit string

	// Max is its value.
	Max int64
}

// Over is the error of an image that is over a limit. It is [ErrCorrupt] and a
// [*LimitError].
func Over(limit string, most int64) error {
	return Corruptf("%w", &LimitError{limit, most})
}

func (e *LimitError) Error() string {
	return fmt.Sprintf(map[string]string{
		"Entries":       "more than %d entries",
		"PathBytes":     "more than the %d bytes that a path may have",
		"Size":          "more than %d uncompressed bytes",
		"Ratio":         "more than %d times as large as it is compressed",
		"HeaderBytes":   "more than %d bytes of names and records",
		"ManifestBytes": "a manifest of more than %d bytes",
		"ConfigBytes":   "a configuration of more than %d bytes",
		"IndexDepth":    "indexes nested more than %d deep",
	}[e.Limit], e.Max)
}
