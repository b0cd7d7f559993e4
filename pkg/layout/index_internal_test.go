// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

func entryOf(tag string) v1.Descriptor {
	return v1.Descriptor{
		MediaType: v1.MediaTypeImageManifest, Digest: digest.FromString(tag), Size: 1,
		Annotations: map[string]string{v1.AnnotationRefName: tag},
	}
}

// Another program, which knows nothing of locks, writes index.json while it is
// being changed: neither entry gets lost.
func TestUpdateWithoutLocks(t *testing.T) {
	for name, write := range map[string]func(path string, b []byte) error{
		"in-place": func(path string, b []byte) error { return os.WriteFile(path, b, 0o644) },
		"replaced": func(path string, b []byte) error {
			if err := os.WriteFile(path+".new", b, 0o644); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		},
		"same-bytes-replaced": func(path string, _ []byte) error {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if err := os.WriteFile(path+".new", b, 0o644); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, err := CreateStore(context.Background(), dir, StoreOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			path := filepath.Join(dir, "index.json")
			theirs, err := (&index{entries: []entry{{Descriptor: entryOf("theirs")}}, fields: nil}).marshalFresh()
			if err != nil {
				t.Fatal(err)
			}
			calls := 0
			err = s.update(context.Background(), func(idx *index) (bool, error) {
				if calls++; calls == 1 {
					if err := write(path, theirs); err != nil {
						return false, err
					}
				}
				_, changed := idx.put(entryOf("ours"), Name{Tag: "ours"})
				return changed, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if calls != 2 || !bytes.Contains(b, []byte(`"ours"`)) || strings.HasPrefix(name, "same") == bytes.Contains(b, []byte(`"theirs"`)) {
				t.Errorf("after %d calls: %s", calls, b)
			}
		})
	}
}

// A file that is half written is read again.
func TestReadPatiently(t *testing.T) {
	dir := t.TempDir()
	s, err := CreateStore(context.Background(), dir, StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	path := filepath.Join(dir, "index.json")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		_, _, err := s.readPatiently(ctx)
		done <- err
	}()
	if err := os.WriteFile(path, whole, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(path, whole[:len(whole)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.readPatiently(ctx); err == nil {
		t.Error("half of it is taken for all")
	}
	cancel()
	if _, _, err := s.readPatiently(ctx); err == nil {
		t.Error("half of it is taken for all when there is no time")
	}
}

// An index that nobody could read any more is not written.
func TestIndexFull(t *testing.T) {
	idx := &index{}
	for i := range 30_000 {
		idx.entries = append(idx.entries, entry{Descriptor: entryOf(fmt.Sprint("tag", i))})
	}
	if _, err := idx.marshalFresh(); err == nil || !strings.Contains(err.Error(), "over the limit") {
		t.Errorf("%v", err)
	}
}

// marshalFresh marshals an index that was not read.
func (idx *index) marshalFresh() ([]byte, error) {
	fresh, err := parseIndex([]byte(emptyIndex))
	if err != nil {
		return nil, err
	}
	fresh.entries = idx.entries
	return fresh.marshal()
}

// Any index.json that is accepted is kept, and can be read again.
func FuzzKeepIndex(f *testing.F) {
	f.Add([]byte(emptyIndex))
	f.Add([]byte(`{"manifests":[{"digest":"sha256:0","size":1,"x":1e400,"annotations":null},{}],"y":[]}`))
	f.Add([]byte(`{"manifests":null,"MANIFESTS":[{}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		idx, err := parseIndex(raw)
		if err != nil {
			return
		}
		before := len(idx.entries)
		idx.put(entryOf("new"), Name{Tag: "new"})
		b, err := idx.marshal()
		if err != nil {
			t.Fatalf("%v", err)
		}
		again, err := parseIndex(b)
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if n := len(again.entries); n > before+1 || n < 1 {
			t.Errorf("%d entries, were %d", n, before)
		}
		once, err := again.marshal()
		if err != nil || !bytes.Equal(once, b) {
			t.Errorf("%s\n%s\n%v", b, once, err)
		}
	})
}
