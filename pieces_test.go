// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package flatten_test

import (
	"bytes"
	"testing"

	"github.com/seed-81b0d42e/flatten"
)

// What is said to be copied and encoded before is what Write copies and encodes.
func TestPieces(t *testing.T) {
	for _, opts := range []flatten.Options{{}, {Canonical: true}, {RootEntry: true}, {Level: 9}} {
		m, err := flatten.Load(t.Context(), hello(t), opts)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		pieces, err := m.Pieces(m.Plan(opts), opts)
		if err != nil {
			t.Fatal(err)
		}
		var copied, encoded int64
		for _, p := range pieces {
			if p.Encoded() {
				encoded += p.Length
			} else {
				copied += p.Length
			}
		}
		opts.Output = new(bytes.Buffer)
		r, err := m.Write(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		if copied != r.Copied || encoded != r.Encoded || copied+encoded != r.TarSize {
			t.Errorf("%+v: %d copied, %d encoded, want %d, %d", opts, copied, encoded, r.Copied, r.Encoded)
		}
	}
}
