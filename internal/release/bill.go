// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"debug/buildinfo"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// read is what Go recorded in a binary: what was linked, and from where.
func read(file string) (*buildinfo.BuildInfo, error) {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			return nil, fmt.Errorf("%s is replaced: that is no release", dep.Path)
		}
	}
	return info, nil
}

// writeBill writes the bill of materials of a binary: what is in it, not what
// go.mod names. It has no time and no serial number, so that it is the same for
// the same binary.
func writeBill(file, binary string, info *buildinfo.BuildInfo) error {
	sum, err := digestOf(binary)
	if err != nil {
		return err
	}
	main := component(info.Main.Path, info.Main.Version)
	main.Type = cdx.ComponentTypeApplication
	main.Name = filepath.Base(binary)
	main.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: fmt.Sprintf("%x", sum)}}
	parts := []cdx.Component{component("std", info.GoVersion)}
	slices.SortFunc(info.Deps, func(a, b *debug.Module) int { return cmp.Compare(a.Path, b.Path) })
	for _, dep := range info.Deps {
		c := component(dep.Path, dep.Version)
		c.Properties = &[]cdx.Property{{Name: "go.sum", Value: dep.Sum}}
		parts = append(parts, c)
	}
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{Component: &main}
	bom.Components = &parts

	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := cdx.NewBOMEncoder(f, cdx.BOMFileFormatJSON).SetPretty(true).Encode(bom); err != nil {
		return err
	}
	return f.Close()
}

// component is a Go module, by its package URL.
func component(path, version string) cdx.Component {
	url := fmt.Sprintf("pkg:golang/%s@%s", path, version)
	return cdx.Component{BOMRef: url, Type: cdx.ComponentTypeLibrary, Name: path, Version: version, PackageURL: url}
}
