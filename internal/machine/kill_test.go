// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten/internal/regtest"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// A run that is killed leaves nothing under a final name that is not whole; the next
// one succeeds and clears what is left: in the output folder, in the folder of
// downloads, in the cache.
func TestKill(t *testing.T) {
	img := sample(t, 1, 3, 2<<20)
	dir := layoutOf(t, img)
	archive := filepath.Join(t.TempDir(), "image.tar.gz")
	if out, err := exec.Command("tar", "-C", dir, "-czf", archive, ".").CombinedOutput(); err != nil {
		t.Skipf("tar: %v\n%s", err, out)
	}
	server := regtest.New(t, regtest.Config{})
	for name, args := range map[string][]string{
		"layout":   {"oci:" + dir},
		"archive":  {"oci-archive:" + archive}, // which is spooled
		"registry": {"docker://" + server.Push(t, "app:1", img)},
		"encoded":  {"-6", "oci:" + dir},
	} {
		t.Run(name, func(t *testing.T) {
			out, tmp, cache := t.TempDir(), t.TempDir(), t.TempDir()
			run := func() *exec.Cmd {
				return command(cache, append([]string{"-q", "-o", out, "--tmpdir", tmp}, args...)...)
			}
			want := filepath.Base(must(t, run()))
			fresh := func() *exec.Cmd {
				for _, dir := range []string{out, tmp, cache} {
					emptyDir(t, dir)
				}
				return run()
			}
			Kill(t, fresh, func(when string) {
				checkWhole(t, when, out)
				if got := filepath.Base(must(t, run())); got != want {
					t.Errorf("%s: the next run wrote %s, want %s", when, got, want)
				}
				checkOnly(t, when, out, want)
				checkOnly(t, when, tmp)
				checkCache(t, when, filepath.Join(cache, "flatten"), 3)
			})
		})
	}
}

// emptyDir removes what is in a folder.
func emptyDir(tb testing.TB, dir string) {
	tb.Helper()
	for _, name := range names(tb, dir) {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			tb.Fatal(err)
		}
	}
}

// checkCache demands n tables of contents, all of them good, excerpts of the same
// layers, and nothing else.
func checkCache(tb testing.TB, when, dir string, n int) {
	tb.Helper()
	cache := toc.Cache{Dir: dir}
	list := slices.DeleteFunc(names(tb, dir), func(name string) bool {
		id, ok := strings.CutSuffix(name, ".excerpts")
		return ok && cache.Load(digest.Digest(strings.Replace(id, "-", ":", 1))) != nil
	})
	for _, name := range list {
		id, ok := strings.CutSuffix(name, ".toc")
		if !ok || cache.Load(digest.Digest(strings.Replace(id, "-", ":", 1))) == nil {
			tb.Errorf("%s: in the cache there is %s", when, name)
		}
	}
	if len(list) != n {
		tb.Errorf("%s: the cache has %q, want %d tables", when, list, n)
	}
}

// Killed over and over while the cache is being filled, with nothing put right in
// between, runs leave a cache that is good and an output that is right.
func TestKillCache(t *testing.T) {
	dir := layoutOf(t, sample(t, 2, 12, 1_200_000)) // large enough for excerpts
	out, cache := t.TempDir(), t.TempDir()
	run := func() *exec.Cmd { return command(cache, "-q", "-o", out, "oci:"+dir) }
	want := filepath.Base(must(t, run()))
	kills := 0
	Kill(t, func() *exec.Cmd {
		if kills++; kills%3 == 1 {
			emptyDir(t, cache)
		}
		return run()
	}, func(when string) { checkWhole(t, when, out) })
	if got := filepath.Base(must(t, run())); got != want {
		t.Errorf("in the end: %s, want %s", got, want)
	}
	checkOnly(t, "in the end", out, want)
	checkCache(t, "in the end", filepath.Join(cache, "flatten"), 12)
}

