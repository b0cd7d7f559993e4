// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package reference

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

const (
	hex    = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	sha256 = "sha256:" + hex
	sha512 = "sha512:" + hex + hex
)

var good = []struct {
	in, canonical string
	want          Reference
}{
	{"alpine", "docker://docker.io/library/alpine:latest", Reference{Name: "docker.io/library/alpine", Tag: "latest"}},
	{"alpine:3.20", "docker://docker.io/library/alpine:3.20", Reference{Name: "docker.io/library/alpine", Tag: "3.20"}},
	{"docker://alpine", "docker://docker.io/library/alpine:latest", Reference{Name: "docker.io/library/alpine", Tag: "latest"}},
	{"docker.io/alpine", "docker://docker.io/library/alpine:latest", Reference{Name: "docker.io/library/alpine", Tag: "latest"}},
	{"index.docker.io/library/alpine", "docker://docker.io/library/alpine:latest", Reference{Name: "docker.io/library/alpine", Tag: "latest"}},
	{"user/app", "docker://docker.io/user/app:latest", Reference{Name: "docker.io/user/app", Tag: "latest"}},
	{"localhost/app", "docker://localhost/app:latest", Reference{Name: "localhost/app", Tag: "latest"}},
	{"localhost:5000/app:1", "docker://localhost:5000/app:1", Reference{Name: "localhost:5000/app", Tag: "1"}},
	{"localhost:5000/a", "docker://localhost:5000/a:latest", Reference{Name: "localhost:5000/a", Tag: "latest"}},
	{"[::1]:5000/app", "docker://[::1]:5000/app:latest", Reference{Name: "[::1]:5000/app", Tag: "latest"}},
	{"registry.example/a/b/c__d--e.f:V_1.x-y", "docker://registry.example/a/b/c__d--e.f:V_1.x-y", Reference{Name: "registry.example/a/b/c__d--e.f", Tag: "V_1.x-y"}},
	{"alpine@" + sha256, "docker://docker.io/library/alpine@" + sha256, Reference{Name: "docker.io/library/alpine", Digest: sha256}},
	{"alpine:3@" + sha256, "docker://docker.io/library/alpine:3@" + sha256, Reference{Name: "docker.io/library/alpine", Tag: "3", Digest: sha256}},
	{"a.b/c@" + sha512, "docker://a.b/c@" + sha512, Reference{Name: "a.b/c", Digest: sha512}},
	{"registry:2", "docker://docker.io/library/registry:2", Reference{Name: "docker.io/library/registry", Tag: "2"}},
	{"docker", "docker://docker.io/library/docker:latest", Reference{Name: "docker.io/library/docker", Tag: "latest"}},
	{"docker://docker:dind", "docker://docker.io/library/docker:dind", Reference{Name: "docker.io/library/docker", Tag: "dind"}},
	{"image.tar", "docker://docker.io/library/image.tar:latest", Reference{Name: "docker.io/library/image.tar", Tag: "latest"}},

	{"oci:dir", "oci:dir", Reference{Kind: OCI, Path: "dir"}},
	{"oci-dir:dir", "oci:dir", Reference{Kind: OCI, Path: "dir"}},
	{"oci:dir:1.0", "oci:dir:1.0", Reference{Kind: OCI, Path: "dir", Tag: "1.0"}},
	{"oci:/abs/dir:1", "oci:/abs/dir:1", Reference{Kind: OCI, Path: "/abs/dir", Tag: "1"}},
	{"oci:///abs/dir:1", "oci:/abs/dir:1", Reference{Kind: OCI, Path: "/abs/dir", Tag: "1"}},
	{"oci:dir:docker.io/library/app:1", "oci:dir:docker.io/library/app:1", Reference{Kind: OCI, Path: "dir", Tag: "docker.io/library/app:1"}},
	{"oci:dir@" + sha256, "oci:dir@" + sha256, Reference{Kind: OCI, Path: "dir", Digest: sha256}},
	{"oci:me@home/dir", "oci:me@home/dir", Reference{Kind: OCI, Path: "me@home/dir"}},
	{"oci:me@home/dir@" + sha256, "oci:me@home/dir@" + sha256, Reference{Kind: OCI, Path: "me@home/dir", Digest: sha256}},
	{`oci:C:\x`, `oci:C:\x`, Reference{Kind: OCI, Path: `C:\x`}},
	{`oci:C:\x:tag`, `oci:C:\x:tag`, Reference{Kind: OCI, Path: `C:\x`, Tag: "tag"}},
	{`oci-archive:c:/x/y.tar:a:b`, `oci-archive:c:/x/y.tar:a:b`, Reference{Kind: OCIArchive, Path: "c:/x/y.tar", Tag: "a:b"}},
	{`oci:C:tag`, `oci:C:tag`, Reference{Kind: OCI, Path: `C`, Tag: "tag"}},
	{"oci:-", "oci:-", Reference{Kind: OCI, Path: "-"}},
	{"oci-archive:a b.tar", "oci-archive:a b.tar", Reference{Kind: OCIArchive, Path: "a b.tar"}},
	{"oci-archive:x.tar:1", "oci-archive:x.tar:1", Reference{Kind: OCIArchive, Path: "x.tar", Tag: "1"}},
	{"docker-archive:x.tar", "docker-archive:x.tar", Reference{Kind: DockerArchive, Path: "x.tar"}},
	{"docker-archive:x.tar:busybox:1", "docker-archive:x.tar:busybox:1", Reference{Kind: DockerArchive, Path: "x.tar", Tag: "busybox:1"}},
	{"docker-archive:x.tar:localhost:5000/b", "docker-archive:x.tar:localhost:5000/b", Reference{Kind: DockerArchive, Path: "x.tar", Tag: "localhost:5000/b"}},
	{"docker-archive:x.tar@" + sha256, "docker-archive:x.tar@" + sha256, Reference{Kind: DockerArchive, Path: "x.tar", Digest: sha256}},

	{"-", "-", Reference{Kind: Stdin}},
	{"/x:1@y", "/x:1@y", Reference{Kind: Path, Path: "/x:1@y"}},
	{"./x", "./x", Reference{Kind: Path, Path: "./x"}},
	{"../x", "../x", Reference{Kind: Path, Path: "../x"}},
	{".", ".", Reference{Kind: Path, Path: "."}},
	{"..", "..", Reference{Kind: Path, Path: ".."}},
	{`C:\x.tar`, `C:\x.tar`, Reference{Kind: Path, Path: `C:\x.tar`}},
	{`.\x.tar`, `.\x.tar`, Reference{Kind: Path, Path: `.\x.tar`}},
}

