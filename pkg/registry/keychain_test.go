// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

func basic(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

// lookUpUser returns USER:PASSWORD, the identity token after "token ", or
// nothing.
func lookUpUser(t *testing.T, k *Keychain, repository string) (string, error) {
	t.Helper()
	repo, err := name.NewRepository(repository, name.WeakValidation)
	if err != nil {
		t.Fatal(err)
	}
	auth, err := k.ResolveContext(t.Context(), repo)
	if err != nil || auth == authn.Anonymous {
		return "", err
	}
	config, err := auth.Authorization()
	if err != nil {
		t.Fatal(err)
	}
	if config.IdentityToken != "" {
		return "token " + config.IdentityToken, nil
	}
	return config.Username + ":" + config.Password, nil
}

func TestKeychainKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "auth.json")
	write(t, file, `{"auths": {
		"registry.example/team/app": {"auth": "`+basic("app", "1")+`"},
		"registry.example/team": {"username": "team", "password": "2"},
		"registry.example": {"auth": "`+strings.TrimRight(basic("all", "three"), "=")+`"},
		"registry.example:5000": {"auth": "`+basic("port", "a:b:c")+`"},
		"https://index.docker.io/v1/": {"auth": "`+basic("hub", "4")+`"},
		"docker.io/team": {"auth": "`+basic("hubteam", "5")+`"},
		"https://old.example/v2/": {"auth": "`+basic("old", "6\x00")+`"},
		"http://older.example": {"auth": "`+basic("older", "7")+`"},
		"new.example": {"auth": "`+basic("new", "8")+`"},
		"https://new.example/v1/": {"auth": "`+basic("outdated", "9")+`"},
		"empty.example/team": {},
		"empty.example": {"identitytoken": "abc"},
		"broken.example": {"auth": "!"},
		"nocolon.example": {"auth": "`+base64.StdEncoding.EncodeToString([]byte("nocolon"))+`"}
	}}`)
	k := NewKeychain(KeychainOptions{AuthFile: file})
	for repository, want := range map[string]string{
		"registry.example/team/app":         "app:1",
		"registry.example/team/app/part":    "app:1",
		"registry.example/team/application": "team:2",
		"registry.example/team/other":       "team:2",
		"registry.example/teams/app":        "all:three",
		"registry.example:5000/team/app":    "port:a:b:c",
		"registry.example:5001/team/app":    "",
		"busybox":                           "hub:4",
		"docker.io/library/busybox":         "hub:4",
		"team/app":                          "hubteam:5",
		"old.example/app":                   "old:6",
		"older.example/app":                 "older:7",
		"new.example/app":                   "new:8",
		"empty.example/team/app":            "token abc",
		"unknown.example/app":               "",
		"example/app":                       "hub:4",
	} {
		if got, err := lookUpUser(t, k, repository); got != want || err != nil {
			t.Errorf("%s: %q, %v; want %q", repository, got, err, want)
		}
	}
	for repository, want := range map[string]string{
		"broken.example/app":  "entry for broken.example: auth is not base64",
		"nocolon.example/app": "auth is not the base64 of USER:PASSWORD",
	} {
		_, err := lookUpUser(t, k, repository)
		checkError(t, err, nil, []string{file, want}, "--authfile")
	}
}

func TestKeychainOrder(t *testing.T) {
	root := t.TempDir()
	auths := func(user string) string { return `{"auths":{"registry.example":{"auth":"` + basic(user, "x") + `"}}}` }
	places := []struct{ path, user string }{
		{"explicit.json", "explicit"},
		{"docker/config.json", "docker"},
		{"run/containers/auth.json", "run"},
		{"config/containers/auth.json", "config"},
	}
	for _, p := range places {
		write(t, filepath.Join(root, p.path), auths(p.user))
	}
	o := KeychainOptions{
		AuthFile:        filepath.Join(root, "explicit.json"),
		DockerConfigDir: filepath.Join(root, "docker"),
		RuntimeDir:      filepath.Join(root, "run"),
		ConfigHome:      filepath.Join(root, "config"),
		Home:            filepath.Join(root, "home"),
	}
	for _, p := range places {
		if got, err := lookUpUser(t, NewKeychain(o), "registry.example/app"); got != p.user+":x" || err != nil {
			t.Errorf("%q, %v; want %s", got, err, p.user)
		}
		// A file without an entry for the registry leaves it to the next one.
		write(t, filepath.Join(root, p.path), `{"auths":{"other.example":{}}}`)
	}
	if got, err := lookUpUser(t, NewKeychain(o), "registry.example/app"); got != "" || err != nil {
		t.Errorf("%q, %v; want nothing", got, err)
	}

	home := filepath.Join(root, "home")
	write(t, filepath.Join(home, ".config/containers/auth.json"), auths("homeconfig"))
	if got, err := lookUpUser(t, NewKeychain(KeychainOptions{Home: home}), "registry.example/app"); got != "homeconfig:x" || err != nil {
		t.Errorf("%q, %v; want homeconfig", got, err)
	}
	write(t, filepath.Join(home, ".docker/config.json"), auths("homedocker"))
	if got, err := lookUpUser(t, NewKeychain(KeychainOptions{Home: home}), "registry.example/app"); got != "homedocker:x" || err != nil {
		t.Errorf("%q, %v; want homedocker", got, err)
	}
}

