// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package flatten turns a layered container image into one digest-named gzip
// tar of its filesystem: what a container would see, without a daemon, without
// root and without unpacking anything.
//
// [Flatten] is the whole of it. An image comes from pkg/registry, pkg/layout or
// pkg/archive:
//
//	reference ──> registry | layout | archive ──> image.Image
//	                                │  each layer once, in parallel
//	                                v
//	                           toc.Scan ──> toc.Layer
//	                                │  all layers, lowest first
//	                                v
//	                     whiteout.Merge ──> whiteout.View
//	                                v
//	                            plan.Of ──> plan.Plan, a list of extents
//	                                v
//	                             splice ──> one gzip member
//	                                v
//	                             digest ──> <sha256>.tar.gz
//
// # Promises
//
// The output is what a container sees, by the rules of docs/semantics.md. The
// same manifest and options give the same bytes, whatever the source, the
// number of jobs or the machine. A file appears under its final name whole and
// synced or not at all. Every blob's size and digest and every layer's diffID
// is verified. Memory grows with the number of entries, not with their sizes.
package flatten
