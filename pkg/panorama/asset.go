// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package panorama

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// MaxName is the longest name of an asset, in bytes, MaxLabel that of an
// interface, a node or a package.
const (
	MaxName  = 255
	MaxLabel = 128
)

var (
	assetName     = regexp.MustCompile(`^[$A-Z_a-z0-9\-]+$`)
	interfaceName = regexp.MustCompile(`^[a-z_A-Z0-9\-]+$`)
	accountName   = regexp.MustCompile(`^[$A-Z_a-z0-9]+$`)
	versionNumber = regexp.MustCompile(`^[0-9]+\.[0-9]+$`)
	contentName   = regexp.MustCompile(`^[0-9a-f]{64}\.(tar\.gz|json)$`)
)

// Asset is a content-named root filesystem and the content-named descriptor that
// says what to run in it.
type Asset struct {
	Name          string
	AssetURI      string // "<sha256 of the file>.tar.gz"
	DescriptorURI string // "<sha256 of descriptor.json>.json"
}

// CheckAssetName accepts 1 to [MaxName] letters, digits, "$", "_" and "-".
func CheckAssetName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("the asset's name is empty")
	case len(name) > MaxName:
		return fmt.Errorf("asset name of %d bytes: %d is the most", len(name), MaxName)
	case !assetName.MatchString(name):
		return fmt.Errorf("asset name %s: it is made of letters, digits, $, _ and -", image.Quote(name))
	}
	return nil
}

// Interface is the name of the interface that a new asset gets, Node that of
// its node.
func (a Asset) Interface() string { return a.Name + "_interface" }
func (a Asset) Node() string      { return a.Name + "_node" }

// Package is what the name of a package's folder says.
type Package struct{ Account, Name, Version string }

// ParsePackage reads the name of a package's folder, ACCOUNT-NAME-VERSION, such
// as "123456789012-people-counter-1.0": the account ends at the first dash, the
// version begins behind the last one.
func ParsePackage(folder string) (Package, error) {
	account, rest, _ := strings.Cut(folder, "-")
	dash := strings.LastIndexByte(rest, '-')
	bad := func(format string, args ...any) (Package, error) {
		return Package{}, fmt.Errorf("package folder %s: %s", image.Quote(folder), fmt.Sprintf(format, args...))
	}
	if dash < 0 {
		return bad("it is not ACCOUNT-NAME-VERSION")
	}
	p := Package{Account: account, Name: rest[:dash], Version: rest[dash+1:]}
	switch {
	case !accountName.MatchString(p.Account):
		return bad("the account, up to the first dash, is %s", image.Quote(p.Account))
	case !interfaceName.MatchString(p.Name) || len(p.Name) > MaxLabel:
		return bad("the package's name, between the first dash and the last, is %s", image.Quote(p.Name))
	case !versionNumber.MatchString(p.Version):
		return bad("the version, behind the last dash, is %s and not such as 1.0", image.Quote(p.Version))
	}
	return p, nil
}

// ID is what a graph calls the package: "ACCOUNT::NAME".
func (p Package) ID() string { return p.Account + "::" + p.Name }
