// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package layout reads images from an OCI image layout (image-spec,
// image-layout.md): a directory, or any file system that looks like one.
//
//	oci-layout               {"imageLayoutVersion": "1.0.0"}
//	index.json               an index: what images there are
//	blobs/sha256/<digits>    manifests, configurations, layers
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
package layout
