// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/seed-81b0d42e/flatten/internal/tartest"
)

// binary is the command under test, built by TestMain.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "flatten-machine-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "flatten")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/flatten").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the command: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// command is a run of the command with nothing of the user's: the cache is in the
// folder that is given.
func command(cache string, args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Env = []string{"HOME=/nonexistent", "PATH=" + os.Getenv("PATH"), "XDG_CACHE_HOME=" + cache}
	return cmd
}

// outcome is how a run ended.
type outcome struct {
	code           int // -1: by a signal
	stdout, stderr string
}

func (o outcome) String() string {
	return fmt.Sprintf("exit %d\nstdout: %s\nstderr: %s", o.code, o.stdout, o.stderr)
}

// finish runs a command to its end.
func finish(tb testing.TB, cmd *exec.Cmd) outcome {
	tb.Helper()
	var stdout, stderr bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &stdout
	}
	if cmd.Stderr == nil {
		cmd.Stderr = &stderr
	}
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		tb.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// must demands success and returns what was printed, without the last newline.
func must(tb testing.TB, cmd *exec.Cmd) string {
	tb.Helper()
	o := finish(tb, cmd)
	if o.code != 0 {
		tb.Fatalf("%v: %v", cmd, o)
	}
	return strings.TrimSuffix(o.stdout, "\n")
}

// demand demands an exit code and one line of error that has all of the texts, with
// a hint at most behind it.
func (o outcome) demand(tb testing.TB, code int, texts ...string) {
	tb.Helper()
	if o.code != code {
		tb.Errorf("want exit %d, got %v", code, o)
	}
	lines := strings.Split(strings.TrimSuffix(o.stderr, "\n"), "\n")
	if len(lines) > 2 || len(lines) == 2 && !strings.HasPrefix(lines[1], "flatten: hint: ") {
		tb.Errorf("want one line and a hint: %v", o)
	}
	for _, text := range texts {
		if !strings.Contains(o.stderr, text) {
			tb.Errorf("nothing of %q: %v", text, o)
		}
	}
}

// sample is an image of layers of so many bytes each, a little compressible. Equal
// seeds make equal images.
func sample(tb testing.TB, seed uint64, layers, size int) v1.Image {
	tb.Helper()
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		OS: "linux", Architecture: runtime.GOARCH, RootFS: v1.RootFS{Type: "layers"},
	})
	if err != nil {
		tb.Fatal(err)
	}
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range layers {
		entries := []tartest.Entry{tartest.Dir("d"), tartest.File("run", "#!/bin/sh\n").Mode(0o755)}
		const files = 20
		for f := range files {
			body := make([]byte, size/files)
			for j := range body {
				body[j] = "0123456789abcdef\n ,.etaoinsh"[r.IntN(28)]
			}
			entries = append(entries, tartest.File(fmt.Sprintf("d/%d-%d", i, f), string(body)))
		}
		if i > 0 {
			entries = append(entries, tartest.Whiteout(fmt.Sprintf("d/%d-0", i-1)))
		}
		blob := tartest.Layer(entries...).Gzip()
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(blob.Stored)), nil
		})
		if err != nil {
			tb.Fatal(err)
		}
		if img, err = mutate.AppendLayers(img, layer); err != nil {
			tb.Fatal(err)
		}
	}
	return img
}

// layoutOf is a new layout with the images, tagged "0", "1" and so on.
func layoutOf(tb testing.TB, images ...v1.Image) string {
	tb.Helper()
	dir := tb.TempDir()
	l, err := layout.Write(dir, empty.Index)
	if err != nil {
		tb.Fatal(err)
	}
	for i, img := range images {
		err := l.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": fmt.Sprint(i)}))
		if err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

// archiveOf is a layout as a tar.
func archiveOf(tb testing.TB, dir string) []byte {
	tb.Helper()
	out, err := exec.Command("tar", "-C", dir, "-cf", "-", ".").Output()
	if err != nil {
		tb.Skipf("tar: %v", err)
	}
	return out
}

// names are what is in a folder, none if it is not there.
func names(tb testing.TB, dir string) []string {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		tb.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// finished are the files in a folder that are not temporary ones of flatten.
func finished(tb testing.TB, dir string) []string {
	tb.Helper()
	var all []string
	for _, name := range names(tb, dir) {
		if !strings.HasPrefix(name, ".flatten-") {
			all = append(all, name)
		}
	}
	return all
}

// checkWhole demands of each file under a final name that its name is its digest,
// and that its end is that of a gzip member whose bytes fit their CRC.
func checkWhole(tb testing.TB, when, dir string) {
	tb.Helper()
	for _, name := range finished(tb, dir) {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			tb.Fatal(err)
		}
		sum := sha256.Sum256(b)
		if want := hex.EncodeToString(sum[:]) + ".tar.gz"; name != want {
			tb.Errorf("%s: %s has the bytes of %s", when, name, want)
		}
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err == nil {
			_, err = io.Copy(io.Discard, z)
		}
		if err != nil {
			tb.Errorf("%s: %s: %v", when, name, err)
		}
	}
}

// checkOnly demands that a folder has the files and no others.
func checkOnly(tb testing.TB, when, dir string, want ...string) {
	tb.Helper()
	if got := names(tb, dir); strings.Join(got, " ") != strings.Join(want, " ") {
		tb.Errorf("%s: %s has %q, want %q", when, dir, got, want)
	}
}
