// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package panorama

import (
	"fmt"
	"strings"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// Descriptor is what a descriptor.json says of a container: what to run in it.
type Descriptor struct {
	// Path is the executable, [DefaultPath] when the file does not say.
	Path string

	// Name is the file that the executable is given as its first argument, empty
	// when there is no entry.
	Name string

	// Arguments are those behind Name.
	Arguments []string

	// Environment are the variables that are set.
	Environment []Variable
}

// Variable is a variable of the environment.
type Variable struct{ Name, Value string }

// DefaultPath is the path of an entry that has none: the appliance's choice.
const DefaultPath = "$default"

// shownProblems is how many an error lists.
const shownProblems = 3

// ParseDescriptor reads the descriptor.json of a container and checks it against
// the format. Errors name the file as name says, and the place in it.
func ParseDescriptor(name string, text []byte) (*Descriptor, error) {
	d, err := parse(name, text)
	if err != nil {
		return nil, err
	}
	if list := problems(d, descriptorSchema); len(list) > 0 {
		more := ""
		if n := len(list) - shownProblems; n > 0 {
			list, more = list[:shownProblems], fmt.Sprintf("; %d more", n)
		}
		return nil, fmt.Errorf("%s%s", strings.Join(list, "; "), more)
	}
	runtime := d.root.get("runtimeDescriptor")
	if runtime == nil {
		return nil, image.WithHint(d.errorf(d.root.start, "runtimeDescriptor is missing, this describes no container"),
			"--init-descriptor writes one where there is no file %s", name)
	}
	entry := runtime.get("entry")
	if entry.get("name") == nil {
		return &Descriptor{Path: DefaultPath}, nil
	}
	result := &Descriptor{Path: DefaultPath, Name: d.str(entry.get("name"))}
	if path := d.str(entry.get("path")); path != "" {
		result.Path = path
	}
	if list := entry.get("arguments"); list != nil {
		for _, v := range list.items {
			result.Arguments = append(result.Arguments, d.str(v))
		}
	}
	if list := entry.get("environment"); list != nil {
		for _, v := range list.items {
			result.Environment = append(result.Environment, Variable{d.str(v.get("name")), d.str(v.get("value"))})
		}
	}
	return result, nil
}

// environment is the value of a variable, the last one where it is set twice.
func (d *Descriptor) environment(name string) (value string, ok bool) {
	for _, v := range d.Environment {
		if v.Name == name {
			value, ok = v.Value, true
		}
	}
	return value, ok
}
