// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package diskspace says how much room there is on a disk, where that is known.
package diskspace
