// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/seed-81b0d42e/flatten"
	. "github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/tree"
)

// The layers of TestLongAsGNU, and what each whites out.
func lsLayers(now int64) (layers []Blob, whiteouts [][]string) {
	layers = []Blob{
		Layer(
			Dir("."), Dir("etc"), File("etc/passwd", "root:x:0:0::/:/bin/sh\n"), File("etc/group", "root:x:0:\n"),
			Dir("types").Mode(0o1777), File("types/file", "12345").Mode(0o640).Owner(54321, 7654321),
			File("types/setuid", "").Mode(0o4755), File("types/new", "12345"), File("types/setgid", "").Mode(0o2711), File("types/sticky", "").Mode(0o1644),
			File("types/SuT", "").Mode(0o7000), Symlink("types/link", "../etc/passwd"), Symlink("types/odd link", "it's\nx"),
			Char("types/null", 1, 3), Block("types/disk", 259, 70001), Fifo("types/fifo"), Link("types/one", "types/file").Mode(0o640).Owner(54321, 7654321),
			Dir("names"), File("names/with space", ""), File("names/plain", strings.Repeat("x", 12345)), File("names/it's", ""),
			File("names/a\nb", ""), File("names/\x1b[31m", ""), File("names/ünï", ""), File("names/\xff", ""), File("names/.hidden", ""),
			Dir("names: sub"), File("names: sub/f", ""), Dir("empty"), Dir("deep"), Dir("deep/er"), Dir("deep/er/est").Mode(0o2750),
			Dir("plain"), File("plain/B", ""), File("plain/a", ""), File("plain/b", ""), File("plain/_", ""),
			File("gone", ""), Dir("dir"), File("dir/old", ""),
		),
		Layer(
			Dir("times"), File("times/now", "").At(now-60), File("times/future", "").At(now+7200),
			File("times/months", "").At(now-31556952/2-60), File("times/weeks", "").At(now-31556952/2+3600),
			File("times/epoch", "").At(0), File("times/nano", "").AtNano(1_700_000_000, 5),
			Dir("types").Mode(0o1777), File("types/new", "123").Mode(0o600), Dir("dir").Mode(0o700), File("dir/new", ""),
		),
		Layer(File("plain/c", "c"), Dir("plain")),
	}
	return layers, [][]string{nil, {"gone", "dir/old"}, nil}
}

// GNU ls prints the same of the image's files, unpacked by GNU tar, and of what
// the kernel makes of the layers.
func TestLongAsGNU(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("owners and devices need root")
	}
	for _, program := range []string{"tar", "ls", "unshare", "mount"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s", program)
		}
	}
	layers, whiteouts := lsLayers(time.Now().Unix())
	marked := make([]Blob, len(layers))
	for i, l := range layers {
		var markers []Entry
		for _, name := range whiteouts[i] {
			markers = append(markers, Whiteout(name))
		}
		marked[i] = Plain(append(Stream(markers...), l.Tar...))
	}
	m, err := flatten.Load(t.Context(), Image(marked...), flatten.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	got := blocks(listing(t, m))
	t.Run("unpacked", func(t *testing.T) {
		var out bytes.Buffer
		if _, err := m.Write(t.Context(), flatten.Options{Output: &out, Uncompressed: true, RootEntry: true}); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		untar(t, dir, out.Bytes())
		compareBlocks(t, gnuList(t, dir, "ls"), got, false)
	})
	t.Run("overlayfs", func(t *testing.T) {
		var lower []string
		for i, l := range layers {
			dir := t.TempDir()
			untar(t, dir, l.Tar)
			for _, name := range whiteouts[i] {
				makeWhiteout(t, filepath.Join(dir, name))
			}
			lower = append([]string{dir}, lower...)
		}
		dir := t.TempDir()
		mount := []string{"unshare", "-m", "sh", "-c", `mount -t overlay -o "lowerdir=$1" overlay . && shift && cd . && cd "$PWD" && exec "$@"`, "sh", strings.Join(lower, ":")}
		if out, err := inDir(dir, append(mount, "true")...).CombinedOutput(); err != nil {
			t.Skipf("no overlayfs: %v: %s", err, out)
		}
		compareBlocks(t, gnuList(t, dir, append(mount, "ls")...), got, true)
	})
}

// listing is what ls -lRa prints to a terminal, in UTC.
func listing(t *testing.T, m *flatten.Merged) string {
	t.Helper()
	defer func(l *time.Location) { time.Local = l }(time.Local)
	time.Local = time.UTC
	var b bytes.Buffer
	out := bufio.NewWriter(&b)
	tr := tree.Of(m.View)
	var o owners
	if err := o.read(t.Context(), m, tr); err != nil {
		t.Fatal(err)
	}
	l := &lister{tree: tr, out: out, recursive: true, all: true, print: &textPrinter{
		tree: tr, out: out, quote: quoteTTY, long: &long{owners: &o, now: time.Now(), tty: true},
	}}
	l.list([]operand{{"", tree.Root}})
	out.Flush()
	return b.String()
}

