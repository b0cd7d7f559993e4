// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package reference turns the text by which a person names an image into a typed
// value. It is pure: whether there is such an image is for others to find out.
//
// # Forms
//
//	docker://NAME[:TAG][@DIGEST]     an image in a registry
//	NAME[:TAG][@DIGEST]              the same
//	oci:DIR[:TAG|@DIGEST]            an OCI image layout directory
//	oci-dir:DIR[:TAG|@DIGEST]        the same
//	oci-archive:FILE[:TAG|@DIGEST]   a tar file of such a layout
//	docker-archive:FILE[:REF|@ID]    a tar file as "docker save" writes it
//	-                                either archive, on standard input
//	./x  ../x  /x  .  ..  C:\x       a path: what it is shows when it is read
//
// # Rules
//
// NAME is completed as Docker does: without a host it is of docker.io, there
// without a slash it is of library/, and without a tag or digest its tag is
// latest. The first part of a name is a host if it is localhost or has a dot or a
// colon. With both a tag and a digest the digest decides. The grammar is that of
// Docker's references, which go-containerregistry's name package accepts a
// superset of ("a//b", "a/../b"); every name accepted here is read the same there.
//
// DIR and FILE end at the first colon, but for the one of a drive letter ("C:\x",
// "C:/x"): TAG may have colons ("oci:dir:docker.io/library/app:1"), as skopeo has
// it. To name a file whose path has a colon, give it as a path. A digest is sha256 or sha512.
// The ID of an image in a docker-archive is the digest of its configuration.
//
// Two slashes after a scheme are taken only where every tool agrees on what they
// mean: "docker://x", and "oci:///x" for the absolute path /x.
//
// Words that other tools use as a scheme are refused with a hint, because as the
// name of an image on docker.io they are most likely not meant: "docker:alpine".
// Say docker://docker:alpine to mean that.
package reference
