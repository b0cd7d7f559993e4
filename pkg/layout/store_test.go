// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package layout_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/image/imagetest"
	"github.com/seed-81b0d42e/flatten/pkg/layout"
)

// origin is where images come from: blobs in memory, with a note of what is asked.
type origin struct {
	imagetest.Store
	mu     sync.Mutex
	copied []string                                        // "offset digest", of blobs
	fault  func(d digest.Digest, b []byte) ([]byte, error) // what is sent instead
}

func (o *origin) root(d v1.Descriptor, tag, name string) *image.Root {
	return &image.Root{
		Reference: "test", Descriptor: d, Tag: tag, Name: name,
		Fetch: func(_ context.Context, d v1.Descriptor) ([]byte, error) {
			if b, ok := o.Store[d.Digest]; ok {
				return b, nil
			}
			return nil, image.NotFoundf("no %s", d.Digest)
		},
		Copy: o.copy,
	}
}

func (o *origin) copy(_ context.Context, d v1.Descriptor, offset int64, w io.Writer) error {
	o.mu.Lock()
	o.copied = append(o.copied, fmt.Sprint(offset, " ", d.Digest))
	o.mu.Unlock()
	b, err := o.Store[d.Digest], error(nil)
	if o.fault != nil {
		b, err = o.fault(d.Digest, b)
	}
	if offset < int64(len(b)) {
		if _, err := w.Write(b[offset:]); err != nil {
			return err
		}
	}
	return err
}

