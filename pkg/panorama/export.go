// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package panorama

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/pkg/digest"
	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/tree"
)

// Options say how an image becomes an asset of a package.
type Options struct {
	// Asset is the asset's name.
	Asset string

	// InitDescriptor writes a descriptor.json where there is none.
	InitDescriptor bool

	// Flatten says how the filesystem is written. Dir, Output and Uncompressed
	// have no effect. Strict makes warnings of this package errors, too.
	Flatten flatten.Options
}

// Result is what an export did.
type Result struct {
	// Asset is the filesystem that was written, Descriptor the path of the
	// descriptor's copy.
	Asset      *flatten.Result
	Descriptor string

	// Definition is the asset's entry in package.json, indented by four spaces.
	Definition []byte

	// Changed are the paths of the files that were replaced or made, Removed
	// those of superseded ones that were removed.
	Changed, Removed []string

	// Completed are the files of an earlier export that was interrupted and has
	// been completed first.
	Completed []string

	// Ignored is what the image sets and the appliance does not heed.
	Ignored []string

	// Warnings are what may not work on the appliance; Notes what else is worth
	// knowing.
	Warnings, Notes []string
}

// platform is the appliance's.
const platform = "linux/arm64"

// unknown stands for files that are not written yet.
const unknown = "0000000000000000000000000000000000000000000000000000000000000000"

