// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package hostile_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/internal/hostile"
	"github.com/seed-81b0d42e/flatten/pkg/archive"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// flattened is the digest of the output of an archive, as it comes on standard
// input.
func flattened(t *testing.T, data []byte, tmp string) (digest.Digest, error) {
	img, err := archive.OpenStream(context.Background(), bytes.NewReader(data), archive.Options{TempDir: tmp})
	if err != nil {
		return "", err
	}
	defer img.Close()
	var out bytes.Buffer
	r, err := flatten.Flatten(context.Background(), img, flatten.Options{Output: &out})
	if err != nil {
		return "", err
	}
	if digest.FromBytes(out.Bytes()) != r.Digest {
		t.Errorf("wrote %s, says %s", digest.FromBytes(out.Bytes()), r.Digest)
	}
	return r.Digest, nil
}

// judge wants an error that is the image's fault, or the output of the archive that
// nobody touched.
func judge(t *testing.T, what string, at int, got, want digest.Digest, err error) (accepted bool) {
	t.Helper()
	switch {
	case err == nil && got != want:
		t.Errorf("%s %d: another output", what, at)
	case err != nil && !errors.Is(err, image.ErrCorrupt) && !errors.Is(err, image.ErrNotFound):
		t.Errorf("%s %d: %v", what, at, err)
	}
	return err == nil
}

// step is how many positions are passed over when not everything is tried.
func step(n int) int {
	if os.Getenv(everything) != "" {
		return 1
	}
	return n
}

// An archive that is cut, at any byte, is refused, or nothing that counts was cut
// off: the zeros at its end.
func TestCutAtEveryByte(t *testing.T) {
	for form, data := range hostile.Small() {
		tmp := t.TempDir()
		want, err := flattened(t, data, tmp)
		if err != nil {
			t.Fatal(err)
		}
		content := len(bytes.TrimRight(data, "\x00"))
		taken := 0
		for n := 0; n < len(data); n += step(7) {
			got, err := flattened(t, data[:n], tmp)
			if judge(t, form.String()+" cut at byte", n, got, want, err) {
				taken++
				if n < content {
					t.Errorf("%s cut at byte %d of %d: accepted", form, n, content)
				}
			}
		}
		t.Logf("%s of %d bytes: accepted %d times", form, len(data), taken)
		clean(t, tmp)
	}
}

// A bit that is flipped anywhere is found, or changes nothing of what comes out:
// names that nobody asks for, times of members, padding.
func TestFlipEveryBit(t *testing.T) {
	for form, data := range hostile.Small() {
		tmp := t.TempDir()
		want, err := flattened(t, data, tmp)
		if err != nil {
			t.Fatal(err)
		}
		tried, taken := 0, 0
		for bit := 0; bit < 8*len(data); bit += step(37) {
			flipped := slices.Clone(data)
			flipped[bit/8] ^= 1 << (bit % 8)
			got, err := flattened(t, flipped, tmp)
			tried++
			if judge(t, form.String()+" with another bit", bit, got, want, err) {
				taken++
			}
		}
		t.Logf("%s of %d bytes: accepted %d of %d times", form, len(data), taken, tried)
		if taken == tried {
			t.Errorf("%s: every flip was accepted", form)
		}
		clean(t, tmp)
	}
}

// clean wants nothing to be left in a folder.
func clean(t *testing.T, dir string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil || len(list) > 0 {
		t.Errorf("left: %v, %v", list, err)
	}
}