// checkLayout has go-containerregistry read all of a layout: what is listed is there
// and has its digest, as has every other blob.
func checkLayout(tb testing.TB, when, dir string) {
	tb.Helper()
	index, err := layout.ImageIndexFromPath(dir)
	if err == nil {
		err = validate.Index(index)
	}
	if err != nil {
		tb.Errorf("%s: %v", when, err)
	}
	blobs := filepath.Join(dir, "blobs", "sha256")
	for _, name := range names(tb, blobs) {
		b, err := os.ReadFile(filepath.Join(blobs, name))
		if err != nil || digest.FromBytes(b).Encoded() != name {
			tb.Errorf("%s: blob %s is not whole, %v", when, name, err)
		}
	}
}

// A pull that is killed leaves a layout that others read; the next one completes it.
func TestKillPull(t *testing.T) {
	first, second := sample(t, 3, 2, 100_000), sample(t, 4, 4, 1_000_000)
	base := layoutOf(t, first)
	server := regtest.New(t, regtest.Config{})
	ref := "docker://" + server.Push(t, "app:1", second)
	store := filepath.Join(t.TempDir(), "store")
	pull := func() *exec.Cmd { return command(t.TempDir(), "pull", "-q", ref, "oci:"+store) }
	fresh := func() *exec.Cmd {
		copyTree(t, store, base)
		return pull()
	}
	Kill(t, fresh, func(when string) {
		checkLayout(t, when, store)
		must(t, pull())
		checkLayout(t, when+", pulled again", store)
		checkRests(t, when, store)
		if got := must(t, command(t.TempDir(), "images", "-q", store)); !strings.Contains(got, "1") {
			t.Errorf("%s: images prints %s", when, got)
		}
	})
}

// copyTree makes dir a copy of another folder.
func copyTree(tb testing.TB, dir, of string) {
	tb.Helper()
	if err := os.RemoveAll(dir); err != nil {
		tb.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(of)); err != nil {
		tb.Fatal(err)
	}
}

// checkRests demands that no temporary file is left, wherever in a folder.
func checkRests(tb testing.TB, when, dir string) {
	tb.Helper()
	for _, sub := range []string{dir, filepath.Join(dir, "blobs"), filepath.Join(dir, "blobs", "sha256")} {
		for _, name := range names(tb, sub) {
			if strings.HasSuffix(name, ".tmp") || strings.HasSuffix(name, ".part") {
				tb.Errorf("%s: left %s", when, filepath.Join(sub, name))
			}
		}
	}
}

// A change of tags that is killed has taken place or has not.
func TestKillTag(t *testing.T) {
	base := layoutOf(t, sample(t, 3, 2, 100_000))
	store := filepath.Join(t.TempDir(), "store")
	tag := func() *exec.Cmd { return command(t.TempDir(), "tag", "-q", "oci:"+store+":0", "new") }
	fresh := func() *exec.Cmd {
		copyTree(t, store, base)
		return tag()
	}
	Kill(t, fresh, func(when string) {
		checkLayout(t, when, store)
		must(t, tag())
		checkLayout(t, when+", tagged again", store)
		checkRests(t, when, store)
		for _, name := range []string{"0", "new"} {
			must(t, command(t.TempDir(), "-q", "-o", "-", "oci:"+store+":"+name))
		}
	})
}

// A removal of garbage that is killed has left all that is needed.
func TestKillGC(t *testing.T) {
	keep := sample(t, 5, 2, 100_000)
	drop := sample(t, 6, 20, 20_000)
	id, err := drop.Digest()
	if err != nil {
		t.Fatal(err)
	}
	base := layoutOf(t, keep, drop)
	must(t, command(t.TempDir(), "untag", "-q", "oci:"+base+"@"+id.String()))
	if err := os.WriteFile(filepath.Join(base, ".flatten-dead.tmp"), []byte("left"), 0o644); err != nil {
		t.Fatal(err)
	}
	store := filepath.Join(t.TempDir(), "store")
	gc := func() *exec.Cmd { return command(t.TempDir(), "gc", "-q", store) }
	fresh := func() *exec.Cmd {
		copyTree(t, store, base)
		return gc()
	}
	Kill(t, fresh, func(when string) {
		checkLayout(t, when, store)
		must(t, gc())
		checkLayout(t, when+", collected again", store)
		checkRests(t, when, store)
	})
}
