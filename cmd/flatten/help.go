// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// What --help and the manual page, docs/flatten.1, say beside commands and flags.
//
//go:generate go test -run ^TestManual$ -update

// Without -h as another name, so that ls can have that for itself: see permute.
func init() {
	cli.HelpFlag = &cli.BoolFlag{DisableDefaultText: true, Name: "help", Usage: "show help; so does -h"}
}

// entry is a word and what it means.
type entry struct{ word, meaning string }

var imageForms = []entry{
	{"docker://REF, REF", "a registry"},
	{"oci:DIR[:TAG|@DIGEST]", "an OCI image layout"},
	{"oci-archive:FILE[:TAG]", "the same in a tar, compressed or not"},
	{"docker-archive:FILE[:REF]", "what docker save writes"},
	{"./PATH, /PATH", "any of these files and folders, recognised"},
	{"-", "an archive on standard input"},
}

var exitCodes = []entry{
	{fmt.Sprint(exitDone), "done"},
	{fmt.Sprint(exitFailed), "failed: input or output, the network; trying again may help"},
	{fmt.Sprint(exitUsage), "the command line is wrong"},
	{fmt.Sprint(exitCorrupt), "the image is corrupt, unsafe or fails a digest"},
	{fmt.Sprint(exitNotFound), "there is no such image, tag or platform, or access is denied"},
	{fmt.Sprint(exitInterrupted), "interrupted"},
}

var environment = []entry{
	{"SOURCE_DATE_EPOCH", "the latest time in what --canonical writes, in seconds since 1970"},
	{"REGISTRY_AUTH_FILE", "credentials, as with --authfile"},
	{"DOCKER_CONFIG", "the folder of Docker's config.json, else ~/.docker"},
	{"XDG_RUNTIME_DIR", "has podman's containers/auth.json"},
	{"XDG_CONFIG_HOME", "has another containers/auth.json, else ~/.config"},
	{"XDG_CACHE_HOME", "has the cache, flatten/, else ~/.cache"},
	{"TMPDIR", "spools downloads and standard input, as with --tmpdir"},
	{"HTTPS_PROXY, NO_PROXY", "how registries are reached"},
}

const notes = `Entries come in the order of the layers, so that a folder can be met again after
others. GNU tar then gives folders their times only with
--delay-directory-restore: flatten -o - IMAGE | tar -xz --delay-directory-restore.
With --canonical they come in the order of their paths, and it needs no flag.`

// description is that of the command itself.
const description = `  $ flatten alpine:3.20                       # from a registry
  3b0c…e1.tar.gz
  $ flatten -o - oci:dir:app | tar -xz -C root # or a layout, or an archive

Merges the layers of an image and writes the filesystem that a container would
see as one gzip tar, named by its SHA-256: without a daemon, without root, without
unpacking. Standard output has the result alone, the rest is said on standard
error.`

// table renders entries with the meanings in one column.
func table(width int, entries []entry) string {
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "\n  %-*s %s", width-1, e.word, e.meaning)
	}
	return b.String()
}

// indented indents each line.
func indented(text string) string { return "\n  " + strings.ReplaceAll(text, "\n", "\n  ") }

// flagsTemplate lists flags by category.
const flagsTemplate = `FLAGS{{range .VisibleFlagCategories}}{{if .Name}}
  {{.Name}}{{end}}{{range .Flags}}
   {{.}}{{end}}{{end}}
`

// commandHelpTemplate is for text/template, as is helpTemplate.
const commandHelpTemplate = `{{.HelpName}} - {{.Usage}}

{{.Description}}

USAGE
  {{.HelpName}} [flags] {{.ArgsUsage}}
{{if .VisibleCommands}}
COMMANDS{{range .VisibleCommands}}
  {{printf "%-18s" .Name}} {{.Usage}}{{end}}
{{end}}{{if .VisibleFlagCategories}}
` + flagsTemplate + `{{end}}`

var helpTemplate = `{{.Name}} - {{.Usage}}

{{.Description}}

USAGE
  flatten [flags] IMAGE         write <sha256>.tar.gz, print its path{{range .VisibleCommands}}
  flatten {{printf "%-21s" .Name}} {{.Usage}}{{end}}

  flatten COMMAND --help tells more of each.

IMAGE` + table(30, imageForms) + `

` + flagsTemplate + `
EXIT CODES` + table(5, exitCodes) + `

ENVIRONMENT` + table(23, environment) + `

NOTES` + indented(notes) + `
`
