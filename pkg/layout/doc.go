// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package layout reads images from an OCI image layout (image-spec,
// image-layout.md): a directory, or any file system that looks like one. A
// directory is also written to: it is the store of a place without a network.
//
//	oci-layout               {"imageLayoutVersion": "1.0.0"}
//	index.json               an index: what images there are
//	blobs/sha256/<digits>    manifests, configurations, layers
//	.flatten-*               on its way: see Writing
//
// # Rules
//
//   - oci-layout must be there with a version 1. Files not mentioned above are not
//     looked at.
//   - A blob is a regular file or a symbolic link to one within the layout, such as
//     Docker's official busybox layouts have. A link that leads outside, a
//     FIFO, a socket or a device is an error and is not opened.
//   - Every blob that the chosen image needs must be there with the right size (163);
//     those of other images need not. Layers are not verified here: whoever reads
//     them does that.
//
// # Which image
//
// The candidates are the entries of index.json that can be images: not
// attestations and other artifacts.
//
//   - A tag chooses the entries with this org.opencontainers.image.ref.name, or if
//     there is none those with this io.containerd.image.name; the latter may be
//     shortened as Docker does (busybox for docker.io/library/busybox:latest).
//   - A digest chooses the entry with it, or any manifest or index among the blobs.
//   - Otherwise all candidates are chosen.
//
// One must be left. Several that have the same tag, or none, and state a platform
// each of which is another, are one image for several platforms, and the platform
// chooses among them as in an index. Otherwise the error lists them (163).
//
// # Writing
//
// A [Store] is a layout that is open for writing. Add copies an image to it as it is:
// one platform's manifest with all that it refers to, or an index with all that it
// lists, attestations and artifacts too. Manifests and indexes keep every byte.
//
//   - A blob is written to .flatten-<algorithm>-<digits>.part, verified by size and
//     digest, synced, and only then renamed to its place. What there is of such
//     a file is used again, by whoever comes next, and verified with the rest.
//   - index.json is changed last and replaced as a whole, when all blobs are on disk.
//     What else is in it stays, fields that are unknown here too.
//   - So the layout is valid at every moment, whenever the process is killed, and
//     what Add has returned outlives a power failure.
//   - A blob that is there with the right size is not copied again. Manifests and
//     indexes are always compared with their digests, others when
//     AddOptions.Check says so; what is wrong is replaced.
//   - What is in a layer's place but has URLs where to get it (148) is stored like
//     any other layer: the layout is complete.
//   - blobs and the directories in it must be directories, not links.
//
// A new layout is made in a directory that is empty or does not exist; oci-layout is
// its last file.
//
// # Names
//
// An entry has a tag, and a whole name where that is known. AddOptions.Tag is given
// to the image, and taken from the one that had it. Without it the image has the
// tag and the whole name that it has at its source:
//
//	from                          index.json before          tag
//	docker://app:1                                           1
//	docker://app:1, newer         1 docker.io/library/app:1  1, in its place
//	docker://other:1              1 docker.io/library/app:1  docker.io/library/other:1
//	docker://app@sha256:…                                    none
//	oci:dir:1                     1 docker.io/library/app:1  an error: 1 is another image's
//
// # Garbage
//
// RemoveGarbage removes blobs that cannot be reached from index.json: by the entries,
// tagged or not; by any object with a digest in a manifest, an index or another JSON
// document of at most 32 MiB, so that configurations, layers, subjects and what
// unknown types refer to are kept; and by the subject of a document that is about
// something reached. When a manifest or an index that is reached cannot be read,
// or an entry's is not there, nothing is removed. That an index lists what is not
// there is no error. Files that are not called as blobs are stay.
//
// # At once
//
// Several processes may write to a layout at once: one that wants a blob which
// another one is fetching waits for it. Garbage is not removed while a store is
// open. This is done by locks on files of the layout (flock; LockFileEx on Windows,
// where .flatten-index.lock stays behind).
//
// Not promised: where the file system has no locks, and with programs that do not
// take these, nobody waits. index.json is not written over what such a program has
// written since it was read, nor taken for damaged while it is written, but the
// other program may do that to ours. Garbage should not be removed while such a
// program writes. Who reads an image while its last tag goes and garbage is removed
// may find blobs missing.
//
// # Limits
//
//	index.json               4 MiB, or Options.Limits for reading
//	documents of an image    64 MiB together, 1000 documents
//	a blob                   image.MaxLayerSize
//	disk                     each blob once
//	memory                   the documents, and 1 MiB for each blob that is copied
package layout
