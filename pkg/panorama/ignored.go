// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package panorama

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// Ignored lists what an image's configuration sets and the appliance does not
// heed, as a Dockerfile would: "ENV LANG", "USER app". Variables that the
// descriptor sets are left out, and so is the PATH that there is anyway.
func Ignored(img *image.Image, d *Descriptor) []string {
	c := img.Config.Config
	var list, env []string
	for _, entry := range c.Env {
		name, value, _ := strings.Cut(entry, "=")
		if _, set := d.environment(name); !set && entry != "PATH="+defaultSearch && value+name != "" {
			env = append(env, name)
		}
	}
	if len(env) > 0 {
		list = append(list, instruction("ENV", env...))
	}
	if len(c.Entrypoint) > 0 {
		list = append(list, instruction("ENTRYPOINT"))
	}
	if len(c.Cmd) > 0 {
		list = append(list, instruction("CMD"))
	}
	return append(list, fieldless(img)...)
}

// fieldless lists what an image's configuration sets and no descriptor has a
// field for.
func fieldless(img *image.Image) []string {
	c := img.Config.Config
	var list []string
	if c.User != "" {
		list = append(list, instruction("USER", c.User))
	}
	if c.WorkingDir != "" && c.WorkingDir != "/" {
		list = append(list, instruction("WORKDIR", c.WorkingDir))
	}
	if len(c.Volumes) > 0 {
		list = append(list, instruction("VOLUME", slices.Sorted(maps.Keys(c.Volumes))...))
	}
	if len(c.ExposedPorts) > 0 {
		list = append(list, instruction("EXPOSE", slices.Sorted(maps.Keys(c.ExposedPorts))...))
	}
	if hasHealthcheck(img.RawConfig) {
		list = append(list, instruction("HEALTHCHECK"))
	}
	if c.StopSignal != "" {
		list = append(list, instruction("STOPSIGNAL", c.StopSignal))
	}
	return list
}

// hasHealthcheck looks for what Docker adds to a configuration.
func hasHealthcheck(config []byte) bool {
	var docker struct {
		Config struct {
			Healthcheck struct{ Test []string }
		} `json:"config"`
	}
	if json.Unmarshal(config, &docker) != nil {
		return false
	}
	test := docker.Config.Healthcheck.Test
	return len(test) > 0 && test[0] != "NONE"
}

var plain = regexp.MustCompile(`^[A-Za-z0-9_./:@+-]{1,100}$`)

// show quotes what has other characters than such names usually have.
func show(s string) string {
	if plain.MatchString(s) {
		return s
	}
	return image.Quote(s)
}

// instruction is a line of a Dockerfile.
func instruction(name string, values ...string) string {
	shown := make([]string, len(values))
	for i, v := range values {
		shown[i] = show(v)
	}
	return strings.TrimSuffix(name+" "+strings.Join(shown, ", "), " ")
}
