// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// flattenCommand runs the command and returns its standard output.
func flattenCommand(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(context.Background(), process{
		args: args, getenv: func(string) string { return "" },
		stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr,
	})
	if code != 0 {
		t.Fatalf("flatten %q: exit code %d: %s", args, code, &stderr)
	}
	return stdout.String()
}

// docker runs Docker and returns its standard output.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("docker", args...)
	cmd.Env = append(os.Environ(), "DOCKER_BUILDKIT=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("docker %q: %v: %s", args, err, &stderr)
	}
	return string(out)
}

// needDocker skips a test without Docker, and with one that keeps images as
// containerd does: what it calls an image's ID is the digest of its manifest.
func needDocker(t *testing.T) {
	t.Helper()
	out, err := exec.Command("docker", "info").CombinedOutput()
	if err != nil || strings.Contains(string(out), "io.containerd.snapshotter") {
		t.Skipf("needs docker with its own image store: %v: %.200s", err, out)
	}
}

// built is an image that Docker made of a Dockerfile that uses each instruction,
// and the archive that it saved.
func built(t *testing.T) (name, archive string) {
	t.Helper()
	needDocker(t)
	dir := t.TempDir()
	for file, text := range map[string]string{
		"a": "1", "b": strings.Repeat("2", 12345),
		"Dockerfile": `FROM scratch
LABEL org.example.title="a <b> & \"c\"" two=2
MAINTAINER me <me@example.org>
COPY a /a
ENV PATH=/bin EMPTY=
EXPOSE 80 53/udp
VOLUME /data
USER 1:2
WORKDIR /srv
COPY b /b
STOPSIGNAL SIGINT
SHELL ["/sh", "-e"]
ONBUILD COPY c /
HEALTHCHECK --interval=5s --retries=3 CMD ["/a", "x"]
ENTRYPOINT ["/a"]
CMD ["-v"]
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	name = fmt.Sprintf("flatten-test:%d", time.Now().UnixNano())
	docker(t, "build", "-q", "-t", name, dir)
	t.Cleanup(func() { docker(t, "rmi", "-f", name) })
	archive = filepath.Join(dir, "saved.tar")
	docker(t, "save", "-o", archive, name)
	return name, archive
}

// Every field that Docker prints is the same, but for those that are the daemon's
// and the size, which is another thing.
func TestInspectAsDocker(t *testing.T) {
	name, archive := built(t)
	read := func(out string) map[string]any {
		var all []map[string]any
		if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 1 {
			t.Fatalf("%v: %s", err, out)
		}
		return all[0]
	}
	want := read(docker(t, "image", "inspect", name))
	got := read(flattenCommand(t, "inspect", "docker-archive:"+archive))
	for _, daemons := range []string{
		"Parent", "Container", "ContainerConfig", "GraphDriver", "Metadata", "Size", "VirtualSize", "Descriptor",
	} {
		delete(want, daemons)
		delete(got, daemons)
	}
	config := want["Config"].(map[string]any)
	for _, unused := range []string{
		"Hostname", "Domainname", "AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce", "Image",
	} {
		delete(config, unused)
	}
	prune(want)
	prune(got)
	delete(got, "Reference")
	delete(got, "Layers")
	if len(want) < 8 || len(config) < 10 {
		t.Errorf("Docker says little: %v", want)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("Docker's -, ours +\n%s", d)
	}
	for _, format := range []string{
		"{{.Id}}", "{{.ID}} {{.Os}}", "{{json .RootFS.Layers}}", "{{json .Config.Labels}}", "{{.Config.Labels}}",
		`{{join .Config.Env "|"}}`, `{{upper .Os}}/{{title .Architecture}}`, `{{range split .Created "-"}}{{println .}}{{end}}`,
		`{{pad .Os 2 3}}|{{truncate .Id 10}}`, `{{index .Config.Labels "two"}}`, `{{len .RootFS.Layers}}`,
		`{{.Config.Healthcheck.Interval}}`, `{{json .Config.ExposedPorts}}`, `{{.Config.User | printf "%q"}}`, `\t`,
	} {
		want := docker(t, "image", "inspect", "--format", format, name)
		if got := flattenCommand(t, "inspect", "-f", format, "docker-archive:"+archive); got != want {
			t.Errorf("%s: %q, Docker says %q", format, got, want)
		}
	}
}

// prune removes what is empty, which some versions print and others do not.
func prune(m map[string]any) {
	for key, value := range m {
		if inner, ok := value.(map[string]any); ok {
			prune(inner)
		}
		switch fmt.Sprint(value) {
		case "", "<nil>", "[]", "map[]":
			delete(m, key)
		}
	}
}

// loaded makes Docker know an image of one small layer for each entry of the
// history that is not empty, and returns its archive.
func loaded(t *testing.T, name string, history []v1.History) (archive string) {
	t.Helper()
	needDocker(t)
	var layers []tartest.Blob
	for i, h := range history {
		if !h.EmptyLayer {
			layers = append(layers, tartest.Layer(tartest.File(fmt.Sprint("f", i), "x")))
		}
	}
	archive = dockerArchive(t, name, tartest.Image(layers...), history)
	docker(t, "load", "-q", "-i", archive)
	t.Cleanup(func() { docker(t, "rmi", "-f", name) })
	return archive
}

// dockerArchive writes an image with a history as docker save would.
func dockerArchive(t *testing.T, name string, img *image.Image, history []v1.History) string {
	t.Helper()
	config := img.Config
	config.History = history
	raw, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(name string, body []byte) {
		err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(body))})
		if err == nil {
			_, err = w.Write(body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for i, l := range img.Layers {
		blob, err := l.Open(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		stored, err := image.ReadBlob(io.NewSectionReader(blob, 0, blob.Size()), blob.Size())
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, fmt.Sprintf("%d/layer.tar", i))
		add(names[i], stored)
	}
	add("config.json", raw)
	manifest, err := json.Marshal([]map[string]any{{"Config": "config.json", "RepoTags": []string{name}, "Layers": names}})
	if err != nil {
		t.Fatal(err)
	}
	add("manifest.json", manifest)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// Ages, commands, comments and dates are said as Docker says them. The ages are
// far from where one turns into another.
func TestHistoryAsDocker(t *testing.T) {
	const hour, day = time.Hour, 24 * time.Hour
	now := time.Now()
	var history []v1.History
	for _, age := range []time.Duration{
		20 * 365 * day, 4*365*day + 100*day, 700 * day, 75 * day, 50 * day, 17 * day, 13*day + 12*hour, 3*day + 12*hour,
		47 * hour, 36*hour + 10*time.Minute, 5 * hour, 2*hour - 10*time.Minute, 90*time.Minute + 2*time.Minute,
		time.Hour, 45*time.Minute + 30*time.Second, 150 * time.Second, 90 * time.Second, -time.Hour,
	} {
		created := now.Add(-age)
		history = append(history, v1.History{Created: &created, CreatedBy: "RUN sleep " + age.String(), EmptyLayer: true})
	}
	history[0].EmptyLayer = false
	history[1].CreatedBy = "/bin/sh -c #(nop)\tCOPY dir:e166fac1edd190dee8dd8d82b55d2e9610030accb7fb6d8dea7bbe7374e3623c in /app"
	history[2].CreatedBy = "RUN a long one that is exactly 45 bytes, said"
	history[3].CreatedBy = "RUN a long one that is exactly 46 bytes, I say"
	history[4].CreatedBy = "RUN echo \u00e4\u00f6\u00fc \u00e4\u00f6\u00fc \u00e4\u00f6\u00fc \u00e4\u00f6\u00fc \u00e4\u00f6\u00fc \u00e4\u00f6\u00fc \u00e4\u00f6\u00fc \u00e4\u00f6\u00fc \u00e4\u00f6\u00fc \u00e4\u00f6\u00fc"
	history[5].Comment = "a comment"
	name := fmt.Sprintf("flatten-test:%d", now.UnixNano())
	archive := "docker-archive:" + loaded(t, name, history)
	for _, args := range [][]string{
		{"--format", "{{.ID}}|{{.CreatedSince}}|{{.CreatedAt}}|{{.CreatedBy}}|{{.Comment}}"},
		{"--format", `table {{.ID}}\t{{.CreatedSince}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Comment}}`},
		{"--format", `table {{.CreatedSince | upper}}\t{{json .CreatedBy}}`},
		{"--no-trunc", "--format", "table {{.ID}}\t{{.CreatedBy}}"},
		{"--human=false", "--format", "{{.CreatedSince}} {{.CreatedBy}}"},
		{"-H=false", "--format", "{{.CreatedSince}}"},
	} {
		want := docker(t, append(append([]string{"history"}, args...), name)...)
		got := flattenCommand(t, append(append([]string{"history"}, args...), archive)...)
		if d := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); d != "" {
			t.Errorf("%q: Docker's -, ours +\n%s", args, d)
		}
	}
}

// Sizes are written as Docker writes them; it counts what is in a layer's files.
func TestSizesAsDocker(t *testing.T) {
	needDocker(t)
	sizes := []int{0, 1, 999, 1000, 1004, 1005, 9994, 12345, 99949, 999499, 1000000, 1234567}
	var layers []tartest.Blob
	var history []v1.History
	created := time.Now()
	for i, n := range sizes {
		layers = append(layers, tartest.Layer(tartest.File(fmt.Sprint("f", i), strings.Repeat("x", n))))
		history = append(history, v1.History{Created: &created})
	}
	name := fmt.Sprintf("flatten-test:%d", created.UnixNano())
	archive := dockerArchive(t, name, tartest.Image(layers...), history)
	docker(t, "load", "-q", "-i", archive)
	t.Cleanup(func() { docker(t, "rmi", "-f", name) })
	lines := strings.Fields(docker(t, "history", "--format", "{{.Size}}", name))
	if len(lines) != len(sizes) {
		t.Fatalf("%d lines: %q", len(lines), lines)
	}
	for i, n := range sizes {
		if got, want := dockerSize(int64(n)), lines[len(sizes)-1-i]; got != want {
			t.Errorf("%d bytes: %s, Docker says %s", n, got, want)
		}
	}
}
