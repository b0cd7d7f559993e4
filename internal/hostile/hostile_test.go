// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package hostile_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	godiff "github.com/google/go-cmp/cmp"

	"github.com/seed-81b0d42e/flatten/internal/hostile"
	"github.com/seed-81b0d42e/flatten/internal/tartest"
)

// everything, when it is not empty, is the environment variable with which inputs
// that take seconds and every single bit are tried, too.
const everything = "FLATTEN_HOSTILE_ALL"

const (
	maxMemory = 256 << 20
	patience  = 60 * time.Second // after which a run counts as one without end
)

// TestMain is also the process between this one and the command: see run.
func TestMain(m *testing.M) {
	if file := os.Getenv("HOSTILE_REPORT"); file != "" {
		r := measure(os.Stdin, os.Stdout, os.Stderr, os.Args[1:])
		b, err := json.Marshal(r)
		if err == nil {
			err = os.WriteFile(file, b, 0o644)
		}
		if err != nil {
			panic(err)
		}
		os.Exit(0)
	}
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// report is what a run took.
type report struct {
	Exit    int
	Memory  int64 // bytes; 0 where it is not known
	Seconds float64
	CPU     float64 // seconds of all processors
}

// measure runs a command.
func measure(stdin io.Reader, stdout, stderr io.Writer, args []string) report {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	began := time.Now()
	err := cmd.Run()
	p := cmd.ProcessState
	if p == nil {
		panic(err)
	}
	return report{Exit: p.ExitCode(), Memory: peak(p), Seconds: time.Since(began).Seconds(), CPU: (p.UserTime() + p.SystemTime()).Seconds()}
}

// built is the command.
var built struct {
	once sync.Once
	dir  string
	err  error
}

func command(t *testing.T) string {
	t.Helper()
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command")
	}
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "hostile"); built.err != nil {
			return
		}
		var out []byte
		out, built.err = exec.Command(goTool, "build", "-o", built.dir+string(filepath.Separator), "../../cmd/flatten").CombinedOutput()
		if built.err != nil {
			os.Stderr.Write(out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	name := filepath.Join(built.dir, "flatten")
	if _, err := os.Stat(name); err != nil {
		name += ".exe"
	}
	return name
}

// result is what a run did.
type result struct {
	report
	stdout, stderr string
}

// run gives an input to the command. work has out, tmp and cache.
//
// To a process's peak of memory counts that of the one that started it. So what is
// measured from here is at most too much; when it matters, a small process stands
// in between.
func run(t *testing.T, in *hostile.Input, ref, stdin, work string) result {
	t.Helper()
	args := []string{command(t), "-q", "-o", filepath.Join(work, "out"), "--tmpdir", filepath.Join(work, "tmp"),
		"--cache-dir", filepath.Join(work, "cache")}
	if !slices.Contains(unasked, in.Name) {
		args = append(args, "--platform", "linux/amd64")
	}
	args = append(append(args, in.Args...), ref)
	var input io.Reader
	if stdin != "" {
		f, err := os.Open(stdin)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		input = f
	}
	if os.Getenv(everything) == "" {
		var stdout, stderr bytes.Buffer
		if r := measure(input, &stdout, &stderr, args); r.Memory < maxMemory {
			return result{r, stdout.String(), stderr.String()}
		}
		if f, ok := input.(*os.File); ok {
			if _, err := f.Seek(0, io.SeekStart); err != nil {
				t.Fatal(err)
			}
		}
	}
	return runApart(t, input, args)
}

// runApart is run with a process in between.
func runApart(t *testing.T, stdin io.Reader, args []string) (r result) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "report")
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "HOSTILE_REPORT="+file)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &r.report)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.stdout, r.stderr = stdout.String(), stderr.String()
	return r
}

// unasked are inputs about what happens when no platform was asked for.
var unasked = []string{"config-for-windows", "config-for-a-system-that-a-terminal-obeys"}