func TestParse(t *testing.T) {
	for _, tc := range good {
		got, err := Parse(tc.in)
		if err != nil || got != tc.want {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", tc.in, got, err, tc.want)
		}
		if s := got.String(); s != tc.canonical {
			t.Errorf("Parse(%q).String() = %q; want %q", tc.in, s, tc.canonical)
		}
	}
}

var bad = []struct{ in, text, hint string }{
	{"", "no image", "docker://REF"},
	{"docker:alpine", `"docker:"`, "docker://alpine for that image in a registry, or docker://docker:alpine"},
	{"docker:/alpine", `"docker:"`, "docker://alpine "},
	{"docker://", "repository", "docker://REF"},
	{"https://registry.example/app:1", `"https:"`, "docker://registry.example/app:1"},
	{"http://registry.example/app", `"http:"`, "--insecure"},
	{"file:///x.tar", `"file:"`, "the path alone: ///x.tar"},
	{"docker-daemon:app:1", `"docker-daemon:"`, "docker save app:1 | flatten -"},
	{"containers-storage:app", "containers-storage", "podman save"},
	{"dir:x", "dir", "skopeo copy dir:x oci:DIR:TAG"},
	{"ftp://x", "ftp", "docker://REF"},
	{"oci:", "no path", "oci:DIR:TAG"},
	{"oci::tag", "no path", "oci:DIR:TAG"},
	{"oci:dir:", "nothing follows", "oci:DIR:TAG"},
	{"oci://dir", "not by //", "oci:dir or oci:/dir"},
	{"oci-archive://x.tar", "not by //", "oci-archive:x.tar or oci-archive:/x.tar"},
	{"docker-archive:x.tar:@1", "cannot be the name", "docker-archive:FILE:REF"},
	{"oci:dir:a b", "cannot be the name", "oci:DIR:TAG"},
	{"oci:dir:1@" + sha256, "both a tag and a digest", "oci:DIR@DIGEST"},
	{"oci:dir@sha256:abc", "malformed digest", "oci:DIR@DIGEST"},
	{"oci:dir@" + strings.ToUpper(sha256), "malformed digest", ""},
	{"alpine@sha256:abc", "malformed digest", "64 hexadecimal"},
	{"alpine@" + sha256 + "@" + sha256, "malformed digest", "64 hexadecimal"},
	{"alpine@md5:abc", "cannot be verified", "64 hexadecimal"},
	{"alpine:", "malformed tag", "docker://REF"},
	{"alpine:a b", "malformed tag", ""},
	{"alpine:" + strings.Repeat("x", 129), "malformed tag", ""},
	{"Alpine", "malformed repository", "lower case"},
	{"registry.example/App", "malformed repository", "lower case"},
	{"registry.example/" + strings.Repeat("x", 256), "over the limit", ""},
	{"registry.example/", "malformed repository", ""},
	{"registry.example//x", "malformed repository", ""},
	{"a/../b", "malformed repository", ""},
	{"~/x.tar", "malformed repository", "not quoted"},
	{"a_b.c/x", "malformed host", ""},
	{"x:y/z", "malformed host", ""},
	{"-x", "malformed repository", ""},
	{"a\x00b", "NUL", ""},
}

