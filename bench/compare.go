// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// cranePackage is built when crane is not installed.
const cranePackage = "github.com/google/go-containerregistry/cmd/crane@v0.22.1"

// bench is one comparison.
type bench struct {
	image       *localImage
	changed     string // tag of an image with one other small layer
	dockerImage string // docker's id of the image
	tmp         string // work folder
	bin         string // what was built for this comparison
	help        string // what flatten --help says
	primed      bool   // flatten's cache is filled
	shell       *shell
	vars        [][2]string // what the command lines refer to
	stderr      io.Writer
}

// options are the flags of a comparison.
type options struct {
	image, changed, flatten, tmp string
	runs                         int
	rows                         *regexp.Regexp
	verify, markdown             bool
}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.image, "image", "oci:/var/tmp/flatten-bench/image:skopeo", "the image, as oci:DIR:TAG")
	flags.StringVar(&o.changed, "changed", "", "tag in DIR of an image that differs in a small layer")
	flags.StringVar(&o.flatten, "flatten", "", "the flatten to measure (default: built from ./cmd/flatten)")
	flags.StringVar(&o.tmp, "tmp", "", "folder to work in (default: the system's)")
	flags.IntVar(&o.runs, "runs", 5, "runs of each row, after one to warm up; with 0 that one counts")
	flags.BoolVar(&o.verify, "verify", true, "read the outputs back and compare them")
	flags.BoolVar(&o.markdown, "markdown", false, "print Markdown")
	rows := flags.String("rows", "", "regular expression of the rows to run (default: all)")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q is neither a verb nor a flag", flags.Arg(0))
	}
	if o.runs < 0 {
		return o, fmt.Errorf("-runs %d: it is a number from 0", o.runs)
	}
	var err error
	o.rows, err = regexp.Compile(*rows)
	return o, err
}

// compare is bench without a verb.
func compare(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	b := &bench{changed: o.changed, stderr: stderr}
	if b.image, err = openImage(o.image); err != nil {
		return err
	}
	if b.tmp, err = os.MkdirTemp(o.tmp, "flatten-bench-"); err != nil {
		return err
	}
	defer func() {
		if err := os.RemoveAll(b.tmp); err != nil {
			fmt.Fprintln(stderr, "bench:", err)
		}
	}()
	if err := b.programs(ctx, o.flatten); err != nil {
		return err
	}
	stop, err := b.environment(ctx)
	if err != nil {
		return err
	}
	defer stop()
	rows := choose(b.allRows(ctx), o.rows)
	if err := b.prepare(ctx, rows); err != nil {
		return err
	}
	err = b.runAll(ctx, rows, o)
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(stderr, "bench: interrupted; the table has what there is")
	} else if err != nil {
		return err
	}
	return errors.Join(err, b.report(context.WithoutCancel(ctx), stdout, rows, o))
}

// programs puts flatten and crane into a folder that the rows have on their path.
func (b *bench) programs(ctx context.Context, given string) error {
	b.bin = filepath.Join(b.tmp, "bin")
	if err := os.Mkdir(b.bin, 0o755); err != nil {
		return err
	}
	at := filepath.Join(b.bin, "flatten")
	if given != "" {
		if given, err := filepath.Abs(given); err != nil {
			return err
		} else if err := os.Symlink(given, at); err != nil {
			return err
		}
	} else if err := b.build(ctx, "go", "build", "-trimpath", "-o", at, "github.com/seed-81b0d42e/flatten/cmd/flatten"); err != nil {
		return err
	}
	if _, err := exec.LookPath("crane"); err != nil {
		if err := b.build(ctx, "go", "install", cranePackage); err != nil {
			fmt.Fprintln(b.stderr, "bench: no crane:", err)
		}
	}
	help, err := exec.CommandContext(ctx, at, "--help").CombinedOutput()
	if err != nil {
		return fmt.Errorf("flatten --help: %w", err)
	}
	b.help = string(help)
	return nil
}

func (b *bench) build(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "GOBIN="+b.bin, "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = b.stderr, b.stderr
	return cmd.Run()
}

// environment starts the registry and sets the variables of the command lines.
func (b *bench) environment(ctx context.Context) (stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	host, stop, err := startRegistry(ctx, self, b.image.dir)
	if err != nil {
		return nil, err
	}
	rootless := ""
	if os.Geteuid() != 0 {
		rootless = "--rootless"
	}
	b.vars = [][2]string{
		{"LAYOUT", b.image.dir}, {"TAG", b.image.tag}, {"CHANGED", b.changed},
		{"REF", host + "/" + repository + ":" + b.image.tag}, {"ROOTLESS", rootless},
		{"TMP", b.tmp}, {"OUT", filepath.Join(b.tmp, "out")},
	}
	b.shell, err = newShell(b.tmp, append(os.Environ(), "PATH="+b.bin+string(os.PathListSeparator)+os.Getenv("PATH")))
	if err != nil {
		stop()
		return nil, err
	}
	for _, v := range b.vars {
		b.shell.env = append(b.shell.env, v[0]+"="+v[1])
	}
	return stop, nil
}

