// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	ggcrlayout "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/internal/regtest"
)

var (
	kills    = flag.Int("kills", 30, "how often TestStoreKilled kills the command")
	killSeed = flag.Uint64("killseed", 1, "the seed of when it does, and of which commands it runs")
)

// checkStore checks that a folder is a valid layout or none yet, by what others
// make of it, and returns its tags.
func checkStore(t *testing.T, dir string) map[string]digest.Digest {
	t.Helper()
	tags := map[string]digest.Digest{}
	if _, err := os.Stat(filepath.Join(dir, "oci-layout")); errors.Is(err, fs.ErrNotExist) {
		return tags
	}
	for name, content := range blobsIn(t, dir) {
		if got := digest.FromBytes(content); got.Encoded() != name {
			t.Errorf("blob %s has digest %s", name, got)
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var idx v1.Index
	if err := json.Unmarshal(raw, &idx); err != nil {
		t.Fatalf("index.json: %v: %q", err, raw)
	}
	for _, d := range idx.Manifests {
		tags[d.Annotations[v1.AnnotationRefName]] = d.Digest
	}
	all, err := ggcrlayout.ImageIndexFromPath(dir)
	if err == nil {
		err = validate.Index(all)
	}
	if err != nil {
		t.Errorf("not valid: %v\n%s", err, raw)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains([]string{"blobs", "index.json", "oci-layout"}, e.Name()) && !strings.HasPrefix(e.Name(), ".flatten-") {
			t.Errorf("there is %s", e.Name())
		}
	}
	return tags
}

// blobsIn are the files among the blobs.
func blobsIn(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(filepath.Join(dir, "blobs"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		all[d.Name()], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// leftovers are the temporary files in a layout.
func leftovers(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, ".flatten-*"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// storeImages pushes images that share layers and an index of two of them, and
// returns their references.
func storeImages(t *testing.T, s *regtest.Server) []string {
	layers := largeLayers(6, 900_000)
	a, b := regtest.Image(t, layers[0], layers[1], layers[2]), regtest.Image(t, layers[0], layers[3])
	c := regtest.Image(t, layers[1], layers[4], layers[5])
	idx := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: a}, mutate.IndexAddendum{Add: c})
	return []string{s.Push(t, "a:a", a), s.Push(t, "b:b", b), s.Push(t, "c:c", c), s.Push(t, "idx:idx", idx)}
}

// Whenever the command is killed, the layout is valid, what was in it is still
// there, and the same command run again completes it. -kills=200 takes longer.
func TestStoreKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	s := regtest.New(t, regtest.Config{})
	refs := storeImages(t, s)
	random := rand.New(rand.NewPCG(*killSeed, 0))
	whole := timeOf(t, "pull", "-q", "--all-platforms", refs[3], "oci:"+filepath.Join(t.TempDir(), "store"))
	var landed [4]int // before the layout was there; while fetching; otherwise; too late
	for n := 0; n < *kills; {
		dir := filepath.Join(t.TempDir(), "store")
		for range 5 {
			before := checkStore(t, dir)
			args, touches := randomCommand(random, dir, refs, before)
			cmd := processOf(t, append([]string{"-q"}, args...)...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(random.Int64N(int64(whole))))
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			if !cmd.ProcessState.Exited() {
				n++
			}
			after := checkStore(t, dir)
			for tag, d := range before {
				if after[tag] != d && (after[tag] == "" && args[0] == "pull" || !slices.Contains(touches, tag)) {
					t.Errorf("%q, killed, lost %s", args, tag)
				}
			}
			switch {
			case cmd.ProcessState.Exited():
				landed[3]++
			case len(after) == 0 && len(leftovers(t, dir)) == 0:
				landed[0]++
			case len(leftovers(t, dir)) > 0:
				landed[1]++
			default:
				landed[2]++
			}
		}
		completes(t, dir, refs)
		if t.Failed() {
			break
		}
	}
	t.Logf("seed %d: killed before anything was there %d times, with something unfinished %d, otherwise %d, too late %d",
		*killSeed, landed[0], landed[1], landed[2], landed[3])
}

// timeOf is how long a command takes that succeeds.
func timeOf(t *testing.T, args ...string) time.Duration {
	t.Helper()
	began := time.Now()
	if o := finish(t, processOf(t, args...)); o.code != 0 {
		t.Fatalf("%q: exit %d: %s", args, o.code, o.stderr)
	}
	return time.Since(began)
}

// randomCommand is a command that writes to a layout, and which tags it may change.
func randomCommand(random *rand.Rand, dir string, refs []string, tags map[string]digest.Digest) (args, touches []string) {
	ref := refs[random.IntN(len(refs))]
	own := ref[strings.LastIndexByte(ref, ':')+1:]
	some := "none"
	for tag := range tags {
		some = max(some, tag)
	}
	switch random.IntN(8) {
	case 0:
		return []string{"gc", dir}, nil
	case 1:
		return []string{"tag", dir + ":" + some, "extra"}, []string{"extra"}
	case 2:
		return []string{"untag", dir + ":" + some}, []string{some}
	case 3:
		return []string{"pull", "--jobs", "1", "--verify", ref, "oci:" + dir}, []string{own}
	}
	return []string{"pull", "--all-platforms", ref, "oci:" + dir}, []string{own}
}

// completes runs every pull to its end, and the removal of garbage.
func completes(t *testing.T, dir string, refs []string) {
	t.Helper()
	for _, ref := range refs {
		if o := finish(t, processOf(t, "pull", "-q", "--all-platforms", ref, "oci:"+dir)); o.code != 0 {
			t.Errorf("%s: exit %d: %s", ref, o.code, o.stderr)
		}
	}
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("after all is there, there is %s", left)
	}
	tags := checkStore(t, dir)
	for _, tag := range []string{"a", "b", "c", "idx"} {
		if tags[tag] == "" {
			t.Errorf("%s is missing", tag)
		}
	}
	o := finish(t, processOf(t, "gc", "-q", dir))
	if blobs := len(blobsIn(t, dir)); o.code != 0 || blobs != 6+3+3+1 {
		t.Errorf("after gc there are %d blobs; exit %d: %s", blobs, o.code, o.stderr)
	}
	checkStore(t, dir)
}

// A pull that is killed in the middle of a blob goes on from there: the registry
// sends every byte once.
func TestStoreResumes(t *testing.T) {
	layers := largeLayers(1, 3_000_000)
	d := digest.FromBytes(layers[0].Stored)
	const after = 1_234_567
	stalled := make(chan bool, 1)
	s := regtest.New(t, regtest.Config{Fault: func(r regtest.Request) regtest.Fault {
		if r.IsBlob && r.N == 1 && strings.HasSuffix(r.Path, string(d)) {
			stalled <- true
			return regtest.Fault{Stall: true, After: after}
		}
		return regtest.Fault{}
	}})
	ref := s.Push(t, "app:1", regtest.Image(t, layers...))
	dir := filepath.Join(t.TempDir(), "store")
	cmd := processOf(t, "pull", "-q", ref, "oci:"+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-stalled
	part := filepath.Join(dir, ".flatten-sha256-"+d.Encoded()+".part")
	for {
		if info, err := os.Stat(part); err == nil && info.Size() == after {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	checkStore(t, dir)
	o := finish(t, processOf(t, "pull", ref, "oci:"+dir))
	if o.code != 0 || s.Sent(string(d)) != int64(len(layers[0].Stored)) {
		t.Errorf("exit %d, the registry sent %d bytes of %d: %s", o.code, s.Sent(string(d)), len(layers[0].Stored), o.stderr)
	}
	if left := leftovers(t, dir); len(left) > 0 || len(checkStore(t, dir)) != 1 {
		t.Errorf("left %s", left)
	}

	// Known blobs, manifests included, are not fetched again; nor is what another
	// image has in common with this one.
	before := len(s.Requests())
	s.Push(t, "app:2", regtest.Image(t, append(layers, largeLayers(2, 100_000)[1])...))
	for _, tag := range []string{"1", "2"} {
		if o := finish(t, processOf(t, "pull", "-q", s.Host+"/app:"+tag, "oci:"+dir)); o.code != 0 {
			t.Errorf("exit %d: %s", o.code, o.stderr)
		}
	}
	blobs := 0
	for _, r := range s.Requests()[before:] {
		if r.IsBlob {
			blobs++
		}
	}
	if blobs != 2 { // the configuration and the layer that are new
		t.Errorf("%d requests for blobs", blobs)
	}
	checkStore(t, dir)
}

// Wrong bytes are no blob, and what is right the next time is.
func TestStoreWrongBytes(t *testing.T) {
	layers := largeLayers(1, 500_000)
	d := digest.FromBytes(layers[0].Stored)
	s := regtest.New(t, regtest.Config{Fault: func(r regtest.Request) regtest.Fault {
		if r.IsBlob && r.N == 1 && strings.HasSuffix(r.Path, string(d)) {
			return regtest.Fault{Change: func(b []byte) []byte {
				b = slices.Clone(b)
				b[len(b)/2] ^= 1
				return b
			}}
		}
		return regtest.Fault{}
	}})
	ref := s.Push(t, "app:1", regtest.Image(t, layers...))
	dir := filepath.Join(t.TempDir(), "store")
	o := finish(t, processOf(t, "pull", "-q", ref, "oci:"+dir))
	if o.code != exitCorrupt || o.stdout != "" || !strings.Contains(o.stderr, "the bytes have digest") {
		t.Errorf("exit %d: %q %s", o.code, o.stdout, o.stderr)
	}
	if tags := checkStore(t, dir); len(tags) > 0 || len(leftovers(t, dir)) > 0 {
		t.Errorf("tags %v, left %s", tags, leftovers(t, dir))
	}
	if o := finish(t, processOf(t, "pull", "-q", ref, "oci:"+dir)); o.code != 0 {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
	checkStore(t, dir)
}

// Many processes at once, and the removal of garbage among them: every image is
// there in the end, and what they have in common was fetched once.
func TestStoreAtOnce(t *testing.T) {
	s := regtest.New(t, regtest.Config{})
	layers := largeLayers(9, 300_000)
	var refs []string
	for i, l := range layers[1:] {
		refs = append(refs, s.Push(t, fmt.Sprintf("app%d:t%d", i, i), regtest.Image(t, layers[0], l)))
	}
	dir := filepath.Join(t.TempDir(), "store")
	if o := finish(t, processOf(t, "pull", "-q", refs[0], "oci:"+dir)); o.code != 0 {
		t.Fatal(o.stderr)
	}
	var wg sync.WaitGroup
	run := func(args ...string) {
		wg.Go(func() {
			if o := finish(t, processOf(t, args...)); o.code != 0 {
				t.Errorf("%q: exit %d: %s", args, o.code, o.stderr)
			}
		})
	}
	for i, ref := range refs {
		run("pull", ref, "oci:"+dir)
		run("pull", ref, "oci:"+dir+":again"+fmt.Sprint(i))
		if i%3 == 0 {
			run("gc", dir)
			run("tag", dir+":t0", fmt.Sprint("more", i))
		}
	}
	wg.Wait()
	tags := checkStore(t, dir)
	if want := 2*len(refs) + 3; len(tags) != want {
		t.Errorf("%d tags, want %d: %v", len(tags), want, tags)
	}
	for _, l := range layers {
		if sent := s.Sent(string(digest.FromBytes(l.Stored))); sent != int64(len(l.Stored)) {
			t.Errorf("the registry sent %d bytes of a layer of %d", sent, len(l.Stored))
		}
	}
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("left %s", left)
	}
}
