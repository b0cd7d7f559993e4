// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package hostile is a corpus of inputs that mean ill: bombs, lies, circles, paths
// that climb, documents without end. Each says what the command must make of it.
//
// # Terms
//
//   - An input is a folder with a layout, or an archive, that is written when it is
//     needed. It is the same each time.
//   - The form is how the command is given it: as a layout, as an archive of either
//     kind, or on standard input.
//
// # Rules
//
// For every input the command
//
//   - ends with the input's exit code, 3 or 4 for most. Where it is 0, the rules of
//     docs/semantics.md say that every runtime accepts the like; then Why tells the
//     reason and Tree what the output must be;
//   - says one line, which names layer, entry and offset where there is one, and
//     perhaps a hint on another, without a byte that a terminal would obey;
//   - leaves nothing behind: no output, no temporary file;
//   - takes less than 256 MiB of memory, and does not hang.
//
// # Limits
//
// Inputs are a few megabytes, 64 at most. [Input.Slow] marks those that take the
// command or this package seconds.
//
// # Example
//
//	for _, in := range hostile.Inputs() {
//		args, stdin := in.Write(dir)
//		… // flatten, with args
//	}
package hostile

import (
	"os"
	"path/filepath"
	"slices"
)

// Form is how an input is given to the command.
type Form uint8

// The forms.
const (
	Layout Form = iota
	OCIArchive
	DockerArchive
	Stdin
)

func (f Form) String() string {
	return [...]string{"layout", "oci-archive", "docker-archive", "stdin"}[f]
}

// Input is one hostile input.
type Input struct {
	// Name tells the input from all others; Group is what it is about.
	Name, Group string

	// Form is how it is given to the command.
	Form Form

	// Args are the command's flags beside those of where to write.
	Args []string

	// Exit is the exit code, and Err a regular expression for the line that is
	// said, from behind "flatten: " to its end.
	Exit int
	Err  string

	// Why is why an input is accepted, and Tree the lines that its output must
	// have, nil when there are too many to say.
	Why  string
	Tree []string

	// Slow marks inputs that take seconds, Root those that only root can make.
	Slow, Root bool

	// write makes the input in a folder: a layout in it, or the file "tar".
	write func(dir string)
}

// Write writes the input into an empty folder and returns the image's reference
// and the file for standard input, if any. It panics when it cannot.
func (in *Input) Write(dir string) (ref, stdin string) {
	file := filepath.Join(dir, tarFile)
	in.write(dir)
	switch in.Form {
	case Layout:
		return "oci:" + dir, ""
	case OCIArchive:
		return "oci-archive:" + file, ""
	case DockerArchive:
		return "docker-archive:" + file, ""
	}
	return "-", file
}

const tarFile = "tar"

// Inputs returns all inputs.
func Inputs() []Input {
	return slices.Concat(
		bombs(), crowds(), numbers(), headers(), sparse(), bodies(),
		climbs(), markers(), links(), circles(),
		streams(), rules(),
		manifests(), configs(), indexes(), keys(),
		files(), archives(), standardInput(),
	)
}

// group names what inputs are about.
func group(name string, inputs ...Input) []Input {
	for i := range inputs {
		inputs[i].Group = name
	}
	return inputs
}

// as gives an input to the command in a form.
func (in Input) as(f Form) Input { in.Form = f; return in }

// with adds flags.
func (in Input) with(args ...string) Input {
	in.Args = append(slices.Clone(in.Args), args...)
	return in
}

// slow marks an input that takes seconds.
func (in Input) slow() Input { in.Slow = true; return in }

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func put(dir, name string, data []byte) {
	path := filepath.Join(dir, filepath.FromSlash(name))
	must(os.MkdirAll(filepath.Dir(path), 0o755))
	must(os.WriteFile(path, data, 0o644))
}
