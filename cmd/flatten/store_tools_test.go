// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/internal/regtest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/image/imagetest"
)

// tool runs a program that reads or writes layouts and returns its standard
// output; without the program the test is skipped.
func tool(t *testing.T, args ...string) string {
	t.Helper()
	out, err := tryTool(t, args...)
	if err != nil {
		t.Fatalf("%q: %v\n%s", args, err, out)
	}
	return out
}

func tryTool(t *testing.T, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath(args[0])
	if err != nil {
		t.Skipf("no %s here", args[0])
	}
	cmd := exec.Command(path, args[1:]...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		out = append(out, exit.Stderr...)
	}
	return strings.TrimSpace(string(out)), err
}

// engine is how podman and buildah are run on a store of their own.
func engine(t *testing.T, program string) []string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, or user namespaces that are set up")
	}
	if runtime.GOARCH == "386" {
		t.Skip("the program chooses images for the machine, not for this test's 32 bits")
	}
	dir := t.TempDir()
	policy := filepath.Join(dir, "policy.json")
	if err := os.WriteFile(policy, []byte(`{"default":[{"type":"insecureAcceptAnything"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	all := []string{program, "--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--storage-driver", "vfs"}
	t.Cleanup(func() { _, _ = tryTool(t, append(all, "rmi", "--all", "--force")...) })
	return all
}

// ownLayout is a layout with two images and an index of them, pulled into a store.
type ownStore struct {
	dir        string
	app, other v1.Descriptor
	index      v1.Descriptor
	config     digest.Digest
}

func newOwnStore(t *testing.T) ownStore {
	t.Helper()
	s := imagetest.Store{}
	here := image.FormatPlatform(image.DefaultPlatform())
	o := ownStore{
		app:   s.Image(here, imagetest.Layer("etc/", "etc/motd=hello"), imagetest.Layer("etc/motd=world")),
		other: s.Image("linux/s390x", imagetest.Layer("etc/", "etc/motd=mainframe")),
	}
	o.index = s.Index(o.app, o.other)
	var m v1.Manifest
	if err := json.Unmarshal(s[o.app.Digest], &m); err != nil {
		t.Fatal(err)
	}
	o.config = m.Config.Digest
	from := t.TempDir()
	for name, b := range s.Layout(imagetest.Tagged(o.app, "app"), imagetest.Tagged(o.index, "all")) {
		path := filepath.Join(from, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// Podman and buildah take the folder for a name, which has no capitals.
	parent, err := os.MkdirTemp("", "flatten-store-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(parent) })
	o.dir = filepath.Join(parent, "store")
	o.flatten(t, "pull", "-q", "oci:"+from+":app", "oci:"+o.dir)
	o.flatten(t, "pull", "-q", "--all-platforms", "oci:"+from+":all", "oci:"+o.dir+":registry.example/all:1")
	return o
}

func (o ownStore) flatten(t *testing.T, args ...string) string {
	t.Helper()
	got := finish(t, processOf(t, args...))
	if got.code != 0 {
		t.Fatalf("%q: exit %d: %s", args, got.code, got.stderr)
	}
	return got.stdout
}

// asset is the file that an image flattens to.
func (o ownStore) asset(t *testing.T, ref string) string {
	t.Helper()
	return flattened(t, "--canonical", ref)
}

// What pull wrote is read by other programs: the same digests, the same files.
func TestToolsRead(t *testing.T) {
	o := newOwnStore(t)
	app, all := "oci:"+o.dir+":app", "oci:"+o.dir+":registry.example/all:1"
	want := o.asset(t, app)
	t.Run("skopeo", func(t *testing.T) {
		for ref, d := range map[string]v1.Descriptor{app: o.app, all: o.index} {
			if raw := tool(t, "skopeo", "inspect", "--raw", ref); digest.FromString(raw) != d.Digest {
				t.Errorf("%s: digest %s, want %s", ref, digest.FromString(raw), d.Digest)
			}
		}
		to := "oci:" + filepath.Join(t.TempDir(), "copy")
		tool(t, "skopeo", "--insecure-policy", "copy", "-q", "--all", all, to+":all")
		if got := o.asset(t, to+":all"); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
	// By a tag it looks for OCI's own manifests alone.
	t.Run("skopeo-docker-manifest", func(t *testing.T) {
		s := regtest.New(t, regtest.Config{})
		one := filepath.Join(t.TempDir(), "one")
		o.flatten(t, "pull", "-q", s.Push(t, "docker:1", regtest.Image(t, largeLayers(1, 1000)...)), "oci:"+one)
		raw := tool(t, "skopeo", "inspect", "--raw", "oci:"+one)
		if _, err := os.Stat(filepath.Join(one, "blobs", "sha256", digest.FromString(raw).Encoded())); err != nil {
			t.Errorf("the manifest's bytes: %v", err)
		}
	})
	t.Run("umoci", func(t *testing.T) {
		tags := strings.Fields(tool(t, "umoci", "ls", "--layout", o.dir))
		if !slices.Equal(tags, []string{"app", "registry.example/all:1"}) {
			t.Errorf("tags %q", tags)
		}
		bundle := filepath.Join(t.TempDir(), "bundle")
		tool(t, "umoci", "unpack", "--rootless", "--image", o.dir+":app", bundle)
		if b, err := os.ReadFile(filepath.Join(bundle, "rootfs", "etc", "motd")); err != nil || string(b) != "world" {
			t.Errorf("unpacked %q, %v", b, err)
		}
	})
	for _, program := range []string{"podman", "buildah"} {
		t.Run(program, func(t *testing.T) {
			run := engine(t, program)
			for _, ref := range []string{app, all} {
				id := tool(t, append(run, "pull", "-q", ref)...)
				if id != o.config.Encoded() {
					t.Errorf("%s: ID %s, want %s", ref, id, o.config.Encoded())
				}
			}
		})
	}
	t.Run("crane", func(t *testing.T) {
		s := regtest.New(t, regtest.Config{})
		one := filepath.Join(t.TempDir(), "one")
		o.flatten(t, "pull", "-q", app, "oci:"+one)
		tool(t, "crane", "push", one, s.Host+"/app:1", "--insecure")
		if d := tool(t, "crane", "digest", s.Host+"/app:1", "--insecure"); d != string(o.app.Digest) {
			t.Errorf("digest %s, want %s", d, o.app.Digest)
		}
	})
}

// What other programs write into a store is read, and neither side loses anything:
// not when the other one writes, nor when garbage is removed.
func TestToolsWrite(t *testing.T) {
	s := regtest.New(t, regtest.Config{})
	layers := largeLayers(2, 100_000)
	ref := s.Push(t, "theirs:1", regtest.Image(t, layers...))
	want := flattened(t, "--canonical", "docker://"+ref)
	for name, write := range map[string]func(t *testing.T, dir string){
		"skopeo": func(t *testing.T, dir string) {
			tool(t, "skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false", "--format", "oci", "docker://"+ref, "oci:"+dir+":theirs")
		},
		"skopeo-docker": func(t *testing.T, dir string) {
			tool(t, "skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false", "docker://"+ref, "oci:"+dir+":theirs")
		},
		"umoci": func(t *testing.T, dir string) {
			tool(t, "umoci", "new", "--image", dir+":theirs")
			for i, l := range layers {
				file := filepath.Join(t.TempDir(), "layer.tar")
				if err := os.WriteFile(file, l.Tar, 0o600); err != nil {
					t.Fatal(i, err)
				}
				tool(t, "umoci", "raw", "add-layer", "--image", dir+":theirs", file)
			}
		},
		"umoci-gc": func(t *testing.T, dir string) {
			tool(t, "skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false", "--format", "oci", "docker://"+ref, "oci:"+dir+":theirs")
			tool(t, "umoci", "gc", "--layout", dir)
		},
		"podman": func(t *testing.T, dir string) {
			run := engine(t, "podman")
			id := tool(t, append(run, "pull", "-q", "--tls-verify=false", ref)...)
			tool(t, append(run, "push", "-q", id, "oci:"+dir+":theirs")...)
		},
		"buildah": func(t *testing.T, dir string) {
			run := engine(t, "buildah")
			id := tool(t, append(run, "pull", "-q", "--tls-verify=false", ref)...)
			tool(t, append(run, "push", "-q", id, "oci:"+dir+":theirs")...)
		},
		"crane": func(t *testing.T, dir string) {
			tool(t, "crane", "pull", "--insecure", "--format=oci", "--annotate-ref", ref, dir)
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOwnStore(t)
			ours := o.asset(t, "oci:"+o.dir+":app")
			write(t, o.dir)
			tag := "theirs"
			if name == "crane" {
				tag = ref
			}
			check := func() {
				t.Helper()
				if got := o.asset(t, "oci:"+o.dir+":"+tag); got != want {
					t.Errorf("theirs is %s, want %s", got, want)
				}
				if got := o.asset(t, "oci:"+o.dir+":app"); got != ours {
					t.Errorf("ours is %s, was %s", got, ours)
				}
			}
			check()
			o.flatten(t, "tag", "-q", o.dir+":app", "more")
			o.flatten(t, "gc", "-q", o.dir)
			check()
			if list := o.flatten(t, "images", "-q", "--format", "{{.Tag}}", o.dir); len(strings.Fields(list)) < 4 {
				t.Errorf("tags %q", list)
			}
			// Without its tag theirs is garbage, but for what ours needs.
			o.flatten(t, "untag", "-q", o.dir+":"+tag)
			o.flatten(t, "gc", "-q", o.dir)
			if got := o.asset(t, "oci:"+o.dir+":more"); got != ours {
				t.Errorf("ours is %s, was %s", got, ours)
			}
			if _, err := os.Stat(filepath.Join(o.dir, "blobs", "sha256", digest.FromBytes(layers[0].Stored).Encoded())); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("their layer: %v", err)
			}
		})
	}
}

// While skopeo, which knows nothing of locks, writes to the same layout, that stays
// valid. (Skopeo writes what it read before, and so may lose tags of ours.)
func TestToolsAtOnce(t *testing.T) {
	tool(t, "skopeo", "--version")
	s := regtest.New(t, regtest.Config{})
	layers := largeLayers(9, 100_000)
	var refs []string
	for i, l := range layers[1:] {
		refs = append(refs, s.Push(t, fmt.Sprintf("app%d:t%d", i, i), regtest.Image(t, layers[0], l)))
	}
	o := newOwnStore(t)
	var wg sync.WaitGroup
	for _, ref := range refs {
		wg.Go(func() {
			if o := finish(t, processOf(t, "pull", "-q", ref, "oci:"+o.dir)); o.code != 0 {
				t.Errorf("exit %d: %s", o.code, o.stderr)
			}
		})
	}
	for i := range refs {
		tool(t, "skopeo", "--insecure-policy", "copy", "-q", "oci:"+o.dir+":app", fmt.Sprintf("oci:%s:skopeo%d", o.dir, i))
	}
	wg.Wait()
	tags := checkStore(t, o.dir)
	if tags["app"] != o.app.Digest {
		t.Errorf("what was there before is gone: %v", tags)
	}
	t.Logf("%d of %d tags are left", len(tags), 2+2*len(refs))
}

// Debian's registry: what comes out of it is what went in.
func TestPullDistribution(t *testing.T) {
	host := regtest.Distribution(t, regtest.Anonymous)
	layers := largeLayers(3, 300_000)
	ref, err := name.ParseReference(host + "/app:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, regtest.Image(t, layers...)); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "store")
	if o := finish(t, processOf(t, "pull", "-q", ref.String(), "oci:"+dir)); o.code != 0 || o.stdout != "oci:"+dir+":1\n" {
		t.Fatalf("exit %d: %q %s", o.code, o.stdout, o.stderr)
	}
	checkStore(t, dir)
	raw := tool(t, "skopeo", "inspect", "--raw", "--tls-verify=false", "docker://"+ref.String())
	if _, err := os.Stat(filepath.Join(dir, "blobs", "sha256", digest.FromString(raw).Encoded())); err != nil {
		t.Errorf("the manifest's bytes: %v", err)
	}
}