// Check does all of an export that can be done without the image, and changes
// nothing but to complete an export that was interrupted. Completed are the files
// of that.
func (p *Project) Check(ctx context.Context, o Options) (completed, warnings []string, err error) {
	if err := CheckAssetName(o.Asset); err != nil {
		return nil, nil, err
	}
	unlock, err := p.lock(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	if completed, err = p.complete(); err != nil {
		return nil, nil, err
	}
	text, err := p.descriptor()
	switch {
	case errors.Is(err, fs.ErrNotExist) && o.InitDescriptor:
	case errors.Is(err, fs.ErrNotExist):
		return completed, nil, image.WithHint(err, "--init-descriptor writes one from the image's ENTRYPOINT, CMD and ENV")
	case err != nil:
		return completed, nil, err
	default:
		if _, err := ParseDescriptor(p.name(p.own(descriptorFile)), text); err != nil {
			return completed, nil, err
		}
	}
	c, err := p.changes(Asset{o.Asset, unknown + ".tar.gz", unknown + ".json"})
	if err != nil {
		return completed, nil, err
	}
	for _, rel := range append([]string{".", path.Join(packagesDir, p.folder)}, c.folders()...) {
		if err := p.writable(rel); err != nil {
			return completed, nil, err
		}
	}
	if err := p.writable(assetsDir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return completed, nil, err
	}
	return completed, c.warnings, strict(o, c.warnings)
}

// strict makes the first of some warnings an error if that is wanted.
func strict(o Options, warnings []string) error {
	if !o.Flatten.Strict || len(warnings) == 0 {
		return nil
	}
	return image.WithHint(errors.New(warnings[0]), "without --strict this is a warning")
}

func (p *Project) descriptor() ([]byte, error) { return p.read(p.own(descriptorFile)) }

// changes is what an asset makes of the project's files.
type changes struct {
	list       []change
	definition []byte
	superseded []string
	warnings   []string
}

// folders are those of the files.
func (c *changes) folders() []string {
	var folders []string
	for _, c := range c.list {
		folders = append(folders, path.Dir(c.Path))
	}
	return folders
}

// changes edits package.json and the graphs. The order is that of the writing:
// a node whose interface is not there yet is noticed, the reverse is not.
func (p *Project) changes(a Asset) (*changes, error) {
	rel := p.own(packageFile)
	text, err := p.read(rel)
	if err != nil {
		return nil, err
	}
	edited, err := EditPackage(p.name(rel), text, a)
	if err != nil {
		return nil, err
	}
	c := &changes{definition: edited.Definition, superseded: edited.Superseded, warnings: edited.Warnings}
	if edited.Interface != "" {
		if err := p.addNodes(c, a.Node(), edited.Interface); err != nil {
			return nil, err
		}
	}
	return c, p.change(c, rel, text, edited.Text)
}

// change adds the change of a file, unless it is none.
func (p *Project) change(c *changes, rel string, before, after []byte) error {
	if len(after) > MaxDocument {
		return fmt.Errorf("%s would have more than the %d bytes that are read", p.name(rel), MaxDocument)
	}
	if string(before) != string(after) {
		c.list = append(c.list, newChange(rel, before, after))
	}
	return nil
}

// addNodes adds the node of an interface to the graphs.
func (p *Project) addNodes(c *changes, node, interfaceName string) error {
	names, graphs, err := p.graphs()
	if err != nil {
		return err
	}
	for i, g := range graphs {
		after, warnings, err := g.AddNode(node, p.Package, interfaceName)
		if err != nil {
			return err
		}
		if err := p.change(c, names[i], g.text, after); err != nil {
			return err
		}
		c.warnings = append(c.warnings, warnings...)
		if !g.Uses(p.Package) {
			c.warnings = append(c.warnings, fmt.Sprintf("%s does not list the package %s", p.name(names[i]), p.Package.ID()))
		}
	}
	return nil
}

// Export writes a merged image and its descriptor to the project's assets and
// makes package.json name them, or changes nothing: see the package comment.
func (p *Project) Export(ctx context.Context, m *flatten.Merged, o Options) (_ *Result, err error) {
	if err := CheckAssetName(o.Asset); err != nil {
		return nil, err
	}
	unlock, err := p.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	r := &Result{}
	if r.Completed, err = p.complete(); err != nil {
		return nil, err
	}
	text, made, err := p.judge(m, o, r)
	if err != nil {
		return nil, err
	}
	had, err := p.list(assetsDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	defer func() {
		if err != nil && r.Changed == nil {
			p.leave(r, had)
		}
	}()
	a, err := p.writeAsset(ctx, m, o, r, text)
	if err != nil {
		return nil, err
	}
	c, err := p.changes(a)
	if err != nil {
		return nil, err
	}
	r.Definition = c.definition
	j := &journal{Changes: c.list}
	if made {
		j.Changes = append([]change{newChange(p.own(descriptorFile), nil, text)}, j.Changes...)
	}
	if j.Remove, err = p.unshared(c.superseded, r); err != nil {
		return nil, err
	}
	if err := p.commit(j, r); err != nil {
		return nil, err
	}
	return r, nil
}

// leave removes the assets of an export that failed, but what was there before,
// which is what had says, and what a change that could not be undone needs.
func (p *Project) leave(r *Result, had []string) {
	if _, err := os.Lstat(p.path(journalFile)); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	files := []string{r.Descriptor}
	if r.Asset != nil {
		files = append(files, r.Asset.Path)
	}
	for _, file := range files {
		if file != "" && !slices.Contains(had, filepath.Base(file)) {
			os.Remove(file)
		}
	}
	if had == nil {
		os.Remove(p.path(assetsDir)) // which fails when others are in it
	}
}

// judge finds or makes the descriptor and judges the image by it.
func (p *Project) judge(m *flatten.Merged, o Options, r *Result) (text []byte, made bool, err error) {
	files := tree.Of(m.View)
	name := p.name(p.own(descriptorFile))
	text, err = p.descriptor()
	switch {
	case err == nil && o.InitDescriptor:
		r.Notes = append(r.Notes, name+" is there already and stays as it is; remove it to have it written anew")
	case errors.Is(err, fs.ErrNotExist) && o.InitDescriptor:
		var notes []string
		if text, notes, err = NewDescriptor(m.Image, files); err != nil {
			return nil, false, err
		}
		made = true
		for _, note := range notes {
			r.Notes = append(r.Notes, name+": "+note)
		}
	case err != nil:
		return nil, false, err
	}
	d, err := ParseDescriptor(name, text)
	if err != nil {
		return nil, false, err
	}
	if r.Warnings, err = CheckEntry(files, d, m.Image.Config.Config); err != nil {
		return nil, false, fmt.Errorf("%s: %w", name, err)
	}
	r.Warnings = append(r.Warnings, Covered(files)...)
	if is := image.ShowPlatform(m.Image.Platform); is != platform {
		r.Warnings = append(r.Warnings, fmt.Sprintf("the image is for %s, the appliance is %s", is, platform))
	}
	if !made { // else the notes say so
		r.Ignored = Ignored(m.Image, d)
	}
	return text, made, strict(o, r.Warnings)
}

// writeAsset writes the two content-named files. Nothing names them yet.
func (p *Project) writeAsset(ctx context.Context, m *flatten.Merged, o Options, r *Result, descriptor []byte) (Asset, error) {
	dir := p.path(assetsDir)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return Asset{}, fmt.Errorf("making %s: %w", p.name(assetsDir), reason(err))
	}
	if err := p.doing("assets"); err != nil {
		return Asset{}, err
	}
	f, err := digest.Create(dir)
	if err != nil {
		return Asset{}, err
	}
	defer f.Discard()
	if _, err := f.Write(descriptor); err != nil {
		return Asset{}, err
	}
	if r.Descriptor, _, err = f.Publish(".json"); err != nil {
		return Asset{}, err
	}
	flat := o.Flatten
	flat.Dir, flat.Output, flat.Uncompressed = dir, nil, false
	if r.Asset, err = m.Write(ctx, flat); err != nil {
		return Asset{}, err
	}
	return Asset{o.Asset, filepath.Base(r.Asset.Path), filepath.Base(r.Descriptor)}, nil
}

// unshared are those of some superseded files that no other package names. What
// is not named by its content was not made here and is not looked at.
func (p *Project) unshared(names []string, r *Result) ([]string, error) {
	var candidates []string
	for _, name := range names {
		if contentName.MatchString(name) {
			candidates = append(candidates, name)
		}
	}
	if len(candidates) == 0 {
		return nil, nil
	}
	folders, err := p.list(packagesDir)
	if err != nil {
		return nil, err
	}
	for _, folder := range folders {
		rel := path.Join(packagesDir, folder, packageFile)
		if folder == p.folder {
			continue
		}
		text, err := p.read(rel)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, notDir) {
			continue
		}
		var d *document
		if err == nil {
			d, err = parse(p.name(rel), text)
		}
		if err != nil {
			r.Notes = append(r.Notes, fmt.Sprintf("superseded files stay, another package may name them: %v", err))
			return nil, nil
		}
		candidates = d.unnamed(candidates)
	}
	return candidates, nil
}