// TestCorpus gives every input to the command.
//
//	FLATTEN_HOSTILE_ALL=1 go test -v -run TestCorpus ./internal/hostile
//
// also tries those that take seconds, and says what took most.
func TestCorpus(t *testing.T) {
	command(t)
	worst := &worst{}
	t.Cleanup(func() { worst.log(t) })
	for _, in := range hostile.Inputs() {
		t.Run(in.Name, func(t *testing.T) {
			if in.Slow && os.Getenv(everything) == "" {
				t.Skip("takes seconds")
			}
			if in.Root && os.Geteuid() != 0 {
				t.Skip("only root can make it")
			}
			t.Parallel()
			dir, work := t.TempDir(), t.TempDir()
			for _, name := range []string{"out", "tmp", "cache"} {
				if err := os.Mkdir(filepath.Join(work, name), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			ref, stdin := in.Write(dir)
			r := run(t, &in, ref, stdin, work)
			worst.add(in.Name, r.report)
			check(t, &in, r, work)
			if in.Exit == 0 && os.Getenv(everything) != "" { // and now that the cache knows it
				again := run(t, &in, ref, stdin, work)
				worst.add(in.Name+" again", again.report)
				check(t, &in, again, work)
				if again.stdout != r.stdout {
					t.Errorf("first %s, then %s", r.stdout, again.stdout)
				}
			}
		})
	}
}

var (
	line = regexp.MustCompile(`\Aflatten: ([^\n]*)\n(flatten: hint: [^\n]*\n)?\z`)

	// unprintable is what a terminal might obey.
	unprintable = regexp.MustCompile(`[\x00-\x09\x0b-\x1f\x7f]`)
)

// check wants of a run what the package comment promises.
func check(t *testing.T, in *hostile.Input, r result, work string) {
	t.Helper()
	if r.Exit != in.Exit {
		t.Errorf("exit code %d, want %d", r.Exit, in.Exit)
	}
	if r.Memory >= maxMemory {
		t.Errorf("%d MiB of memory", r.Memory>>20)
	}
	if bytes.ContainsAny([]byte(r.stderr), "\x1b\a\r") || unprintable.MatchString(r.stderr) {
		t.Errorf("says what a terminal obeys: %q", r.stderr)
	}
	if in.Exit == 0 {
		if r.stderr != "" {
			t.Errorf("says %s", head(r.stderr))
		}
		accepted(t, in, work)
		return
	}
	m := line.FindStringSubmatch(r.stderr)
	if m == nil || len(m[1]) > 4096 {
		t.Fatalf("says not one line: %s", head(r.stderr))
	}
	if !regexp.MustCompile(`\A(` + in.Err + `)\z`).MatchString(m[1]) {
		t.Errorf("says %q, want %q", m[1], in.Err)
	}
	if r.stdout != "" {
		t.Errorf("standard output: %s", head(r.stdout))
	}
	if left := leftovers(t, work); len(left) > 0 {
		t.Errorf("leaves %q", left)
	}
}

// accepted wants one output, with the input's tree in it.
func accepted(t *testing.T, in *hostile.Input, work string) {
	t.Helper()
	left := leftovers(t, work)
	if len(left) != 1 || !strings.HasSuffix(left[0], ".tar.gz") {
		t.Fatalf("leaves %q, want one file", left)
	}
	if in.Why == "" {
		t.Error("accepted, and nobody says why")
	}
	if in.Tree == nil {
		return
	}
	out, err := os.ReadFile(filepath.Join(work, left[0]))
	if err != nil {
		t.Fatal(err)
	}
	tar, err := tartest.Gunzip(out)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := tartest.Read(tar)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Sorted(slices.Values(in.Tree))
	if diff := godiff.Diff(want, slices.Sorted(slices.Values(tree.Lines()))); diff != "" {
		t.Errorf("the tree (- want, + got):\n%s", diff)
	}
}

// leftovers are the files in out, tmp and cache but for the cache's entries.
func leftovers(t *testing.T, work string) (files []string) {
	t.Helper()
	for _, name := range []string{"out", "tmp", "cache"} {
		list, err := os.ReadDir(filepath.Join(work, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			if name != "cache" || !strings.HasSuffix(e.Name(), ".toc") && !strings.HasSuffix(e.Name(), ".excerpts") {
				files = append(files, filepath.Join(name, e.Name()))
			}
		}
	}
	return files
}

func head(s string) string { return s[:min(len(s), 2000)] }

const top = 10 // runs that are said to have taken most

// worst are the runs that took most.
type worst struct {
	mu   sync.Mutex
	runs []measured
}

type measured struct {
	name string
	report
}

func (w *worst) add(name string, r report) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.runs = append(w.runs, measured{name, r})
}

func (w *worst) log(t *testing.T) {
	total := 0.0
	for _, r := range w.runs {
		total += r.CPU
	}
	t.Logf("%d runs, %.0f s of CPU", len(w.runs), total)
	slices.SortFunc(w.runs, func(a, b measured) int { return cmp.Compare(b.Memory, a.Memory) })
	for _, r := range w.runs[:min(top, len(w.runs))] {
		t.Logf("%4d MiB %s", r.Memory>>20, r.name)
	}
	slices.SortFunc(w.runs, func(a, b measured) int { return cmp.Compare(b.Seconds, a.Seconds) })
	for _, r := range w.runs[:min(top, len(w.runs))] {
		t.Logf("%6.2f s, %5.2f s of CPU %s", r.Seconds, r.CPU, r.name)
	}
}

// The corpus is as large as it should be, and each input can be told from others.
func TestInputs(t *testing.T) {
	names, groups := map[string]bool{}, map[string]int{}
	for _, in := range hostile.Inputs() {
		if names[in.Name] {
			t.Errorf("two inputs are called %s", in.Name)
		}
		names[in.Name] = true
		groups[in.Group]++
		if (in.Exit == 0) != (in.Why != "") || (in.Exit == 0) == (in.Err != "") || in.Group == "" {
			t.Errorf("%s: exit code %d, %q, %q, %q", in.Name, in.Exit, in.Err, in.Why, in.Group)
		}
	}
	if len(names) < 200 {
		t.Errorf("%d inputs", len(names))
	}
	t.Logf("%d inputs: %v", len(names), groups)
}
