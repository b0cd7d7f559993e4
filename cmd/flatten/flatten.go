// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// flattenAction is "flatten IMAGE".
func flattenAction(c *cli.Context, p process, u *ui) error {
	u.quiet = c.Bool("quiet")
	began := time.Now()
	opts, err := options(c, p)
	if err != nil {
		return err
	}
	text, err := argument(c)
	if err != nil {
		return err
	}
	if opts.Dir == "-" {
		if c.Bool("json") {
			return usagef("--json does not go with -o -: both are for standard output")
		}
		if isTerminal(p.stdout) {
			return image.WithHint(usagef("-o -: standard output is a terminal"), "pipe it: flatten -o - %s | tar -tz", text)
		}
		opts.Output = p.stdout
	} else if err := checkFolder(opts.Dir); err != nil {
		return err
	}
	img, err := openImage(c, p, u, text)
	if err != nil {
		return err
	}
	defer img.Close()
	result, err := flattenImage(c.Context, img, opts, c.String("progress"), u)
	if err != nil {
		return err
	}
	if opts.Output != nil {
		u.say("wrote %s, %s", formatBytes(result.Size), result.Digest)
		return nil
	}
	if c.Bool("json") {
		return printJSON(p.stdout, img, result, time.Since(began))
	}
	return printResult(p.stdout, result.Path+"\n")
}

// checkFolder fails before anything is fetched for a folder that cannot take it.
func checkFolder(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return image.WithHint(fmt.Errorf("-o %s: no such folder", dir), "mkdir -p %s", dir)
	case err != nil:
		return fmt.Errorf("-o %s: %w", dir, errors.Unwrap(err))
	case !info.IsDir():
		return image.WithHint(fmt.Errorf("-o %s: not a folder", dir), "the file gets its name from its content; -o - streams to standard output")
	}
	return nil
}

// argument is the one argument that is not a flag.
func argument(c *cli.Context) (string, error) {
	switch c.NArg() {
	case 1:
		return c.Args().First(), nil
	case 0:
		return "", image.WithHint(usagef("which image?"), "flatten alpine:3.20, flatten oci:DIR:TAG, flatten --help")
	}
	err := usagef("one image at a time: %q is one too many", c.Args().Get(1))
	if word := c.Args().First(); c.Command.Name == c.App.Name && !strings.ContainsAny(word, ":/.") {
		err = image.WithHint(err, "%q is no command; flatten --help lists them", word)
	}
	return "", err
}

// flattenImage runs the library with progress shown.
func flattenImage(ctx context.Context, img *image.Image, opts flatten.Options, mode string, u *ui) (*flatten.Result, error) {
	bars := newProgress(mode, u, img)
	opts.Progress = bars.report
	result, err := flatten.Flatten(ctx, img, opts)
	bars.close()
	if err != nil {
		if opts.Output != nil {
			err = stdoutError(err)
		}
		return nil, err
	}
	u.warnings(result.Warnings)
	return result, nil
}

// resultJSON is what --json prints. Fields are added, never renamed.
type resultJSON struct {
	Reference  string          `json:"reference"`
	Manifest   string          `json:"manifest,omitempty"`
	ConfigID   string          `json:"configDigest"`
	Platform   string          `json:"platform"`
	Path       string          `json:"path"`
	Digest     string          `json:"digest"`
	Size       int64           `json:"size"`
	TarDigest  string          `json:"tarDigest"`
	TarSize    int64           `json:"tarSize"`
	Entries    int             `json:"entries"`
	Copied     int64           `json:"copied"`  // bytes of the tar, as compressed blocks
	Encoded    int64           `json:"encoded"` // bytes of the tar that were compressed here
	Layers     []layerJSON     `json:"layers"`
	Warnings   []image.Warning `json:"warnings"`
	Config     configJSON      `json:"config"`
	Seconds    float64         `json:"seconds"`
	Encoder    string          `json:"encoder"`
	FlattenVer string          `json:"version"`
}

type layerJSON struct {
	Digest       string `json:"digest,omitempty"`
	DiffID       string `json:"diffID"`
	MediaType    string `json:"mediaType,omitempty"`
	Size         int64  `json:"size"`
	Uncompressed int64  `json:"uncompressed"`
	Entries      int    `json:"entries"`
}

// configJSON is how the image wants to be run.
type configJSON struct {
	Entrypoint []string `json:"entrypoint"`
	Cmd        []string `json:"cmd"`
	Env        []string `json:"env"`
	User       string   `json:"user"`
	WorkingDir string   `json:"workingDir"`
}

func printJSON(w io.Writer, img *image.Image, r *flatten.Result, took time.Duration) error {
	out := resultJSON{
		Reference: img.Reference, Manifest: string(img.Digest), ConfigID: string(img.ConfigDigest),
		Platform: image.FormatPlatform(img.Platform),
		Path:     r.Path, Digest: string(r.Digest), Size: r.Size,
		TarDigest: string(r.TarDigest), TarSize: r.TarSize, Entries: r.Entries,
		Copied: r.Copied, Encoded: r.Encoded,
		Warnings: r.Warnings, Seconds: float64(took.Milliseconds()) / 1000,
		Encoder: r.Encoder, FlattenVer: version(),
		Config: configJSON{
			Entrypoint: img.Config.Config.Entrypoint, Cmd: img.Config.Config.Cmd,
			Env: img.Config.Config.Env, User: img.Config.Config.User,
			WorkingDir: img.Config.Config.WorkingDir,
		},
	}
	if out.Warnings == nil {
		out.Warnings = []image.Warning{}
	}
	for i, l := range r.Layers {
		out.Layers = append(out.Layers, layerJSON{
			Digest: string(img.Layers[i].Digest), DiffID: string(l.DiffID), MediaType: img.Layers[i].MediaType,
			Size: l.Size, Uncompressed: l.Uncompressed, Entries: l.Entries,
		})
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return stdoutError(enc.Encode(out))
}
