// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package overlaytest

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

var (
	firstSeed = flag.Uint64("seed", 0, "the first `seed`; with -v the image's layers are printed")
	seeds     = flag.Int("seeds", 0, "the `number` of seeds; default 1 with -seed, otherwise 360")
)

// inNamespace is set in the environment of the process that does the work.
const inNamespace = "OVERLAYTEST_NAMESPACE"

// TestMain runs the tests in a mount namespace of their own, so that nothing
// stays mounted whatever happens.
func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		os.Exit(m.Run())
	}
	if os.Getenv(inNamespace) != "" {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			fmt.Fprintln(os.Stderr, "making mounts private:", err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	runtime.LockOSThread() // Pdeathsig is about this thread
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		os.Exit(m.Run()) // no namespaces here: the tests will say what else is missing
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s)
		}
	}()
	_ = cmd.Wait()
	os.Exit(cmd.ProcessState.ExitCode())
}

// testSeeds runs f for every seed with an image of its kind, in parallel.
func testSeeds(t *testing.T, f func(t *testing.T, seed uint64, dir string, layers []*layer)) {
	s, err := newScratch(t.TempDir())
	if err != nil {
		t.Skipf("needs root and a file system for overlayfs: %v", err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	if !s.userXattrs {
		t.Logf("%s has no user.* attributes: images have none", s.dir)
	}
	n := *seeds
	if n == 0 {
		n = 360
		flag.Visit(func(f *flag.Flag) {
			if f.Name == "seed" {
				n = 1
			}
		})
	}
	t.Run("seeds", func(t *testing.T) {
		for seed := *firstSeed; seed < *firstSeed+uint64(n); seed++ {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				dir := filepath.Join(s.dir, fmt.Sprint(seed))
				layers, err := s.image(seed, dir)
				if err != nil {
					t.Fatal(err)
				}
				if testing.Verbose() && n == 1 {
					t.Logf("seed %d:\n%s", seed, describe(layers))
				}
				f(t, seed, dir, layers)
				if err := os.RemoveAll(dir); err != nil {
					t.Error(err)
				}
			})
		}
	})
}

// hostileSeed tells which kind of image a seed stands for: two in three are made
// as an engine makes them.
func hostileSeed(seed uint64) bool { return seed%3 == 2 }

// image makes the image of a seed below dir.
func (s *scratch) image(seed uint64, dir string) ([]*layer, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(seed, 0))
	if hostileSeed(seed) {
		return s.hostileImage(r, dir)
	}
	return s.engineImage(r, dir)
}

// TestHarness checks the two ways that a layer comes about against each other:
// what an engine's tars unpack to is mounted and must be what the upper
// directories were that they were made of.
func TestHarness(t *testing.T) {
	testSeeds(t, func(t *testing.T, seed uint64, dir string, layers []*layer) {
		if hostileSeed(seed) {
			return // unpacked from the first
		}
		want, err := readMerged(dir, dirsOf(layers))
		if err != nil {
			t.Fatal(err)
		}
		var again []*layer
		lower := Tree{}
		for i, l := range layers {
			l2 := &layer{dir: fmt.Sprintf("%s/again%d", dir, i), entries: l.entries}
			u, err := l2.unpack(lower)
			if err != nil {
				t.Fatal(err)
			}
			if err := u.finish(); err != nil {
				t.Fatal(err)
			}
			l2.bottom = u.opaque[""]
			again = append(again, l2)
			if lower, err = readMerged(dir, dirsOf(again)); err != nil {
				t.Fatal(err)
			}
		}
		for _, d := range Diff(want, lower) {
			t.Error(d)
		}
	})
}