func createStore(t *testing.T, dir string) *layout.Store {
	t.Helper()
	s, err := layout.CreateStore(ctx, dir, layout.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func add(t *testing.T, s *layout.Store, root *image.Root, o layout.AddOptions) *layout.Added {
	t.Helper()
	a, err := s.Add(ctx, root, o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// tree is the files below a folder.
func tree(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// checkTree checks that a layout has the blobs of a store and nothing else but
// what makes it a layout.
func checkTree(t *testing.T, dir string, want imagetest.Store) {
	t.Helper()
	files := tree(t, dir)
	expected := want.Layout()
	for name, b := range expected {
		if name != "index.json" && !bytes.Equal(files[name], b) {
			t.Errorf("%s: %d bytes, want %d", name, len(files[name]), len(b))
		}
	}
	for name := range files {
		if _, ok := expected[name]; !ok {
			t.Errorf("%s should not be there", name)
		}
	}
}

// index is the entries of index.json, each with its names.
func index(t *testing.T, dir string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var idx v1.Index
	if err := json.Unmarshal(b, &idx); err != nil {
		t.Fatal(err)
	}
	list := []string{}
	for _, d := range idx.Manifests {
		list = append(list, fmt.Sprintf("%s|%s %s", d.Annotations[v1.AnnotationRefName], d.Annotations["io.containerd.image.name"], d.Digest))
	}
	return list
}

// One platform's image comes with its manifest, configuration and layers alone;
// what is there is not copied again.
func TestAdd(t *testing.T) {
	o := &origin{Store: imagetest.Store{}}
	app := o.Image(here, base, top, base)
	want := maps.Clone(o.Store)
	idx := o.Index(app, o.Image("linux/mips", imagetest.Layer("mips=1")))
	dir := filepath.Join(t.TempDir(), "new", "store")
	s := createStore(t, dir)
	a := add(t, s, o.root(idx, "1", "docker.io/library/app:1"), layout.AddOptions{})
	if a.Descriptor.Digest != app.Digest || a.Reference != "oci:"+dir+":1" || a.Blobs != 4 || a.Copied != 4 || a.Size != a.CopiedSize {
		t.Errorf("added %+v", a)
	}
	checkTree(t, dir, want)
	img, err := layout.OpenDir(ctx, dir, layout.Options{Tag: "app:1"})
	if err != nil {
		t.Fatal(err)
	}
	checkLayers(t, img, base, top, base)
	if string(img.Manifest) != string(o.Store[app.Digest]) {
		t.Error("the manifest is not what it was")
	}
	img.Close()

	before, _ := os.Stat(filepath.Join(dir, "index.json"))
	o.copied = nil
	a = add(t, s, o.root(idx, "1", "docker.io/library/app:1"), layout.AddOptions{Check: true})
	after, _ := os.Stat(filepath.Join(dir, "index.json"))
	if a.Copied != 0 || len(o.copied) > 0 || !os.SameFile(before, after) {
		t.Errorf("the same again: %+v, asked for %s", a, o.copied)
	}
	if got := index(t, dir); len(got) != 1 {
		t.Errorf("index.json has %s", got)
	}
}

// With all platforms the index comes with whatever it lists, and all of it is
// reachable.
func TestAddAllPlatforms(t *testing.T) {
	o := &origin{Store: imagetest.Store{}}
	app := o.Image(here, base)
	sbom := o.Manifest("linux/amd64", [][]byte{[]byte("{}")}, func(m *v1.Manifest, _ *v1.Image) {
		m.ArtifactType = "application/spdx+json"
		m.Subject = &v1.Descriptor{MediaType: app.MediaType, Digest: app.Digest, Size: app.Size}
	})
	idx := o.Index(app, imagetest.Attestation(o.Image("linux/amd64", top)), sbom, o.Add("x/y", []byte("?")), o.Index(o.Image("linux/mips", top)))
	dir := t.TempDir()
	s := createStore(t, dir)
	a := add(t, s, o.root(idx, "", ""), layout.AddOptions{AllPlatforms: true, Tag: "all"})
	checkTree(t, dir, o.Store)
	if a.Descriptor.Digest != idx.Digest || a.Descriptor.MediaType != v1.MediaTypeImageIndex || a.Blobs != len(o.Store) {
		t.Errorf("added %+v", a)
	}
	s.Close()
	if g := removeGarbage(t, dir); len(g.Blobs) > 0 || g.Kept != len(o.Store) {
		t.Errorf("garbage %v, kept %d of %d", g.Blobs, g.Kept, len(o.Store))
	}
}

// A document keeps every byte, whatever it looks like.
func TestAddKeepsBytes(t *testing.T) {
	o := &origin{Store: imagetest.Store{}}
	o.Image(here, base)
	var docker v1.Descriptor
	for d, b := range maps.Clone(o.Store) {
		if strings.Contains(string(b), `"layers":[{`) {
			odd := strings.ReplaceAll(string(b), v1.MediaTypeImageManifest, "application/vnd.docker.distribution.manifest.v2+json")
			odd = "\n " + strings.Replace(odd, `"layers":`, "\"x\" : 1.50,\t\"layers\":", 1) + "\n\n"
			delete(o.Store, d)
			docker = o.Add("application/vnd.docker.distribution.manifest.v2+json", []byte(odd))
		}
	}
	dir := t.TempDir()
	a := add(t, createStore(t, dir), o.root(docker, "1", ""), layout.AddOptions{})
	checkTree(t, dir, o.Store)
	if a.Descriptor.MediaType != docker.MediaType || a.Descriptor.Digest != docker.Digest {
		t.Errorf("added %+v", a.Descriptor)
	}
}

var errCut = errors.New("cut")

// What arrived before a failure is not asked for again, and what is wrong never
// gets a blob's name.
func TestAddResumes(t *testing.T) {
	large := bytes.Repeat([]byte("0123456789abcdef"), 5000)
	layer := imagetest.Gzip(large)
	d := digest.FromBytes(layer)
	half := len(layer) / 2
	cut := func(of digest.Digest, b []byte) ([]byte, error) {
		if of == d {
			return b[:half], errCut
		}
		return b, nil
	}
	for _, tc := range []struct {
		name  string
		first func(digest.Digest, []byte) ([]byte, error)
		spoil func(t *testing.T, part string)
		then  []string // the offsets that are asked for when it is tried again
		err   error
	}{
		{"cut", cut, nil, []string{fmt.Sprint(half)}, errCut},
		{"cut-and-spoiled", cut, func(t *testing.T, part string) { write(t, part, bytes.Repeat([]byte("x"), half)) }, []string{fmt.Sprint(half), "0"}, errCut},
		{"cut-and-too-long", cut, func(t *testing.T, part string) { write(t, part, bytes.Repeat([]byte("x"), len(layer)+1)) }, []string{"0"}, errCut},
		{"cut-and-whole", cut, func(t *testing.T, part string) { write(t, part, layer) }, nil, errCut},
		{"wrong-bytes", func(of digest.Digest, b []byte) ([]byte, error) {
			if of == d {
				b = bytes.Clone(b)
				b[half] ^= 1
			}
			return b, nil
		}, nil, []string{"0"}, image.ErrCorrupt},
		{"too-long", func(of digest.Digest, b []byte) ([]byte, error) {
			if of == d {
				b = append(bytes.Clone(b), 0)
			}
			return b, nil
		}, nil, []string{"0"}, image.ErrCorrupt},
		{"too-short", func(of digest.Digest, b []byte) ([]byte, error) {
			if of == d {
				b = b[:half]
			}
			return b, nil
		}, nil, []string{"0"}, image.ErrCorrupt},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := &origin{Store: imagetest.Store{}, fault: tc.first}
			app := o.Image(here, layer)
			dir := t.TempDir()
			s := createStore(t, dir)
			if _, err := s.Add(ctx, o.root(app, "1", ""), layout.AddOptions{}); !errors.Is(err, tc.err) {
				t.Fatalf("%v, want %v", err, tc.err)
			}
			if _, err := os.Lstat(blobFile(dir, d)); err == nil || len(index(t, dir)) > 0 {
				t.Errorf("the image is there")
			}
			parts, _ := filepath.Glob(filepath.Join(dir, ".flatten-*"))
			if cut := tc.err == errCut; len(parts) != map[bool]int{true: 1}[cut] {
				t.Errorf("left %s", parts)
			}
			if tc.spoil != nil {
				tc.spoil(t, parts[0])
			}
			o.fault, o.copied = nil, nil
			a := add(t, s, o.root(app, "1", ""), layout.AddOptions{})
			var want []string
			for _, offset := range tc.then {
				want = append(want, fmt.Sprint(offset, " ", d))
			}
			if !slices.Equal(o.copied, want) || a.Reference != "oci:"+dir+":1" {
				t.Errorf("asked for %s, want %s", o.copied, want)
			}
			checkTree(t, dir, o.Store)
		})
	}
}

func write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func blobFile(dir string, d digest.Digest) string {
	return filepath.Join(dir, "blobs", string(d.Algorithm()), d.Encoded())
}

// A blob of the wrong size is replaced, one with wrong bytes if that is asked for;
// documents always are.
func TestAddRepairs(t *testing.T) {
	o := &origin{Store: imagetest.Store{}}
	app := o.Image(here, base)
	dir := t.TempDir()
	s := createStore(t, dir)
	layer := digest.FromBytes(base)
	spoiled := append([]byte{base[0] ^ 1}, base[1:]...)
	for _, tc := range []struct {
		name   string
		of     digest.Digest
		b      []byte
		check  bool
		copied int
	}{
		{"shorter", layer, base[1:], false, 1},
		{"longer", layer, append(bytes.Clone(base), 0), false, 1},
		{"empty", layer, nil, false, 1},
		{"wrong-bytes-checked", layer, spoiled, true, 1},
		{"manifest", app.Digest, bytes.ReplaceAll(o.Store[app.Digest], []byte("{"), []byte("[")), false, 1},
		{"wrong-bytes", layer, spoiled, false, 0}, // the last one: it stays
	} {
		t.Run(tc.name, func(t *testing.T) {
			add(t, s, o.root(app, "1", ""), layout.AddOptions{Check: true})
			write(t, blobFile(dir, tc.of), tc.b)
			a := add(t, s, o.root(app, "1", ""), layout.AddOptions{Check: tc.check})
			if a.Copied != tc.copied {
				t.Errorf("copied %d", a.Copied)
			}
			if tc.copied > 0 {
				checkTree(t, dir, o.Store)
			}
		})
	}
}

// What others wrote into index.json stays as it is.
func TestAddKeepsIndex(t *testing.T) {
	o := &origin{Store: imagetest.Store{}}
	old := o.Image("linux/mips", base)
	files := o.Layout()
	entry := fmt.Sprintf(`{"size":%d,"digest":"%s", "mediaType": "%s","x-odd":[1e3, {"y":"<&>"}],"annotations":{"org.opencontainers.image.ref.name":"old","z":"1"}}`,
		old.Size, old.Digest, old.MediaType)
	files["index.json"] = []byte(`{"x-top":{"a":1.0}, "schemaVersion":2, "manifests":[` + entry + `],"annotations":{"k":"v"}}`)
	dir := writeDir(t, files)
	s := createStore(t, dir)
	app := o.Image(here, base)
	add(t, s, o.root(app, "new", ""), layout.AddOptions{})
	b, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"x-top":{"a":1.0}`, `"x-odd":[1e3,{"y":"<&>"}]`, `"z":"1"`, `"annotations":{"k":"v"}`, string(app.Digest)} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("%s is gone from %s", want, b)
		}
	}
}

func TestCreateStore(t *testing.T) {
	t.Run("interrupted", func(t *testing.T) {
		// Whatever of a layout is missing when its maker is killed, the next makes it.
		for _, have := range [][]string{{}, {"blobs/"}, {"blobs/sha256/"}, {"blobs/sha256/", "index.json"}, {".flatten-0123.tmp", "blobs/sha256/"}} {
			dir := t.TempDir()
			for _, name := range have {
				if strings.HasSuffix(name, "/") {
					if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
						t.Fatal(err)
					}
				} else {
					write(t, filepath.Join(dir, name), imagetest.Store{}.Layout()["index.json"])
				}
			}
			createStore(t, dir)
			checkTree(t, dir, imagetest.Store{})
		}
	})
	t.Run("foreign", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "letter.txt"), []byte("dear"))
		_, err := layout.CreateStore(ctx, dir, layout.StoreOptions{})
		checkError(t, err, image.ErrCorrupt, `"letter.txt"`, "empty")
		if err := layout.CheckCreate(dir, layout.StoreOptions{}); !errors.Is(err, image.ErrCorrupt) {
			t.Errorf("%v", err)
		}
		if len(tree(t, dir)) != 1 {
			t.Errorf("left %v", tree(t, dir))
		}
	})
	t.Run("file", func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "file")
		write(t, name, nil)
		for _, dir := range []string{name, filepath.Join(name, "x")} {
			if s, err := layout.CreateStore(ctx, dir, layout.StoreOptions{}); err == nil || !strings.Contains(err.Error(), "not a directory") {
				t.Errorf("%v %v", s, err)
			}
		}
	})
	t.Run("version", func(t *testing.T) {
		files := imagetest.Store{}.Layout()
		files["oci-layout"] = []byte(`{"imageLayoutVersion":"2.0.0"}`)
		_, err := layout.CreateStore(ctx, writeDir(t, files), layout.StoreOptions{})
		checkError(t, err, image.ErrCorrupt, "2.0.0", "")
	})
	t.Run("blobs-elsewhere", func(t *testing.T) {
		files := imagetest.Store{}.Layout()
		dir := writeDir(t, files)
		if err := os.Symlink(t.TempDir(), filepath.Join(dir, "blobs")); err != nil {
			t.Skip(err)
		}
		_, err := layout.OpenStore(ctx, dir, layout.StoreOptions{})
		checkError(t, err, image.ErrCorrupt, "blobs is not a directory", "")
	})
	t.Run("many-at-once", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "store")
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				s, err := layout.CreateStore(ctx, dir, layout.StoreOptions{})
				if err != nil {
					t.Error(err)
					return
				}
				s.Close()
			})
		}
		wg.Wait()
		checkTree(t, dir, imagetest.Store{})
	})
}

// Many writers at once: every image gets its tag, and a blob that all of them have
// is copied once.
func TestWritersAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	shared := imagetest.Gzip(bytes.Repeat([]byte("shared "), 100_000))
	o := &origin{Store: imagetest.Store{}}
	var images []v1.Descriptor
	for i := range 12 {
		images = append(images, o.Image(here, shared, imagetest.Layer(fmt.Sprint("n=", i))))
	}
	var wg sync.WaitGroup
	for i, d := range images {
		wg.Go(func() {
			s, err := layout.CreateStore(ctx, dir, layout.StoreOptions{})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if _, err := s.Add(ctx, o.root(d, fmt.Sprint("t", i), ""), layout.AddOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	checkTree(t, dir, o.Store)
	if got := index(t, dir); len(got) != len(images) {
		t.Errorf("index.json has %s", got)
	}
	times := 0
	for _, c := range o.copied {
		if strings.HasSuffix(c, string(digest.FromBytes(shared))) {
			times++
		}
	}
	if times != 1 {
		t.Errorf("the shared layer was copied %d times", times)
	}
}

// The end of the context ends whatever is waited for.
func TestAddCancelled(t *testing.T) {
	dir := t.TempDir()
	o := &origin{Store: imagetest.Store{}}
	app := o.Image(here, base)
	blocked, release := make(chan struct{}), make(chan struct{})
	o.fault = func(_ digest.Digest, b []byte) ([]byte, error) {
		close(blocked)
		<-release
		return b, nil
	}
	first, second := createStore(t, dir), make(chan string, 8)
	s, err := layout.OpenStore(ctx, dir, layout.StoreOptions{Waiting: func(what string) { second <- what }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := first.Add(ctx, o.root(app, "1", ""), layout.AddOptions{}); err != nil {
			t.Error(err)
		}
	})
	<-blocked
	limited, cancel := context.WithCancel(ctx)
	wg.Go(func() {
		if what := <-second; !strings.Contains(what, "another process that fetches blob sha256:") {
			t.Errorf("waiting for %s", what)
		}
		cancel()
	})
	if _, err := s.Add(limited, o.root(app, "2", ""), layout.AddOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	close(release)
	wg.Wait()
	checkTree(t, dir, o.Store)
}
