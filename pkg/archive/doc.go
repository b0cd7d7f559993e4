// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package archive reads images from tar files in place: a blob is a range of the
// file, and nothing is unpacked.
//
// # Forms
//
// An oci-archive is an OCI image layout in a tar file; package layout reads it. A
// docker-archive is what "docker save" writes: manifest.json lists images, each
// with the member that is its configuration and the members that are its layers,
// lowest first (162):
//
//	[{"Config": "1f2e….json", "RepoTags": ["app:1"], "Layers": ["ab12…/layer.tar"]}]
//
// Layers may be called <id>/layer.tar (Docker before 25), <digits>.tar (skopeo),
// blobs/sha256/<digits> (Docker since 25) or anything else. The last one alone
// says a blob's digest; otherwise the diffID from the configuration is all there
// is to verify a layer by. An image's ID is the digest of its configuration.
//
// A file may be both; then the layout counts if nobody says otherwise, because it
// has the digest of the manifest.
//
// # Rules
//
//   - The file may be compressed as a whole, with gzip or zstd, or come as a
//     stream. Either way it is stored, decompressed, in a temporary file that has
//     lost its name before anything is written to it (on Windows: that is removed
//     when the image is closed).
//   - A member is a regular file, a hard link to an earlier one, or a symbolic link
//     within the archive; at most 40 links are followed. The last member of a name
//     counts. Other members, and names with ".." or of more than 1,024 bytes, do not
//     exist. Sparse members are refused.
//   - A name in manifest.json that leads outside the archive is refused.
//   - At most 131,072 members, 64 MiB of names and 16,384 images. What is stored is
//     within the Size and the Ratio of image.Limits.
//   - One image of a docker-archive is chosen by a tag in RepoTags, completed as
//     Docker does (app is docker.io/library/app:latest), or by its ID. If neither is
//     given there must be only one. Its configuration says for which platform it
//     is; rules 127 and 160 apply.
//   - An image of a docker-archive that is opened to be copied (OpenRoot) is given
//     a manifest, the OCI's: of the configuration and the layers as they are
//     stored, compressed or not. The same configuration and layers give the same
//     manifest; it is seldom that of the image's registry. A layer that is
//     compressed is read for it and must have its diffID (151).
//
// What is wrong with an archive is image.ErrCorrupt and names the member. Nothing
// here reads layers: whoever reads a blob verifies it.
package archive
