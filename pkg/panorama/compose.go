// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package panorama

import (
	"fmt"
	"path"
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/tree"
)

// NewDescriptor writes the descriptor.json that runs an image as its
// configuration says: entrypoint and command become path, name and arguments,
// Env the environment. Notes say what became different and what has no field.
func NewDescriptor(img *image.Image, fs *tree.Tree) (text []byte, notes []string, err error) {
	c := img.Config.Config
	command := slices.Concat(c.Entrypoint, c.Cmd)
	if len(command) == 0 || command[0] == "" {
		return nil, nil, image.WithHint(fmt.Errorf("the image has neither ENTRYPOINT nor CMD: nothing says what to run"),
			"write descriptor.json by hand; entry has path, name, arguments and environment")
	}
	e, notes := entryOf(command, c, fs)
	environment, odd := environmentOf(c.Env)
	if len(environment) > 0 {
		e = append(e, field{"environment", environment})
	}
	notes = append(notes, odd...)
	if rest := fieldless(img); len(rest) > 0 {
		notes = append(notes, "a descriptor has no field for "+strings.Join(rest, "; "))
	}
	s := style{newline: "\n", unit: "    ", colon: ": "}
	runtime := object{{"envelopeVersion", "2021-01-01"}, {"entry", e}}
	return []byte(s.render(object{{"runtimeDescriptor", runtime}}, "") + "\n"), notes, nil
}

// entryOf maps a command to an entry. Its name has to be a file: a command whose
// second word is not one is run by env, which is given the first word as name.
func entryOf(command []string, c v1.ImageConfig, fs *tree.Tree) (e object, notes []string) {
	search := variable(c.Env, "PATH")
	if search == "" {
		search = defaultSearch
	}
	program := command[0]
	if !path.IsAbs(program) && strings.Contains(program, "/") {
		program = path.Join("/", c.WorkingDir, program)
		notes = append(notes, fmt.Sprintf("path is %s: the appliance starts in /", image.Quote(program)))
	}
	if len(command) > 1 {
		if script, ok := scriptOf(command[1], c, fs); ok {
			if script != command[1] {
				notes = append(notes, fmt.Sprintf("name is %s: the appliance starts in /", image.Quote(script)))
			}
			return entry(program, script, command[2:]), notes
		}
	}
	if full, ok := lookPath(fs, program, search); ok && !strings.Contains(program, "/") {
		program = full
	}
	if env, ok := lookPath(fs, "env", defaultSearch); ok {
		notes = append(notes, fmt.Sprintf("path is %s, which runs name: a name has to be a file", env))
		return entry(env, program, command[1:]), notes
	}
	if len(command) > 1 {
		return entry(program, command[1], command[2:]), notes
	}
	return entry("", program, nil), append(notes, "there is no path: how name is started is left to the appliance")
}

// scriptOf is the file that a word of a command names, from the folder that the
// command is started in.
func scriptOf(word string, c v1.ImageConfig, fs *tree.Tree) (string, bool) {
	if word == "" || strings.HasPrefix(word, "-") {
		return "", false
	}
	file := word
	if !path.IsAbs(word) {
		file = path.Join("/", c.WorkingDir, word)
	}
	i, err := fs.Find(file, true)
	return file, err == nil && !fs.Dir(i)
}

func entry(program, name string, arguments []string) object {
	var e object
	if program != "" {
		e = append(e, field{"path", program})
	}
	e = append(e, field{"name", name})
	if len(arguments) > 0 {
		e = append(e, field{"arguments", words(arguments)})
	}
	return e
}

// environmentOf maps an image's Env, the last one of a variable set twice.
func environmentOf(env []string) (environment list, notes []string) {
	index := map[string]int{}
	for _, s := range env {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			notes = append(notes, fmt.Sprintf("ENV %s is no variable and left out", image.Quote(s)))
			continue
		}
		if i, again := index[name]; again {
			environment[i][1].value = value
			continue
		}
		index[name] = len(environment)
		environment = append(environment, object{{"name", name}, {"value", value}})
	}
	return environment, notes
}
