// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"fmt"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

var platformPart = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

// platformShown is a platform that needs no quotes, parts of which may be missing.
var platformShown = regexp.MustCompile(`^[A-Za-z0-9_./-]+$`)

// ParsePlatform reads "os/arch" or "os/arch/variant", such as "linux/arm/v7",
// and returns it normalised.
func ParsePlatform(s string) (v1.Platform, error) {
	parts := strings.Split(s, "/")
	bad := len(parts) < 2 || len(parts) > 3
	for _, part := range parts {
		bad = bad || !platformPart.MatchString(part)
	}
	if bad {
		return v1.Platform{}, fmt.Errorf("platform %q is not os/arch[/variant], such as linux/arm64 or linux/arm/v7", s)
	}
	p := v1.Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	return NormalizePlatform(p), nil
}

// FormatPlatform is the inverse of [ParsePlatform].
func FormatPlatform(p v1.Platform) string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// ShowPlatform is [FormatPlatform] for an error or a warning: what has other
// characters than platforms have is quoted.
func ShowPlatform(p v1.Platform) string {
	s := FormatPlatform(p)
	if len(s) <= maxQuote && platformShown.MatchString(s) {
		return s
	}
	return Quote(s)
}

// DefaultPlatform is linux and this machine's architecture.
func DefaultPlatform() v1.Platform {
	return NormalizePlatform(v1.Platform{OS: "linux", Architecture: runtime.GOARCH})
}

// NormalizePlatform gives the names that mean the same platform one spelling,
// the one containerd gives them. An empty operating system is linux.
//
//	x86_64, x86-64, amd64/v1     amd64
//	aarch64, arm64/v8, arm64/8   arm64
//	armhf, arm, arm/7            arm/v7
//	armel, arm/6                 arm/v6
//	i386                         386
//	macos                        darwin
func NormalizePlatform(p v1.Platform) v1.Platform {
	p.OS = strings.ToLower(p.OS)
	switch p.OS {
	case "":
		p.OS = "linux"
	case "macos":
		p.OS = "darwin"
	}
	p.Architecture, p.Variant = normalizeArch(strings.ToLower(p.Architecture), strings.ToLower(p.Variant))
	return p
}

func normalizeArch(arch, variant string) (string, string) {
	switch arch {
	case "i386":
		return "386", ""
	case "x86_64", "x86-64", "amd64":
		if variant == "v1" {
			variant = ""
		}
		return "amd64", variant
	case "aarch64", "arm64":
		if variant == "8" || variant == "v8" {
			variant = ""
		}
		return "arm64", variant
	case "armhf":
		return "arm", "v7"
	case "armel":
		return "arm", "v6"
	case "arm":
		switch variant {
		case "":
			variant = "v7"
		case "5", "6", "7", "8":
			variant = "v" + variant
		}
	}
	return arch, variant
}

// Match returns the index of the candidate that runs best on the wanted
// platform, -1 when none does. The exact platform comes first, then what the
// same processor also runs, the nearest first; of equals the first wins.
//
//	wanted      also runs, in this order
//	amd64/v3    amd64/v2, amd64, 386
//	arm64/v9    arm64, arm/v8, arm/v7, arm/v6, arm/v5
//	arm/v7      arm/v6, arm/v5
func Match(want v1.Platform, candidates []v1.Platform) int {
	best, bestRank := -1, noMatch
	for i, c := range candidates {
		if r := rank(want, c); r < bestRank {
			best, bestRank = i, r
		}
	}
	return best
}

const (
	// otherArch is added to the rank of what runs although its architecture is
	// another one.
	otherArch = 1 << 20

	noMatch = 1 << 30
)

// rank says how far p is from what is wanted: 0 is exact, noMatch is too far.
func rank(want, p v1.Platform) int {
	want, p = NormalizePlatform(want), NormalizePlatform(p)
	if want.OS != p.OS {
		return noMatch
	}
	if want.Architecture == p.Architecture && want.Variant == p.Variant {
		return 0
	}
	wantLevel, level := archLevel(want), archLevel(p)
	switch {
	case want.Architecture == p.Architecture:
		if 0 < level && level < wantLevel {
			return wantLevel - level
		}
	case want.Architecture == "amd64" && p.Architecture == "386" && p.Variant == "":
		return otherArch
	case want.Architecture == "arm64" && p.Architecture == "arm":
		if 0 < level && level <= wantLevel {
			return otherArch + wantLevel - level
		}
	}
	return noMatch
}

// archLevel makes variants comparable within an architecture: "v8" is 800, "v8.2"
// is 802. It is 0 for variants without an order.
func archLevel(p v1.Platform) int {
	least, variant := 0, p.Variant
	switch p.Architecture {
	case "amd64":
		least = 1
	case "arm":
		least = 5
	case "arm64":
		least = 8
	default:
		return 0
	}
	if variant == "" {
		return least * 100
	}
	number, ok := strings.CutPrefix(variant, "v")
	if !ok {
		return 0
	}
	whole, part, _ := strings.Cut(number, ".")
	major, err := strconv.ParseUint(whole, 10, 8)
	if err != nil || int(major) < least {
		return 0
	}
	minor := uint64(0)
	if part != "" {
		if minor, err = strconv.ParseUint(part, 10, 8); err != nil || minor > 99 {
			return 0
		}
	}
	return int(major)*100 + int(minor)
}
