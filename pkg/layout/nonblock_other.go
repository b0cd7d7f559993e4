// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package layout

const nonblock = 0
