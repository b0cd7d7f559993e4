// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package flatten_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/seed-81b0d42e/flatten"
	. "github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/verify"
)

// memory is a file in memory.
type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

// single is the filesystem of a file.
func single(t *testing.T, file []byte) (*flatten.Merged, error) {
	t.Helper()
	r, err := verify.Read(context.Background(), bytes.NewReader(file), verify.Options{})
	if err != nil || !r.Sound() {
		t.Fatalf("%v %v", r, err)
	}
	return flatten.Single(r.Layer, memory{bytes.NewReader(file)}, flatten.Options{})
}

// A flattened file is the filesystem of its image, and no other one.
func TestSingle(t *testing.T) {
	ctx := context.Background()
	lower, upper := Layer(File("a", "1"), File("b", "2"), Link("c", "b")).Gzip(), Layer(Whiteout("a"), File("d/e", "3"))
	for _, opts := range []flatten.Options{{}, {Canonical: true}, {Uncompressed: true}} {
		m := load(t, Image(lower, upper), flatten.Options{})
		var out bytes.Buffer
		opts.Output = &out
		if _, err := m.Write(ctx, opts); err != nil {
			t.Fatal(err)
		}
		s, err := single(t, out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for img, want := range map[*flatten.Merged]string{
			m:                                        "[]",
			load(t, Image(lower), flatten.Options{}): "[D /a A /d A /d/e]",
			load(t, Image(lower, Layer(Whiteout("a"), File("d/e", "4"))), flatten.Options{}):         "[C /d/e]",
			load(t, Image(lower, upper, Layer(Whiteout("c"), File("c", "2"))), flatten.Options{}):    "[C /c]",
			load(t, Image(lower, upper, Layer(File("f", ""), File("d/e", "33"))), flatten.Options{}): "[C /d/e D /f]",
		} {
			changes, err := flatten.Diff(ctx, img, s, flatten.Options{}, everything)
			if got := fmt.Sprint(changes); err != nil || got != want {
				t.Errorf("%+v: %s, want %s, %v", opts, got, want, err)
			}
		}
	}
}

// What no container can have is no filesystem.
func TestSingleFails(t *testing.T) {
	_, err := single(t, Layer(File(strings.Repeat("n", 256), "")).Tar)
	if !errors.Is(err, image.ErrCorrupt) || !strings.Contains(err.Error(), "rule 94") {
		t.Errorf("error %v", err)
	}
}