func TestKeychainFiles(t *testing.T) {
	root := t.TempDir()
	missing := filepath.Join(root, "missing.json")
	_, err := lookUpUser(t, NewKeychain(KeychainOptions{AuthFile: missing}), "busybox")
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("a missing --authfile: %v", err)
	}
	if got, err := lookUpUser(t, NewKeychain(KeychainOptions{Home: root, RuntimeDir: root}), "busybox"); got != "" || err != nil {
		t.Errorf("no files at all: %q, %v", got, err)
	}
	if got, err := lookUpUser(t, NewKeychain(KeychainOptions{}), "busybox"); got != "" || err != nil {
		t.Errorf("no places at all: %q, %v", got, err)
	}
	docker := filepath.Join(root, ".docker", "config.json")
	write(t, docker, "")
	if got, err := lookUpUser(t, NewKeychain(KeychainOptions{Home: root}), "busybox"); got != "" || err != nil {
		t.Errorf("an empty file: %q, %v", got, err)
	}
	for _, text := range []string{"{", `{"auths": []}`, "auths: x"} {
		write(t, docker, text)
		_, err := lookUpUser(t, NewKeychain(KeychainOptions{Home: root}), "busybox")
		if err == nil || !strings.Contains(err.Error(), docker) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// helpers puts a credential helper on PATH that answers as the protocol of
// docker-credential-helpers has it.
func helpers(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the helper is a shell script")
	}
	dir := t.TempDir()
	script := `#!/bin/sh
[ "$1" = get ] || exit 9
read -r server
case "$server" in
	registry.example) echo '{"ServerURL":"registry.example","Username":"helped","Secret":"s3cret"}' ;;
	https://index.docker.io/v1/) echo '{"Username":"hub","Secret":"x"}' ;;
	token.example) echo '{"Username":"<token>","Secret":"abc"}' ;;
	fails.example) echo 'the store is locked'; echo more; exit 1 ;;
	odd.example) echo 'Welcome!' ;;
	*) echo 'credentials not found in native keychain'; exit 1 ;;
esac
`
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-test"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func TestCredentialHelpers(t *testing.T) {
	helpers(t)
	home := t.TempDir()
	config := filepath.Join(home, ".docker", "config.json")
	k := NewKeychain(KeychainOptions{Home: home})

	entry := `"auths":{"file.example":{"auth":"` + basic("file", "x") + `"},"registry.example":{"auth":"` + basic("file", "x") + `"}}`
	write(t, config, `{`+entry+`,"credsStore":"test"}`)
	for repository, want := range map[string]string{
		"registry.example/app": "helped:s3cret",
		"busybox":              "hub:x",
		"token.example/app":    "token abc",
		"file.example/app":     "file:x",
		"unknown.example/app":  "",
	} {
		if got, err := lookUpUser(t, k, repository); got != want || err != nil {
			t.Errorf("credsStore, %s: %q, %v; want %q", repository, got, err, want)
		}
	}
	for repository, want := range map[string]string{
		"fails.example/app": "docker-credential-test: exit status 1: the store is locked",
		"odd.example/app":   "its answer is not what the protocol wants",
	} {
		_, err := lookUpUser(t, k, repository)
		checkError(t, err, nil, []string{config, want}, "--authfile")
	}

	write(t, config, `{`+entry+`,"credHelpers":{"registry.example":"test","docker.io":"test","gone.example":"gone","odd.example":"../test"}}`)
	for repository, want := range map[string]string{
		"registry.example/app": "helped:s3cret",
		"busybox":              "hub:x",
		"token.example/app":    "",
		"file.example/app":     "file:x",
	} {
		if got, err := lookUpUser(t, k, repository); got != want || err != nil {
			t.Errorf("credHelpers, %s: %q, %v; want %q", repository, got, err, want)
		}
	}
	_, err := lookUpUser(t, k, "gone.example/app")
	checkError(t, err, nil, []string{"docker-credential-gone is not installed"}, "--authfile")
	_, err = lookUpUser(t, k, "odd.example/app")
	checkError(t, err, nil, []string{"not a plain name"}, "--authfile")
}

// A helper that waits for ever ends with the context.
func TestHelperHangs(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the helper is a shell script")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-hangs"), []byte("#!/bin/sh\nexec sleep 60\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := askHelper(ctx, "hangs", "registry.example"); err == nil {
		t.Error("no error")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}
