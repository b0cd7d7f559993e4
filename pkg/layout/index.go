// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/internal/atomicfile"
	"github.com/seed-81b0d42e/flatten/internal/filelock"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// index is index.json on its way from one state to the next. What others wrote is
// kept as it is, fields that are not known here too.
type index struct {
	fields  map[string]json.RawMessage
	entries []entry
}

// entry is one descriptor in index.json. Its bytes are nil when it was changed.
type entry struct {
	v1.Descriptor
	raw json.RawMessage
}

// parseIndex parses index.json.
func parseIndex(raw []byte) (*index, error) {
	parsed, err := image.ParseIndex(v1.MediaTypeImageIndex, raw)
	if err != nil {
		return nil, err
	}
	idx := &index{}
	var all []json.RawMessage
	err = json.Unmarshal(raw, &idx.fields)
	if list := idx.fields["manifests"]; err == nil && list != nil {
		err = json.Unmarshal(list, &all)
	}
	for key := range idx.fields {
		for _, own := range []string{"schemaVersion", "mediaType", "manifests"} {
			if key != own && strings.EqualFold(key, own) {
				return nil, image.Corruptf("%s is written as %s", own, image.Quote(key))
			}
		}
	}
	if err != nil || len(all) != len(parsed.Manifests) {
		return nil, image.Corruptf("not an index that can be changed: what is in it is not clear")
	}
	for i, d := range parsed.Manifests {
		idx.entries = append(idx.entries, entry{d, all[i]})
	}
	return idx, nil
}

// descriptors are the entries as the functions that choose take them.
func (idx *index) descriptors() v1.Index {
	var list v1.Index
	for _, e := range idx.entries {
		list.Manifests = append(list.Manifests, e.Descriptor)
	}
	return list
}

// marshal is the index as it is written: first what every index has.
func (idx *index) marshal() ([]byte, error) {
	fields := maps.Clone(idx.fields)
	for key, value := range map[string]string{"schemaVersion": "2", "mediaType": `"` + v1.MediaTypeImageIndex + `"`} {
		if fields[key] == nil {
			fields[key] = json.RawMessage(value)
		}
	}
	var err error
	if fields["manifests"], err = idx.manifests(); err != nil {
		return nil, err
	}
	first := []string{"schemaVersion", "mediaType", "manifests"}
	rest := slices.DeleteFunc(slices.Sorted(maps.Keys(fields)), func(key string) bool { return slices.Contains(first, key) })
	var b bytes.Buffer
	for i, key := range append(first, rest...) {
		b.WriteByte("{,"[min(i, 1)])
		name, _ := json.Marshal(key)
		b.Write(name)
		b.WriteByte(':')
		if err := json.Compact(&b, fields[key]); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	if b.Len() > image.MaxManifestSize {
		err := image.Corruptf("index.json would have %d bytes, over the limit of %d", b.Len(), image.MaxManifestSize)
		return nil, image.WithHint(err, "untag images, or use another layout")
	}
	return b.Bytes(), nil
}

// manifests is the list of entries.
func (idx *index) manifests() (json.RawMessage, error) {
	list := []byte{'['}
	for i, e := range idx.entries {
		raw := e.raw
		if raw == nil {
			var err error
			if raw, err = json.Marshal(e.Descriptor); err != nil {
				return nil, err
			}
		}
		if i > 0 {
			list = append(list, ',')
		}
		list = append(list, raw...)
	}
	return append(list, ']'), nil
}

// Another program may be writing index.json in place while it is read, which takes
// it no time: then it is read again.
const (
	patience     = 10
	patienceWait = 20 * time.Millisecond
)

// readPatiently reads index.json while another program may be writing it.
func (s *Store) readPatiently(ctx context.Context) ([]byte, *index, error) {
	for i := 1; ; i++ {
		raw, idx, err := s.readChangeable()
		if err == nil || !errors.Is(err, image.ErrCorrupt) || i == patience {
			return raw, idx, err
		}
		if err := pause(ctx, patienceWait); err != nil {
			return nil, nil, err
		}
	}
}

// readChangeable reads index.json of what must be a layout, to change it.
func (s *Store) readChangeable() ([]byte, *index, error) {
	if err := s.checkHeader(); err != nil {
		return nil, nil, err
	}
	raw, err := s.readFile(v1.ImageIndexFile, image.MaxManifestSize)
	if err != nil {
		return nil, nil, s.fileError(v1.ImageIndexFile, err)
	}
	idx, err := parseIndex(raw)
	if err != nil {
		return nil, nil, image.Corruptf("%s: %s: %w", s.source, v1.ImageIndexFile, err)
	}
	return raw, idx, nil
}

// update changes index.json, unless change says that nothing has changed. It calls
// change again with what is there by then if another program has written
// meanwhile.
func (s *Store) update(ctx context.Context, change func(*index) (changed bool, err error)) error {
	for {
		done, err := s.tryUpdate(ctx, change)
		if done || err != nil {
			return err
		}
	}
}

func (s *Store) tryUpdate(ctx context.Context, change func(*index) (bool, error)) (done bool, err error) {
	lock, err := s.lockFile(ctx, indexLock, filelock.Exclusive, nil) // not for long
	if err != nil {
		return false, err
	}
	defer lock.Close()
	raw, idx, err := s.readPatiently(ctx)
	if err != nil {
		return false, err
	}
	if changed, err := change(idx); err != nil || !changed {
		return true, err
	}
	fresh, err := idx.marshal()
	if err != nil {
		return false, err
	}
	f, err := atomicfile.Create(s.dir)
	if err != nil {
		return false, err
	}
	defer f.Discard()
	if _, err := f.Write(fresh); err != nil {
		return false, err
	}
	if err := f.Sync(); err != nil {
		return false, err
	}
	// What has been written without a lock since must not get lost.
	now, err := s.readFile(v1.ImageIndexFile, image.MaxManifestSize)
	if err != nil || !bytes.Equal(now, raw) || !s.still(lock, indexLock) {
		return false, ctx.Err()
	}
	if err := f.Commit(v1.ImageIndexFile); err != nil {
		return false, err
	}
	return true, atomicfile.SyncDir(s.dir)
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
