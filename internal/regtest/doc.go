// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package regtest runs registries for tests, on the loopback interface alone.
//
// [New] wraps go-containerregistry's in-process registry: it can want basic or
// token authentication, ignore ranges, send blobs from a second host and fail on
// demand, and it records every request. [Distribution] starts a real one,
// Debian's docker-registry, where it is installed.
//
//	s := regtest.New(t, regtest.Config{Fault: func(r regtest.Request) regtest.Fault {
//		if r.IsBlob && r.N == 1 {
//			return regtest.Fault{Cut: true, After: 1000} // breaks once, after 1,000 bytes
//		}
//		return regtest.Fault{}
//	}})
//	ref := s.Push(t, "app:1", img)
package regtest
