// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// KeychainOptions say where files with credentials are. An empty field means
// that there is no such place. The fields are what the environment variables
// beside them hold: this package does not read the environment.
type KeychainOptions struct {
	// AuthFile is a file that must exist: --authfile, else REGISTRY_AUTH_FILE.
	AuthFile string

	// DockerConfigDir holds Docker's config.json: DOCKER_CONFIG. Empty means
	// .docker in Home.
	DockerConfigDir string

	// RuntimeDir holds podman's containers/auth.json: XDG_RUNTIME_DIR.
	RuntimeDir string

	// ConfigHome holds the containers/auth.json that outlives a login session:
	// XDG_CONFIG_HOME. Empty means .config in Home.
	ConfigHome string

	// Home is the user's home directory: HOME.
	Home string
}

// Keychain finds credentials in files, in the order and by the rules that the
// package comment states.
type Keychain struct {
	explicit string   // must exist
	files    []string // in the order in which they are asked
}

var (
	_ authn.Keychain        = (*Keychain)(nil)
	_ authn.ContextKeychain = (*Keychain)(nil)
)

// NewKeychain returns the keychain of these files. They are read when
// credentials are asked for.
func NewKeychain(o KeychainOptions) *Keychain {
	k := &Keychain{explicit: o.AuthFile}
	add := func(dir string, path ...string) {
		if dir != "" {
			k.files = append(k.files, filepath.Join(append([]string{dir}, path...)...))
		}
	}
	add(o.AuthFile)
	if o.DockerConfigDir != "" {
		add(o.DockerConfigDir, "config.json")
	} else {
		add(o.Home, ".docker", "config.json")
	}
	add(o.RuntimeDir, "containers", "auth.json")
	if o.ConfigHome != "" {
		add(o.ConfigHome, "containers", "auth.json")
	} else {
		add(o.Home, ".config", "containers", "auth.json")
	}
	return k
}

// Resolve is ResolveContext without a context.
func (k *Keychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), target)
}

// ResolveContext returns the credentials for a repository, [authn.Anonymous]
// when there are none. The context bounds credential helpers.
func (k *Keychain) ResolveContext(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	for _, path := range k.files {
		raw, err := os.ReadFile(path)
		if err != nil && path != k.explicit && isOutOfReach(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading credentials: %w", err)
		}
		found, err := lookUp(ctx, raw, target)
		if err != nil {
			return nil, image.WithHint(fmt.Errorf("credentials in %s: %w", path, err),
				"mend the file, or give --authfile or --creds")
		}
		if found != (authn.AuthConfig{}) {
			return authn.FromConfig(found), nil
		}
	}
	return authn.Anonymous, nil
}

// isOutOfReach reports whether a file cannot be had at its usual place, which is
// no failure: another user's home directory, for one, or none.
func isOutOfReach(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOTDIR)
}

// authFile is what is read of Docker's config.json and podman's auth.json.
type authFile struct {
	Auths       map[string]authEntry `json:"auths"`
	CredHelpers map[string]string    `json:"credHelpers"`
	CredsStore  string               `json:"credsStore"`
}

type authEntry struct {
	Auth          string `json:"auth"`
	Username      string `json:"username"`
	Password      string `json:"password"`
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}

// lookUp finds the credentials for target in the bytes of an auth file; nothing
// is no error. The registry's credential helper goes first, then the store of
// all registries, then what the file itself holds.
func lookUp(ctx context.Context, raw []byte, target authn.Resource) (authn.AuthConfig, error) {
	if len(strings.TrimSpace(string(raw))) == 0 {
		return authn.AuthConfig{}, nil
	}
	var file authFile
	if err := json.Unmarshal(raw, &file); err != nil {
		return authn.AuthConfig{}, err
	}
	keys := keysFor(target)
	host := keys[len(keys)-1]
	helper, _ := find(file.CredHelpers, host)
	if helper == "" {
		helper = file.CredsStore
	}
	if helper != "" {
		found, err := askHelper(ctx, helper, serverURL(host))
		if err != nil || found != (authn.AuthConfig{}) {
			return found, err
		}
	}
	for _, key := range keys {
		entry, ok := find(file.Auths, key)
		if !ok {
			continue
		}
		found, err := entry.account()
		if err != nil {
			return authn.AuthConfig{}, fmt.Errorf("entry for %s: %w", key, err)
		}
		if found != (authn.AuthConfig{}) {
			return found, nil
		}
	}
	return authn.AuthConfig{}, nil
}

// account decodes an entry. One without anything in it only says that a store
// has the credentials.
func (e authEntry) account() (authn.AuthConfig, error) {
	a := authn.AuthConfig{
		Username:      e.Username,
		Password:      e.Password,
		IdentityToken: e.IdentityToken,
		RegistryToken: e.RegistryToken,
	}
	if e.Auth == "" {
		return a, nil
	}
	decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(e.Auth), "="))
	if err != nil {
		return a, errors.New("auth is not base64")
	}
	user, password, ok := strings.Cut(string(decoded), ":")
	if !ok || user == "" {
		return a, errors.New("auth is not the base64 of USER:PASSWORD")
	}
	a.Username, a.Password = user, strings.TrimRight(password, "\x00")
	return a, nil
}

const dockerHub = "docker.io"

// keysFor lists the names under which a file may have credentials for target,
// the longest first: registry/namespace/repository, registry/namespace,
// registry.
func keysFor(target authn.Resource) []string {
	key := canonicalHost(target.RegistryStr())
	keys := []string{key}
	path := strings.TrimPrefix(strings.TrimPrefix(target.String(), target.RegistryStr()), "/")
	if path == "" {
		return keys
	}
	for part := range strings.SplitSeq(path, "/") {
		key += "/" + part
		keys = append([]string{key}, keys...)
	}
	return keys
}

// find returns the value of key. A key as it stands goes before one that is the
// same after canonicalKey, as older files have.
func find[T any](m map[string]T, key string) (T, bool) {
	if v, ok := m[key]; ok {
		return v, true
	}
	var found string
	for k := range m {
		if canonicalKey(k) == key && (found == "" || k < found) {
			found = k
		}
	}
	v, ok := m[found]
	return v, ok && found != ""
}

// canonicalKey strips what older versions of Docker wrote around a registry's
// name: "https://index.docker.io/v1/" is docker.io.
func canonicalKey(key string) string {
	address, isURL := strings.CutPrefix(key, "https://")
	if !isURL {
		address, isURL = strings.CutPrefix(key, "http://")
	}
	host, path, _ := strings.Cut(strings.TrimRight(address, "/"), "/")
	host = canonicalHost(host)
	if isURL || path == "" || path == "v1" || path == "v2" {
		return host
	}
	return host + "/" + path
}

func canonicalHost(host string) string {
	switch host {
	case name.DefaultRegistry, "registry-1.docker.io":
		return dockerHub
	}
	return host
}

// serverURL is the name by which credential helpers know a registry.
func serverURL(host string) string {
	if host == dockerHub {
		return authn.DefaultAuthKey
	}
	return host
}
