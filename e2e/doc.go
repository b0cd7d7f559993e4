// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package e2e tests the flatten command from end to end on real images: what a
// container engine builds from a Dockerfile, saves, pushes and exports.
//
// Each test says what it needs and is skipped where that is not at hand. The
// base image is a Debian that debootstrap makes. It takes a minute or two and is
// kept in the folder that FLATTEN_E2E_CACHE names, or in flatten-e2e in the
// user's cache folder.
package e2e
