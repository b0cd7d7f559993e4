// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package panorama

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// PackageEdit is a package.json with an asset in it.
type PackageEdit struct {
	// Text is the file's new bytes.
	Text []byte

	// Definition is the asset's entry as it stands in Text, indented by four
	// spaces.
	Definition []byte

	// Interface is the name of the interface that was added for a new asset,
	// empty when none was. It asks for a node in the graph.
	Interface string

	// Superseded are the files that the entry named before and that nothing in
	// Text names any more.
	Superseded []string

	// Warnings say where Text does not keep to the format.
	Warnings []string

	edits []edit
}

// EditPackage puts an asset into a package.json: its entry names the asset's
// files from now on, and all else stays byte for byte as it was. An asset
// without an entry gets one, and an interface unless one names the asset
// already. Errors name the file as name says.
func EditPackage(name string, text []byte, a Asset) (*PackageEdit, error) {
	d, err := parse(name, text)
	if err != nil {
		return nil, err
	}
	ed := &editor{document: d}
	if !ed.root.get("nodePackage").is(kindObject) {
		return nil, ed.errorf(ed.root.start, "no object nodePackage")
	}
	for _, key := range []string{"assets", "interfaces"} {
		if v := ed.root.get("nodePackage").get(key); v != nil && v.kind != kindArray {
			return nil, ed.errorf(v.start, "%s is not an array", key)
		}
	}
	result := &PackageEdit{}
	entry, err := ed.asset(a.Name)
	if err != nil {
		return nil, err
	}
	if entry == nil {
		result.Interface, err = ed.addAsset(a)
	} else {
		err = ed.replaceAsset(entry, a, result)
	}
	if err != nil {
		return nil, err
	}
	return result, result.finish(ed, a)
}

// finish takes over what the editor has made.
func (r *PackageEdit) finish(ed *editor, a Asset) error {
	r.Text, r.edits = ed.text, ed.edits
	entry, err := ed.asset(a.Name)
	if err != nil {
		return err
	}
	var definition bytes.Buffer
	if err := json.Indent(&definition, ed.raw(entry), "", "    "); err != nil {
		return ed.errorf(entry.start, "%w", err)
	}
	r.Definition = definition.Bytes()
	r.Superseded = ed.unnamed(r.Superseded)
	r.Warnings = problems(ed.document, packageSchema)
	return nil
}

// asset is the entry of an asset, nil when there is none.
func (ed *editor) asset(name string) (*value, error) {
	var found *value
	assets := ed.root.get("nodePackage").get("assets")
	if assets == nil {
		return nil, nil
	}
	for _, entry := range assets.items {
		if ed.str(entry.get("name")) != name {
			continue
		}
		if found != nil {
			return nil, ed.errorf(entry.start, "a second asset %s, after %s", name, ed.place(found.start))
		}
		found = entry
	}
	return found, nil
}

// addAsset adds the entry of a new asset and, if no interface names it, one,
// whose name it returns.
func (ed *editor) addAsset(a Asset) (string, error) {
	ed.add("assets", object{
		{"name", a.Name},
		{"implementations", list{a.implementation()}},
	})
	var interfaces []*value
	if v := ed.root.get("nodePackage").get("interfaces"); v != nil {
		interfaces = v.items
	}
	for _, v := range interfaces {
		if ed.str(v.get("asset")) == a.Name {
			return "", nil
		}
	}
	name := a.Interface()
	for _, v := range interfaces {
		if ed.str(v.get("name")) == name {
			return "", image.WithHint(ed.errorf(v.start, "the interface %s belongs to another asset", name),
				"choose another --container-asset-name")
		}
	}
	if len(name) > MaxLabel || !interfaceName.MatchString(name) {
		return "", image.WithHint(fmt.Errorf("%s: the asset's interface would be %s, which is no name for one: it may have %d letters, digits, _ and -",
			ed.name, image.Quote(name), MaxLabel), "add an interface for the asset to %s by hand", ed.name)
	}
	ed.add("interfaces", object{
		{"name", name},
		{"category", "business_logic"},
		{"asset", a.Name},
		{"inputs", list{{{"name", "video_in"}, {"type", "media"}}}},
		{"outputs", list{{{"name", "video_out"}, {"type", "media"}}}},
	})
	return name, nil
}

// add appends an item to an array of nodePackage.
func (ed *editor) add(key string, item object) {
	body := ed.root.get("nodePackage")
	if array := body.get(key); array != nil {
		ed.do(ed.appendItem(array, item))
	} else {
		ed.do(ed.appendMember(body, key, list{item}))
	}
}

func (a Asset) implementation() object {
	return object{{"type", "container"}, {"assetUri", a.AssetURI}, {"descriptorUri", a.DescriptorURI}}
}

// replaceAsset makes an entry's implementation name the asset's files.
func (ed *editor) replaceAsset(entry *value, a Asset, result *PackageEdit) error {
	implementations := entry.get("implementations")
	switch {
	case implementations == nil:
		ed.do(ed.appendMember(entry, "implementations", list{a.implementation()}))
		return nil
	case implementations.kind != kindArray:
		return ed.errorf(implementations.start, "implementations is not an array")
	case len(implementations.items) == 0:
		ed.do(ed.appendItem(implementations, a.implementation()))
		return nil
	}
	index, err := ed.container(implementations, a)
	if err != nil {
		return err
	}
	result.Superseded = []string{
		ed.str(implementations.items[index].get("assetUri")),
		ed.str(implementations.items[index].get("descriptorUri")),
	}
	for _, f := range a.implementation()[1:] {
		// The values are of another document after each edit.
		entry, err := ed.asset(a.Name)
		if err != nil {
			return err
		}
		ed.set(entry.get("implementations").items[index], f.key, f.value.(string))
	}
	return nil
}

// container is the index of the only implementation that is a container.
func (ed *editor) container(implementations *value, a Asset) (int, error) {
	index := -1
	for i, v := range implementations.items {
		if ed.str(v.get("type")) != "container" {
			continue
		}
		if index >= 0 {
			return 0, image.WithHint(ed.errorf(v.start, "a second container among the implementations of asset %s", a.Name),
				"which one to replace cannot be told; remove one, or choose another --container-asset-name")
		}
		index = i
	}
	if index < 0 {
		return 0, image.WithHint(ed.errorf(implementations.start, "asset %s is none of type container", a.Name),
			"choose another --container-asset-name")
	}
	return index, nil
}

// unnamed are those of some names that no string in the document is.
func (d *document) unnamed(names []string) []string {
	named := map[string]bool{"": true}
	d.strings(d.root, func(s string) { named[s] = true })
	var rest []string
	for _, name := range names {
		if !named[name] {
			rest = append(rest, name)
			named[name] = true
		}
	}
	return rest
}
