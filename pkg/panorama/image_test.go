// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package panorama

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/tree"
)

// load merges one layer.
func load(t *testing.T, c v1.ImageConfig, entries ...tartest.Entry) *flatten.Merged {
	t.Helper()
	img := tartest.Image(tartest.Layer(entries...))
	img.Config.Config = c
	img.Platform.Architecture = "arm64"
	m, err := flatten.Load(t.Context(), img, flatten.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// program is an executable file.
func program(name string) tartest.Entry { return tartest.File(name, "#!").Mode(0o755) }

// wants tests an error, where want is not empty, and the warnings.
func wants(t *testing.T, what string, err error, want, hint string, warnings []string, warn ...string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v", what, err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(image.Hint(err), hint)):
		t.Errorf("%s: %v, hint %s; want %s, hint %s", what, err, image.Hint(err), want, hint)
	}
	if !slices.EqualFunc(warnings, warn, strings.Contains) {
		t.Errorf("%s: warnings %q, want %q", what, warnings, warn)
	}
}

func TestCheckEntry(t *testing.T) {
	c := v1.ImageConfig{Env: []string{"PATH=/opt/venv/bin:/usr/bin"}, WorkingDir: "/srv"}
	fs := tree.Of(load(t, c,
		tartest.Dir("bin"), tartest.Symlink("sbin", "usr/bin"),
		program("usr/bin/python3.8"), tartest.Symlink("usr/bin/python3", "python3.8"),
		tartest.Symlink("usr/bin/loop", "loop"), tartest.File("usr/bin/data", "").Mode(0o644),
		program("opt/venv/bin/tool"), tartest.Dir("usr/local/bin/dir"),
		tartest.File("srv/app.py", ""), tartest.File("app/x.py", ""), tartest.Symlink("app/gone", "/nowhere"),
		tartest.Dir("opt/aws/panorama/storage"),
	).View)
	for _, tc := range []struct {
		d                Descriptor
		want, hint, warn string
	}{
		{d: Descriptor{Path: "python3", Name: "/app/x.py"}},
		{d: Descriptor{Path: "/usr/bin/python3", Name: "app/x.py"}},
		{d: Descriptor{Path: "sbin/python3", Name: "/srv/../app/x.py"}},
		{d: Descriptor{Path: "$default", Name: "/app/x.py"}},
		{d: Descriptor{Path: "$default", Name: "/app/y.py"}, want: `the entry's name: "/app/y.py": no such path`, hint: `did you mean "/app/x.py"`},
		{d: Descriptor{Path: "python3", Name: "app.py"}, want: `no such path`, hint: `not in the image's WORKDIR; write "/srv/app.py"`},
		{d: Descriptor{Path: "python3", Name: "/app/gone"}, want: "a symbolic link leads to"},
		{d: Descriptor{Path: "python", Name: "/app/x.py"}, want: `"python" is in no folder of PATH "/usr/local/sbin:`, hint: "install it"},
		{d: Descriptor{Path: "tool", Name: "/app/x.py"}, want: `"tool" is in no folder of PATH`, hint: `it is "/opt/venv/bin/tool", by the image's PATH`},
		{d: Descriptor{Path: "tool", Name: "/app/x.py", Environment: []Variable{{"PATH", "/x"}, {"PATH", "bin::/opt/venv/bin"}}}},
		{d: Descriptor{Path: "python3", Name: "/app/x.py", Environment: []Variable{{"PATH", "/bin"}}}, want: `in no folder of PATH "/bin"`},
		{d: Descriptor{Path: "data", Name: "/app/x.py"}, want: "in no folder of PATH"},
		{d: Descriptor{Path: "dir", Name: "/app/x.py"}, want: "in no folder of PATH"},
		{d: Descriptor{Path: "loop", Name: "/app/x.py"}, want: "in no folder of PATH"},
		{d: Descriptor{Path: "/usr/bin/data", Name: "/app/x.py"}, want: "is no executable file", hint: "chmod +x"},
		{d: Descriptor{Path: "/usr/bin", Name: "/app/x.py"}, want: "is no executable file"},
		{d: Descriptor{Path: "/usr/bin/python", Name: "/app/x.py"}, want: `the entry's path: "//usr/bin/python": no such path`},
		{d: Descriptor{Path: "python3", Name: "-m"}, warn: `"-m" is no file; it is given to "python3"`},
		{d: Descriptor{Path: "python3", Name: "/app"}, warn: "is a folder"},
		{d: Descriptor{Path: "python3", Name: "/opt/aws/panorama/storage/new.py"}, warn: "is below /opt/aws/panorama/storage, which the appliance mounts"},
		{d: Descriptor{Path: "$default"}, warn: "no entry: nothing says what to run"},
	} {
		warnings, err := CheckEntry(fs, &tc.d, c)
		var warn []string
		if tc.warn != "" {
			warn = []string{tc.warn}
		}
		wants(t, tc.d.Path+" "+tc.d.Name, err, tc.want, tc.hint, warnings, warn...)
	}
}

func TestCovered(t *testing.T) {
	clean := load(t, v1.ImageConfig{}, tartest.Dir("opt/aws/panorama/storage"), tartest.Dir("opt/aws/panorama/logs"), tartest.File("opt/aws/panorama/x", ""))
	wants(t, "clean", nil, "", "", Covered(tree.Of(clean.View)))
	full := load(t, v1.ImageConfig{}, tartest.Symlink("opt", "/data"), tartest.File("data/aws/panorama/storage/models/a", ""),
		tartest.File("data/aws/panorama/storage/models/b", ""), tartest.File("data/aws/panorama/logs/old\x1b.log", ""))
	wants(t, "full", nil, "", "", Covered(tree.Of(full.View)),
		`3 paths below /opt/aws/panorama/storage, the first "/opt/aws/panorama/storage/models"`,
		`1 paths below /opt/aws/panorama/logs, the first "/opt/aws/panorama/logs/old\x1b.log"`)
}

func TestParseDescriptor(t *testing.T) {
	for text, want := range map[string]*Descriptor{
		`{"runtimeDescriptor": {"envelopeVersion": "2021-01-01"}}`:                         {Path: DefaultPath},
		`{"runtimeDescriptor": {"envelopeVersion": "2021-01-01", "entry": {"name": "n"}}}`: {Path: DefaultPath, Name: "n"},
		kinds[0].seeds[0]: {Path: "python3", Name: "/app/x.py", Arguments: []string{"-v", ""}, Environment: []Variable{{"A", ""}}},
	} {
		got, err := ParseDescriptor("d", []byte(text))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", text, err, diff)
		}
	}
	for text, want := range map[string]string{
		`{}`:              "d:1:1: runtimeDescriptor is missing, this describes no container",
		kinds[0].seeds[1]: "runtimeDescriptor is missing, this describes no container",
		`{"runtimeDescriptor": {"envelopeVersion": "2021-01-01", "entry": {"name": "n", "name": "m"}}}`:            `the key "name" stands twice`,
		`{"runtimeDescriptor": {"envelopeVersion": "2022", "entry": {"path": "p"}, "a": 1, "b": 1, "events": {}}}`: `d:1:43: runtimeDescriptor.envelopeVersion: not "2021-01-01"; d:1:61: runtimeDescriptor.entry: path needs name beside it; d:1:`,
		"{\"runtimeDescriptor\":\n{": "d:2:1: unexpected end of JSON input",
	} {
		if _, err := ParseDescriptor("d", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// What the guide prints: the descriptor's name is its content's.
func TestSampleDescriptor(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(published(t), "sample", "descriptor.json"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := ParseDescriptor("descriptor.json", text)
	if diff := cmp.Diff(&Descriptor{Path: "python3", Name: "/panorama/application.py"}, d); diff != "" || err != nil {
		t.Error(err, diff)
	}
	p := newProject(t)
	p.put(t, p.own(descriptorFile), string(text))
	m := load(t, v1.ImageConfig{}, program("usr/bin/python3"), tartest.File("panorama/application.py", ""))
	r, err := p.Export(t.Context(), m, Options{Asset: "code_asset"})
	if err != nil {
		t.Fatal(err)
	}
	if name := filepath.Base(r.Descriptor); name != "1872d0b1129481ed053c52e66d6af8b030f9eb69b1168a29012f01c7034d7a8f.json" {
		t.Errorf("it is named %s", name)
	}
}

func TestIgnored(t *testing.T) {
	img := tartest.Image()
	img.Config.Config = v1.ImageConfig{
		User: "app", WorkingDir: "/srv", Entrypoint: []string{"/x"}, Cmd: []string{"y"},
		Env:     []string{"PATH=" + defaultSearch, "A=1", "B=2", "ODD\x1b=3"},
		Volumes: map[string]struct{}{"/b": {}, "/a": {}}, ExposedPorts: map[string]struct{}{"80/tcp": {}},
		StopSignal: "SIGINT",
	}
	img.RawConfig = []byte(`{"config": {"Healthcheck": {"Test": ["CMD", "true"]}}}`)
	want := []string{`ENV A, "ODD\x1b"`, "ENTRYPOINT", "CMD", "USER app", "WORKDIR /srv", "VOLUME /a, /b", "EXPOSE 80/tcp", "HEALTHCHECK", "STOPSIGNAL SIGINT"}
	if diff := cmp.Diff(want, Ignored(img, &Descriptor{Environment: []Variable{{"B", "3"}}})); diff != "" {
		t.Error(diff)
	}
	img = tartest.Image()
	img.Config.Config = v1.ImageConfig{WorkingDir: "/", Env: []string{"PATH=" + defaultSearch}}
	img.RawConfig = []byte(`{"config": {"Healthcheck": {"Test": ["NONE"]}}}`)
	if list := Ignored(img, &Descriptor{}); len(list) > 0 {
		t.Errorf("nothing is set, and ignored is %q", list)
	}
}

func TestNewDescriptor(t *testing.T) {
	files := []tartest.Entry{program("usr/bin/python3"), tartest.File("srv/app.py", ""), tartest.File("srv/sub/b.py", ""), program("srv/run")}
	withEnv := append(slices.Clone(files), program("usr/bin/env"))
	for name, tc := range map[string]struct {
		files []tartest.Entry
		c     v1.ImageConfig
		want  string // the entry
		notes []string
	}{
		"interpreter, script, arguments": {
			files, v1.ImageConfig{Entrypoint: []string{"python3", "/srv/app.py"}, Cmd: []string{"-v", "a b"}},
			`{"path": "python3", "name": "/srv/app.py", "arguments": ["-v", "a b"]}`, nil},
		"relative to the working directory": {
			files, v1.ImageConfig{Cmd: []string{"./run", "sub/b.py"}, WorkingDir: "/srv"},
			`{"path": "/srv/run", "name": "/srv/sub/b.py"}`,
			[]string{`path is "/srv/run": the appliance starts in /`, `name is "/srv/sub/b.py": the appliance starts in /`, "no field for WORKDIR /srv"}},
		"one word": {
			files, v1.ImageConfig{Entrypoint: []string{"/srv/run"}},
			`{"name": "/srv/run"}`, []string{"there is no path"}},
		"one word, env": {
			withEnv, v1.ImageConfig{Cmd: []string{"python3"}},
			`{"path": "/usr/bin/env", "name": "/usr/bin/python3"}`, []string{"path is /usr/bin/env, which runs name"}},
		"no script": {
			files, v1.ImageConfig{Cmd: []string{"python3", "-m", "app"}},
			`{"path": "/usr/bin/python3", "name": "-m", "arguments": ["app"]}`, nil},
		"no script, env": {
			withEnv, v1.ImageConfig{Cmd: []string{"python3", "-m", "app"}},
			`{"path": "/usr/bin/env", "name": "/usr/bin/python3", "arguments": ["-m", "app"]}`, []string{"which runs name"}},
		"environment": {
			files, v1.ImageConfig{Cmd: []string{"python3", "/srv/app.py"}, User: "app", Env: []string{"A=1", "B=<&>", "odd", "=x", "A=2=3"}},
			`{"path": "python3", "name": "/srv/app.py", "environment": [{"name": "A", "value": "2=3"}, {"name": "B", "value": "<&>"}]}`,
			[]string{`ENV "odd" is no variable`, `ENV "=x" is no variable`, "no field for USER app"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := load(t, tc.c, tc.files...)
			text, notes, err := NewDescriptor(m.Image, tree.Of(m.View))
			wants(t, name, err, "", "", notes, tc.notes...)
			var got struct {
				RuntimeDescriptor struct{ Entry json.RawMessage }
			}
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(decode(t, []byte(tc.want)), decode(t, got.RuntimeDescriptor.Entry)); diff != "" {
				t.Error(diff)
			}
			if _, err := ParseDescriptor("d", text); err != nil {
				t.Error(err)
			}
		})
	}
	m := load(t, v1.ImageConfig{})
	_, _, err := NewDescriptor(m.Image, tree.Of(m.View))
	wants(t, "nothing", err, "neither ENTRYPOINT nor CMD", "by hand", nil)
}
