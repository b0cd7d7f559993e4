// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-81b0d42e/flatten/pkg/layout"
)

// Thirty-two runs at once, with one cache and one output folder, all succeed and
// make one file for each image, whether others are killed meanwhile or not.
func TestParallel(t *testing.T) {
	const runs, images = 32, 4
	var refs []string
	for i := range uint64(images) {
		refs = append(refs, "oci:"+layoutOf(t, sample(t, 10+i, 3, 300_000)))
	}
	for _, tt := range []struct{ images, kills int }{{1, 0}, {images, 0}, {images, 8}} {
		t.Run(fmt.Sprintf("%d images, %d killed", tt.images, tt.kills), func(t *testing.T) {
			out, cache := t.TempDir(), t.TempDir()
			printed := make([]string, runs)
			var group sync.WaitGroup
			for i := range runs {
				group.Go(func() {
					o := finish(t, command(cache, "-q", "-o", out, refs[i%tt.images]))
					if o.code != 0 {
						t.Errorf("run %d: %v", i, o)
					}
					printed[i] = filepath.Base(strings.TrimSpace(o.stdout))
				})
			}
			for i := range tt.kills {
				group.Go(func() {
					time.Sleep(time.Duration(i) * 20 * time.Millisecond)
					cmd := command(cache, "-q", "-o", out, refs[i%tt.images])
					if _, err := killAfter(cmd, time.Duration(i+1)*20*time.Millisecond); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			checkWhole(t, "all", out)
			must(t, command(t.TempDir(), "-q", "-o", out, refs[0])) // removes what the killed left
			slices.Sort(printed)
			printed = slices.Compact(printed)
			checkOnly(t, "all", out, printed...)
			if n := len(names(t, out)); n != tt.images {
				t.Errorf("%d files of %d images", n, tt.images)
			}
			for i := range tt.images { // with what is in the cache now
				must(t, command(cache, "-q", "-o", out, refs[i]))
			}
			checkOnly(t, "from the cache", out, printed...)
		})
	}
}

// Sixteen pulls and changes of tags at once leave a layout that others read, with
// all of what was asked for.
func TestParallelStore(t *testing.T) {
	const images = 16
	var refs []string
	for i := range uint64(images) {
		refs = append(refs, "oci:"+layoutOf(t, sample(t, 20+i, 2, 50_000)))
	}
	store := filepath.Join(t.TempDir(), "store")
	var group sync.WaitGroup
	for i, ref := range refs {
		group.Go(func() {
			name := fmt.Sprintf("v%d", i)
			if o := finish(t, command(t.TempDir(), "pull", "-q", ref, "oci:"+store+":"+name)); o.code != 0 {
				t.Errorf("pull %d: %v", i, o)
				return
			}
			if o := finish(t, command(t.TempDir(), "tag", "-q", store+":"+name, "also-"+name)); o.code != 0 {
				t.Errorf("tag %d: %v", i, o)
			}
		})
	}
	group.Go(func() {
		for range 5 {
			finish(t, command(t.TempDir(), "gc", "-q", store)) // before the first pull there is none
		}
	})
	group.Wait()
	checkLayout(t, "all", store)
	checkRests(t, "all", store)
	for i := range refs {
		for _, name := range []string{"", "also-"} {
			img, err := layout.OpenDir(t.Context(), store, layout.Options{Tag: fmt.Sprintf("%sv%d", name, i)})
			if err != nil {
				t.Error(err)
				continue
			}
			img.Close()
		}
	}
}

// A cache entry that is damaged, at any byte, cut off anywhere, or that of another
// layer, makes no difference to the output.
func TestDamagedCache(t *testing.T) {
	img := "oci:" + layoutOf(t, sample(t, 1, 1, 20))
	other := "oci:" + layoutOf(t, sample(t, 2, 1, 40))
	cache := t.TempDir()
	run := func() *exec.Cmd { return command(cache, "-q", "-o", "-", img) }
	must(t, command(cache, "-q", "-o", "-", other))
	dir := filepath.Join(cache, "flatten")
	foreign, err := os.ReadFile(filepath.Join(dir, names(t, dir)[0]))
	if err != nil {
		t.Fatal(err)
	}
	emptyDir(t, cache)
	want := finish(t, run()).stdout
	path := filepath.Join(dir, names(t, dir)[0])
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	try := func(what string, bad []byte) {
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if o := finish(t, run()); o.code != 0 || o.stderr != "" || o.stdout != want {
			t.Errorf("%s: exit code %d, %q, the same output: %v", what, o.code, o.stderr, o.stdout == want)
		}
		if now, err := os.ReadFile(path); err != nil || string(now) != string(good) {
			t.Errorf("%s: it was not made anew, %v", what, err)
		}
	}
	try("another layer's", foreign)
	try("empty", nil)
	try("longer", append(slices.Clone(good), 0))
	for i := range good {
		if i%5 == 0 || thorough() {
			bad := slices.Clone(good)
			bad[i] ^= 1 << (i % 8)
			try(fmt.Sprintf("byte %d", i), bad)
		}
		if i%16 == 0 {
			try(fmt.Sprintf("the first %d bytes", i), good[:i])
		}
	}
	t.Logf("an entry of %d bytes; each was damaged: %v", len(good), thorough())
}
