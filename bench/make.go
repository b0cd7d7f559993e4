// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed image
var imageFiles embed.FS

// baseImage and builtImage are the names that docker knows the images by.
const (
	baseImage  = "flatten-bench-base"
	builtImage = "flatten-bench"
)

// maker makes the images of the benchmark as a user would: debootstrap, docker
// build, skopeo.
type maker struct {
	ctx    context.Context
	out    string // folder of the results
	suite  string // of Debian
	stderr io.Writer
}

// makeImages is "bench make".
func makeImages(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench make", flag.ContinueOnError)
	flags.SetOutput(stderr)
	out := flags.String("out", "/var/tmp/flatten-bench", "folder for the layout")
	suite := flags.String("suite", "", "release of Debian (default: the host's)")
	fresh := flags.Bool("fresh", false, "make the base again where docker has it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	m := &maker{ctx: ctx, out: *out, suite: *suite, stderr: stderr}
	if err := m.check(); err != nil {
		return err
	}
	if err := os.MkdirAll(m.out, 0o755); err != nil {
		return err
	}
	if *fresh || m.run("", "docker", "image", "inspect", "--format", "base is {{.Id}}", baseImage) != nil {
		if err := m.base(); err != nil {
			return fmt.Errorf("making the base: %w", err)
		}
	}
	layout := filepath.Join(m.out, "image")
	for _, tag := range []string{"skopeo", "changed"} {
		if err := m.build(tag); err != nil {
			return fmt.Errorf("building %s: %w", tag, err)
		}
		err := m.run("", "skopeo", "copy", "--insecure-policy", "docker-daemon:"+builtImage+":"+tag, "oci:"+layout+":"+tag)
		if err != nil {
			return fmt.Errorf("exporting %s: %w", tag, err)
		}
	}
	return m.variants(layout, stdout)
}

// variants are the same layers from other compressors.
func (m *maker) variants(layout string, stdout io.Writer) error {
	from, err := openImage("oci:" + layout + ":skopeo")
	if err != nil {
		return err
	}
	for _, v := range []struct{ tag, with, as string }{
		{"gzip", "gzip -6 -n", "gzip"},
		{"pigz", "pigz -6 -n", "gzip"},
		{"zstd", "zstd -3 -q", "zstd"},
	} {
		if _, err := exec.LookPath(strings.Fields(v.with)[0]); err != nil {
			fmt.Fprintf(m.stderr, "bench: no variant %s: %v\n", v.tag, err)
			continue
		}
		fmt.Fprintf(m.stderr, "+ %s of every layer\n", v.with)
		if _, err := recompress(m.ctx, from, v.tag, v.with, v.as); err != nil {
			return err
		}
	}
	for _, tag := range []string{"skopeo", "changed", "gzip", "pigz", "zstd"} {
		img, err := openImage("oci:" + layout + ":" + tag)
		if err != nil {
			continue // said above
		}
		if err := img.printLayers(stdout); err != nil {
			return err
		}
	}
	return nil
}

// check fails early when something is missing.
func (m *maker) check() error {
	for _, program := range []string{"debootstrap", "docker", "skopeo", "tar", "apt-get", "apt-config"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("make: it takes a Debian with debootstrap, docker and skopeo: %w", err)
		}
	}
	if os.Geteuid() != 0 {
		return errors.New("make: debootstrap takes root")
	}
	if m.suite != "" {
		return nil
	}
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(release)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok {
			m.suite = name
			return nil
		}
	}
	return errors.New("make: the host's release is unknown; -suite names one")
}

// base debootstraps the release into an image of one layer.
func (m *maker) base() error {
	lines, mirror, err := m.sources()
	if err != nil {
		return err
	}
	tree, err := os.MkdirTemp(m.out, "base-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tree)
	if err := m.run("", "debootstrap", "--variant=minbase", m.suite, tree, mirror); err != nil {
		return err
	}
	options, err := m.aptOptions()
	if err != nil {
		return err
	}
	for name, text := range map[string][]byte{
		"etc/apt/sources.list":         lines,
		"etc/apt/apt.conf.d/00acquire": options,
	} {
		if err := os.WriteFile(filepath.Join(tree, name), text, 0o644); err != nil {
			return err
		}
	}
	return m.run("", "sh", "-c", "cd \"$1\" && tar -c $(ls -A) | docker import - "+baseImage, "sh", tree)
}

// sources are the host's sources of the release, one line each, and where its
// packages are.
func (m *maker) sources() (lines []byte, mirror string, err error) {
	out, err := exec.CommandContext(m.ctx, "apt-get", "indextargets",
		"--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Identifier: Packages").Output()
	if err != nil {
		return nil, "", fmt.Errorf("apt-get indextargets: %w", err)
	}
	for scan := bufio.NewScanner(bytes.NewReader(out)); scan.Scan(); {
		fields := strings.Fields(scan.Text())
		if len(fields) != 3 || !strings.HasPrefix(fields[1], m.suite) {
			continue
		}
		if fields[1] == m.suite && mirror == "" {
			mirror = fields[0]
		}
		lines = fmt.Appendf(lines, "deb %s\n", scan.Text())
	}
	if mirror == "" {
		return nil, "", fmt.Errorf("apt has no source of %s", m.suite)
	}
	return lines, mirror, nil
}

// aptOptions are the host's settings of how packages are fetched.
func (m *maker) aptOptions() ([]byte, error) {
	out, err := exec.CommandContext(m.ctx, "apt-config", "dump", "Acquire").Output()
	if err != nil {
		return nil, fmt.Errorf("apt-config dump: %w", err)
	}
	var kept []byte
	for line := range bytes.Lines(out) {
		for _, prefix := range []string{"Acquire::Check-", "Acquire::http::", "Acquire::https::"} {
			if bytes.HasPrefix(line, []byte(prefix)) {
				kept = append(kept, line...)
			}
		}
	}
	return kept, nil
}

// build runs docker build. The tag "changed" has another small top layer.
func (m *maker) build(tag string) error {
	dir, err := os.MkdirTemp("", "flatten-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	files, err := fs.Sub(imageFiles, "image")
	if err != nil {
		return err
	}
	if err := os.CopyFS(dir, files); err != nil {
		return err
	}
	if tag == "changed" {
		line := []byte("print(\"changed\")\n")
		if err := os.WriteFile(filepath.Join(dir, "app", "changed.py"), line, 0o644); err != nil {
			return err
		}
	}
	args := []string{"build", "--network", "host", "--build-arg", "BASE=" + baseImage, "-t", builtImage + ":" + tag}
	for _, name := range []string{"http_proxy", "https_proxy", "no_proxy"} {
		if os.Getenv(name) != "" {
			args = append(args, "--build-arg", name) // the value stays out of the command and the image
		}
	}
	return m.run(dir, "docker", append(args, ".")...)
}

// run runs a program in a folder and shows what it says.
func (m *maker) run(dir, name string, args ...string) error {
	fmt.Fprintln(m.stderr, "+", name, strings.Join(args, " "))
	cmd := exec.CommandContext(m.ctx, name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, m.stderr, m.stderr
	return cmd.Run()
}
