// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package machine tests what a machine can do to a run of the command: end it at
// any moment, have no room left, take a folder or a terminal away, run many at
// once.
//
// [Kill] kills a command at random moments and has a test check after each what is
// left. How many times says the variable FLATTEN_KILLS:
//
//	FLATTEN_KILLS=200 go test ./internal/machine -run TestKill -v
//
// With the variable set other tests try all that they can, too, such as damage at
// every byte of a file. Tests that mount file systems need root and are skipped for others.
package machine
