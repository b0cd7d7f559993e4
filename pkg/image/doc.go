// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package image holds the plain facts that every source yields, and the rules
// by which a source gets from stored bytes to those facts: an image is a
// configuration and a stack of layers, a layer is a blob with a digest.
//
// # Terms
//
//   - A blob is a run of stored bytes: what a registry serves under a digest,
//     a file below blobs/ in an OCI layout, a member of an archive.
//   - A layer is a tar stream, stored as a blob that may be compressed.
//   - The digest of a layer is that of its blob; its diffID is the digest of
//     the tar stream after decompression (OCI image-spec, config.md, "Layer
//     DiffID").
//   - A descriptor is media type, digest and size of a blob. A manifest lists
//     the descriptors of one image's configuration and layers; an index lists
//     descriptors of manifests, each for a platform, and of further indexes.
//
// # Rules
//
// A source (pkg/registry, pkg/layout, pkg/archive) finds the descriptor that its
// user named and calls [Resolve], which asks it for further blobs and yields an
// [Image] whose layers the source then knows how to open. Numbers are those of
// docs/semantics.md.
//
//   - Every document is verified against its descriptor's size and digest before
//     it is parsed. Digests are sha256 or sha512; a descriptor's size is at least
//     0 and at most [MaxLayerSize]; embedded data must be what size and digest say
//     (165).
//   - A manifest, index or configuration that is larger, and indexes that are
//     nested deeper, than [Limits] say and more than [MaxDocuments] documents are
//     refused before they are read (157), more than [MaxEntries] entries or
//     [MaxHistory] steps of history before they take memory.
//   - A document with a JSON key twice in one object is refused ([CheckKeys]).
//   - A document that could be taken for a manifest and an index at once is
//     refused, and so is one of another kind than its descriptor says. Docker's
//     media types and OCI's name the same kinds. Schema 1 is refused (161).
//   - Of an index the entry that matches the platform best is chosen, the first
//     of equals ([Match]; 159). Entries that state no platform come after all that
//     do and are judged by their configuration. None: [ErrNotFound], with a list
//     of what there is (158). Attestations and other artifacts are never chosen,
//     and refused when they are what the user named (154, 155).
//   - When a platform was asked for, the image is for that operating system and
//     architecture or is not found. When none was, this machine's is the default,
//     another architecture is a warning (160) and another operating system than
//     linux an error (127).
//   - Layers and diffIDs pair up one to one (152); rootfs.type is "layers" or
//     missing (153); encrypted layers are refused (147). Something among the layers
//     that is not one is an error, unless leaving it out makes layers and diffIDs
//     pair up (156).
//   - The history has no say in anything (164); Image.History pairs it with the
//     layers for those who want to read it. There may be any number of layers
//     (166).
//
// Errors and warnings repeat an image's own text on one line, without control
// characters and in part only where it is long ([Quote], [ShowPlatform]).
//
// A [Root] is the document that a reference names, as it is stored; ReadContents
// finds by the same rules what it is made of, for those who copy it.
//
// Nothing here reads layers: whoever reads a blob verifies it.
package image