func TestParseError(t *testing.T) {
	for _, tc := range bad {
		got, err := Parse(tc.in)
		if err == nil || !strings.Contains(err.Error(), tc.text) || !strings.Contains(image.Hint(err), tc.hint) || image.Hint(err) == "" {
			t.Errorf("Parse(%q) = %+v, %v (hint %q); want %q (hint %q)", tc.in, got, err, image.Hint(err), tc.text, tc.hint)
		}
	}
}

func TestKindString(t *testing.T) {
	var got []string
	for k := Registry; k <= Path; k++ {
		got = append(got, k.String())
	}
	if s := strings.Join(got, " "); s != "docker oci oci-archive docker-archive - path" {
		t.Error(s)
	}
}

// What is accepted prints in a form that is read as the same value; and a name
// in a registry is read the same by go-containerregistry.
func FuzzParse(f *testing.F) {
	for _, tc := range good {
		f.Add(tc.in)
	}
	for _, tc := range bad {
		f.Add(tc.in)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := Parse(s)
		if err != nil {
			if strings.Contains(err.Error(), "\n") || image.Hint(err) == "" {
				t.Errorf("error %q, hint %q", err, image.Hint(err))
			}
			return
		}
		again, err := Parse(r.String())
		if err != nil || again != r || again.String() != r.String() {
			t.Errorf("%q: %+v prints as %q, which is %+v, %v", s, r, r.String(), again, err)
		}
		if r.Kind == Registry {
			checkName(t, r)
		}
	})
}

func checkName(t *testing.T, r Reference) {
	ref, err := name.ParseReference(r.Image())
	if err != nil {
		// Ports above 65535 and the like: a matter of connecting.
		if host, _, _ := strings.Cut(r.Name, "/"); strings.Contains(host, ":") {
			return
		}
		t.Fatalf("%q: %v", r.Image(), err)
	}
	host, repository, _ := strings.Cut(r.Name, "/")
	if host == dockerHub {
		host = dockerHubOld
	}
	identifier := r.Tag
	if r.Digest != "" {
		identifier = string(r.Digest)
	}
	c := ref.Context()
	if c.RegistryStr() != host || c.RepositoryStr() != repository || ref.Identifier() != identifier {
		t.Errorf("%+v is %s, %s, %s elsewhere", r, c.RegistryStr(), c.RepositoryStr(), ref.Identifier())
	}
}

func Example() {
	for _, s := range []string{"alpine", "localhost:5000/app:1", "oci-dir:build/image:1.0", "./image.tar", "-"} {
		r, err := Parse(s)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Printf("%-16s %s\n", r.Kind, r)
	}
	_, err := Parse("docker:alpine")
	fmt.Println(err)
	fmt.Println("hint:", image.Hint(err))
	// Output:
	// docker           docker://docker.io/library/alpine:latest
	// docker           docker://localhost:5000/app:1
	// oci              oci:build/image:1.0
	// path             ./image.tar
	// -                -
	// reference "docker:alpine": "docker:" is not a scheme known here
	// hint: write docker://alpine for that image in a registry, or docker://docker:alpine for the image called docker
}