// choose keeps the rows whose name matches.
func choose(rows []*row, names *regexp.Regexp) []*row {
	var kept []*row
	for _, r := range rows {
		if names.MatchString(r.name) {
			kept = append(kept, r)
		}
	}
	return kept
}

// prepare does once what the engines of some peers have done beforehand.
func (b *bench) prepare(ctx context.Context, rows []*row) error {
	b.set("DOCKER_IMAGE", b.dockerImage)
	for _, r := range rows {
		if r.missing != "" || !r.overlay {
			continue
		}
		fmt.Fprintln(b.stderr, "unpacking the layers for", r.name)
		if err := os.Mkdir(filepath.Join(b.tmp, "mnt"), 0o755); err != nil {
			return err
		}
		lower, err := unpackLayers(ctx, b.image, filepath.Join(b.tmp, "layers"))
		if err != nil {
			return err
		}
		b.set("LOWER", lower)
	}
	return nil
}

func (b *bench) set(name, value string) {
	b.vars = append(b.vars, [2]string{name, value})
	b.shell.env = append(b.shell.env, name+"="+value)
}

// runAll warms every row up, and reads back what it wrote, and then runs all in
// turn.
func (b *bench) runAll(ctx context.Context, rows []*row, o options) error {
	var runnable []*row
	for _, r := range rows {
		if r.missing == "" {
			runnable = append(runnable, r)
		}
	}
	var judge *contents
	for _, r := range judgeFirst(runnable) {
		err := b.warmUp(ctx, r, &judge, o)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			r.missing = err.Error()
		}
	}
	for i := range o.runs {
		for j := range runnable {
			r := runnable[(i+j)%len(runnable)]
			if r.missing != "" {
				continue
			}
			s, err := b.runOnce(ctx, r)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				return err
			}
			r.samples = append(r.samples, s)
			fmt.Fprintf(b.stderr, "%d/%d  %-42s %s\n", i+1, o.runs, r.name, s)
		}
	}
	return b.removing("out")(ctx)
}

// judgeFirst puts the row first that the others' outputs are compared with: what
// the kernel shows, or else the first that is flatten's.
func judgeFirst(rows []*row) []*row {
	rank := func(r *row) int {
		switch {
		case r.overlay:
			return 0
		case slices.Contains(r.needs, "flatten"):
			return 1
		}
		return 2
	}
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(x, y *row) int { return cmp.Compare(rank(x), rank(y)) })
	return rows
}

// warmUp runs a row once and compares what it wrote with the judge. The first
// row becomes the judge.
func (b *bench) warmUp(ctx context.Context, r *row, judge **contents, o options) error {
	s, err := b.runOnce(ctx, r)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.stderr, "warm-up %-40s %s\n", r.name, s)
	if o.runs == 0 {
		r.samples = append(r.samples, s)
	}
	if !o.verify {
		return nil
	}
	file, err := b.output()
	if err != nil {
		return err
	}
	c, err := readContents(file)
	if err != nil {
		return fmt.Errorf("its output is broken: %w", err)
	}
	r.entries = c.entries
	switch {
	case r.other:
		r.differs = "other image"
	case *judge == nil:
		*judge, r.differs = c, "judge"
	default:
		d := c.compareTo(*judge)
		r.differs, r.details = d.String(), d.details()
	}
	return nil
}

// runOnce runs a row in an empty folder, measured.
func (b *bench) runOnce(ctx context.Context, r *row) (sample, error) {
	if err := b.removing("out")(ctx); err != nil {
		return sample{}, err
	}
	if err := os.Mkdir(filepath.Join(b.tmp, "out"), 0o755); err != nil {
		return sample{}, err
	}
	if r.before != nil {
		if err := r.before(ctx); err != nil {
			return sample{}, err
		}
	}
	if sync, err := exec.LookPath("sync"); err == nil {
		if err := exec.CommandContext(ctx, sync).Run(); err != nil {
			return sample{}, err
		}
	}
	s, err := b.shell.measure(ctx, r.command)
	if err != nil {
		return s, err
	}
	file, err := b.output()
	if err != nil {
		return s, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return s, err
	}
	s.Size = info.Size()
	return s, nil
}

// output is the one file that a row wrote.
func (b *bench) output() (string, error) {
	files, err := filepath.Glob(filepath.Join(b.tmp, "out", "*.tar.gz"))
	if err != nil {
		return "", err
	}
	if len(files) != 1 {
		return "", errors.New("it wrote " + strconv.Itoa(len(files)) + " files")
	}
	return files[0], nil
}
