// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package toc

// Limits bound what one hostile layer can cost. A field that is not positive
// means its default.
type Limits struct {
	// Entries is the number of entries; default 20 million. Each takes 72
	// bytes, and what HeaderBytes counts.
	Entries int64

	// Size is the length of the tar stream, what follows its end and the holes
	// of sparse files included, in bytes; default 1 TiB.
	Size int64

	// HeaderBytes is the memory that names, link targets, owner names and PAX
	// records take, in bytes; default 1 GiB.
	HeaderBytes int64

	// Fragments is the number of fragments that the maps of all sparse files
	// have together; default 1,048,576. Each takes 16 bytes.
	Fragments int64
}

// Bounds that are not for a caller to choose: past them no runtime takes a
// layer either, or no file system a file.
const (
	maxSpecial   = 1 << 20 // bytes of an extension header's body; also of a sparse map
	maxHeaders   = 8 << 20 // bytes of all headers of one entry
	maxXattr     = 1 << 16 // bytes of an extended attribute's value (Linux, XATTR_SIZE_MAX)
	maxSymlink   = 4096    // bytes of a symbolic link's target, its NUL included (Linux, PATH_MAX)
	maxID        = 1<<32 - 2
	maxDevice    = 1<<32 - 1
	maxExtension = (maxSpecial - 97) / blockSize // blocks that extend an old GNU sparse map
	maxWarnings  = 1000
)

// withDefaults fills in the defaults.
func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		field *int64
		value int64
	}{
		{&l.Entries, 20_000_000},
		{&l.Size, 1 << 40},
		{&l.HeaderBytes, 1 << 30},
		{&l.Fragments, 1 << 20},
	} {
		if *f.field <= 0 {
			*f.field = f.value
		}
	}
	return l
}