// gnuList runs GNU ls, or a command that ends with it, in a folder.
func gnuList(t *testing.T, dir string, command ...string) map[string][]string {
	t.Helper()
	cmd := inDir(dir, append(command, "-lAR", "--quoting-style=shell-escape", "--color=never")...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TIME_STYLE=locale", "TZ=UTC")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return blocks(string(out))
}

func inDir(dir string, command ...string) *exec.Cmd {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	return cmd
}

func untar(t *testing.T, dir string, stream []byte) {
	t.Helper()
	cmd := inDir(dir, "tar", "-xp", "--numeric-owner", "--delay-directory-restore")
	cmd.Stdin = bytes.NewReader(stream)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tar: %v: %s", err, out)
	}
}

// makeWhiteout makes what overlayfs takes for a whiteout, and leaves its folder
// as old as it is.
func makeWhiteout(t *testing.T, name string) {
	t.Helper()
	info, err := os.Stat(filepath.Dir(name))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Mknod(name, unix.S_IFCHR, 0); err != nil {
		t.Skipf("no whiteout can be made: %v", err)
	}
	if err := os.Chtimes(filepath.Dir(name), info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
}

// blocks are the lines of ls -R by heading, without those that say how much is
// stored.
func blocks(listing string) map[string][]string {
	list := map[string][]string{}
	for block := range strings.SplitSeq(strings.TrimSuffix(listing, "\n"), "\n\n") {
		lines := strings.Split(strings.TrimSuffix(block, "\n"), "\n")
		rest := lines[1:]
		if len(rest) > 0 && strings.HasPrefix(rest[0], "total ") {
			rest = rest[1:]
		}
		list[lines[0]] = append([]string{}, rest...)
	}
	return list
}

var (
	spaces  = regexp.MustCompile(` +`)
	dirSize = regexp.MustCompile(`^(d\S+ \d+ \S+ \S+) \d+`)
	dirLink = regexp.MustCompile(`^(d\S+) \d+`)
)

// compareBlocks compares to the byte what has no folder in it. A folder's size
// is the file system's affair, and on overlayfs its links are; the columns' widths
// then are, too.
func compareBlocks(t *testing.T, want, got map[string][]string, overlay bool) {
	t.Helper()
	tidy := func(block []string) []string {
		list := make([]string, len(block))
		for i, line := range block {
			line = spaces.ReplaceAllString(line, " ")
			line = dirSize.ReplaceAllString(line, "$1 0")
			if overlay {
				line = dirLink.ReplaceAllString(line, "$1 1")
			}
			list[i] = line
		}
		return list
	}
	if len(want) < 10 {
		t.Errorf("GNU ls has %d blocks", len(want))
	}
	for heading, block := range want {
		mine, ok := got[heading]
		if !ok {
			t.Errorf("no block %s", heading)
		}
		if strings.Contains("\n"+strings.Join(block, "\n"), "\nd") {
			block, mine = tidy(block), tidy(mine)
		}
		if diff := cmp.Diff(block, mine); diff != "" {
			t.Errorf("%s (-GNU +flatten):\n%s", heading, diff)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d blocks, want %d", len(got), len(want))
	}
}

// Sizes for people are rounded as GNU ls rounds them.
func TestHumanSizeAsGNU(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l := long{human: true}
	sizes := []int64{0, 1, 999, 1023, 1024, 1025, 1535, 1536, 10137, 10138, 10239, 10240, 10241, 102400, 1047552, 1047553, 1048575, 1048576,
		1671330, 10380902, 10380903, 1 << 30, 1<<30 + 1, 1<<33 - 1, 1 << 40, 5_000_000_000_000}
	for i := int64(1); i < 5_000_000_000_000; i = i*13/5 + 7 {
		sizes = append(sizes, i)
	}
	for _, size := range sizes {
		if err := os.Truncate(file, size); err != nil {
			t.Logf("%d bytes: %v", size, err)
			continue
		}
		out, err := exec.Command("ls", "-lh", file).Output()
		fields := strings.Fields(string(out))
		if err != nil || len(fields) < 5 {
			t.Skipf("needs ls -lh: %v: %s", err, out)
		}
		if got := l.size(size); got != fields[4] {
			t.Errorf("%d: %s, GNU ls has %s", size, got, fields[4])
		}
	}
	if got := l.size(1<<63 - 1); got != "8.0E" {
		t.Errorf("the largest size is %s", got)
	}
}
