// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package panorama

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"unicode"

	"github.com/seed-81b0d42e/flatten/internal/atomicfile"
	"github.com/seed-81b0d42e/flatten/internal/filelock"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// The names of a project's folders and files.
const (
	assetsDir      = "assets"
	packagesDir    = "packages"
	graphsDir      = "graphs"
	packageFile    = "package.json"
	descriptorFile = "descriptor.json"
	graphFile      = "graph.json"
)

// Project is an application's folder, and one of its packages.
type Project struct {
	// Root is the folder that has packages, assets and graphs.
	Root string

	// Package is what the name of the package's folder says.
	Package Package

	folder string                    // the package's, below packages
	step   func(action string) error // tests: called before each change of a file
}

// Open finds the project that a package's folder belongs to: the folder of the
// package lies in packages, and that in the project's root.
func Open(packagePath string) (*Project, error) {
	dir := filepath.Clean(packagePath)
	if filepath.Base(filepath.Dir(dir)) != packagesDir {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", packagePath, err)
		}
		dir = abs
	}
	if filepath.Base(filepath.Dir(dir)) != packagesDir {
		return nil, image.WithHint(fmt.Errorf("%s is not in a folder %s", packagePath, packagesDir),
			"a project has packages/ACCOUNT-NAME-VERSION, assets and graphs")
	}
	p := &Project{Root: filepath.Dir(filepath.Dir(dir)), folder: filepath.Base(dir)}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, p.noPackage(packagePath)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", packagePath, reason(err))
	case !info.IsDir():
		return nil, fmt.Errorf("%s: not a folder", packagePath)
	}
	p.Package, err = ParsePackage(p.folder)
	return p, err
}

// noPackage is the error for a package that is not there, with those that are.
func (p *Project) noPackage(packagePath string) error {
	err := fmt.Errorf("%s: no such folder", packagePath)
	folders, _ := p.list(packagesDir)
	if len(folders) == 0 {
		return image.WithHint(err, "run it in the root of the project, the folder that has %s, %s and %s",
			packagesDir, assetsDir, graphsDir)
	}
	for i, folder := range folders {
		folders[i] = show(folder)
	}
	if n := len(folders) - 10; n > 0 {
		folders = append(folders[:10], fmt.Sprintf("%d more", n))
	}
	return image.WithHint(err, "%s has %s", p.name(packagesDir), strings.Join(folders, ", "))
}

// path is where a file of the project is; rel has slashes.
func (p *Project) path(rel string) string { return filepath.Join(p.Root, filepath.FromSlash(rel)) }

// name is the path of a file of the project as a message shows it.
func (p *Project) name(rel string) string {
	name := p.path(rel)
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return image.Quote(name)
		}
	}
	return name
}

// own is a file of the package.
func (p *Project) own(name string) string { return path.Join(packagesDir, p.folder, name) }

// notDir: a file stands where a folder would have to be.
const notDir = syscall.ENOTDIR

// list is what a folder of the project has, in the order of names.
func (p *Project) list(rel string) ([]string, error) {
	entries, err := os.ReadDir(p.path(rel))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", p.name(rel), reason(err))
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	slices.Sort(names)
	return names, nil
}

// read reads a file of the project. One that is not there is fs.ErrNotExist.
func (p *Project) read(rel string) ([]byte, error) {
	text, err := readFile(p.path(rel), MaxDocument)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", p.name(rel), reason(err))
	}
	return text, nil
}

// readFile reads a regular file of at most limit bytes.
func readFile(name string, limit int64) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a file")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("more than the %d bytes that are read", limit)
	}
	return text, err
}

// reason strips the path from a path error: the caller's text names it.
func reason(err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// lock keeps other runs out of the project until unlock is called. Where folders
// cannot be locked (Windows, some network file systems) nobody is kept out.
func (p *Project) lock(ctx context.Context) (unlock func(), err error) {
	f, err := os.Open(p.Root)
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", p.Root, reason(err))
	}
	if filelock.Wait(ctx, f, filelock.Exclusive, nil); ctx.Err() != nil {
		f.Close()
		return nil, context.Cause(ctx)
	}
	return func() { f.Close() }, nil
}

// writable fails for a folder that files cannot be made in.
func (p *Project) writable(rel string) error {
	f, err := atomicfile.Create(p.path(rel))
	if err != nil {
		return image.WithHint(err, "files are made in the project's root, in %s, and in the folders of what changes", assetsDir)
	}
	f.Discard()
	return nil
}

// graphs are the graphs that the package's nodes belong in: those that list the
// package, or the only one there is.
func (p *Project) graphs() ([]string, []Graph, error) {
	folders, err := p.list(graphsDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	var all, using []string
	var graphs, used []Graph
	for _, folder := range folders {
		rel := path.Join(graphsDir, folder, graphFile)
		text, err := p.read(rel)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, notDir) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		g, err := ParseGraph(p.name(rel), text)
		if err != nil {
			return nil, nil, err
		}
		all, graphs = append(all, rel), append(graphs, g)
		if g.Uses(p.Package) {
			using, used = append(using, rel), append(used, g)
		}
	}
	switch {
	case len(used) > 0:
		return using, used, nil
	case len(graphs) == 1:
		return all, graphs, nil
	case len(graphs) == 0:
		return nil, nil, image.WithHint(fmt.Errorf("%s has no graph.json for the node of a new asset", p.name(graphsDir)),
			"make one, or give the asset an interface in %s by hand: then it needs no node", p.name(p.own(packageFile)))
	}
	return nil, nil, image.WithHint(fmt.Errorf("none of %d graphs lists the package %s", len(graphs), p.Package.ID()),
		"add it to the packages of the graph that is to use it")
}
