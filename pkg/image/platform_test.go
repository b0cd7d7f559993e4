// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"runtime"
	"sort"
	"testing"

	"github.com/containerd/platforms"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

var allPlatforms = func() []v1.Platform {
	var all []v1.Platform
	for _, os := range []string{"linux", "Linux", "windows", "macos", "freebsd"} {
		for _, arch := range []string{
			"amd64", "x86_64", "x86-64", "X86_64", "386", "i386", "arm64", "aarch64", "arm", "armhf", "armel",
			"riscv64", "ppc64le", "s390x", "loong64", "mips64le", "unknown", "",
		} {
			for _, variant := range []string{"", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "5", "6", "7", "8", "V7", "hard", "v0", "v99"} {
				all = append(all, v1.Platform{OS: os, Architecture: arch, Variant: variant})
			}
		}
	}
	return all
}()

// Rule 159: names and their spelling are containerd's.
func TestNormalizePlatformAgreesWithContainerd(t *testing.T) {
	for _, p := range allPlatforms {
		got, want := NormalizePlatform(p), platforms.Normalize(p)
		if FormatPlatform(got) != FormatPlatform(want) {
			t.Errorf("NormalizePlatform(%v) = %v, containerd has %v", p, got, want)
		}
		if again := NormalizePlatform(got); FormatPlatform(again) != FormatPlatform(got) {
			t.Errorf("NormalizePlatform(%v) = %v, not stable", got, again)
		}
	}
}

// Rule 159: what runs where, and in which order of preference.
func TestMatchAgreesWithContainerd(t *testing.T) {
	for _, s := range []string{
		"linux/amd64", "linux/amd64/v1", "linux/amd64/v2", "linux/amd64/v3", "linux/amd64/hard", "linux/386", "linux/i386",
		"linux/arm64", "linux/arm64/v8", "linux/aarch64", "linux/arm", "linux/arm/v5", "linux/arm/v6", "linux/arm/v7", "linux/arm/v8",
		"linux/armhf", "linux/armel", "linux/riscv64", "linux/s390x", "windows/amd64", "darwin/arm64", "linux/ppc64le",
	} {
		want, err := ParsePlatform(s)
		if err != nil {
			t.Fatal(err)
		}
		// Candidates one at a time, then those that match, the best again and again.
		oracle := platforms.Only(want)
		var left []v1.Platform
		for _, p := range allPlatforms {
			got := Match(want, []v1.Platform{p}) == 0
			if got != oracle.Match(p) {
				t.Errorf("%s: Match(%v) = %v, containerd says %v", s, p, got, !got)
			}
			if got {
				left = append(left, p)
			}
		}
		sorted := append([]v1.Platform{}, left...)
		sort.SliceStable(sorted, func(i, j int) bool { return oracle.Less(sorted[i], sorted[j]) })
		for _, expected := range sorted {
			best := Match(want, left)
			if left[best].Architecture != expected.Architecture || left[best].Variant != expected.Variant || left[best].OS != expected.OS {
				t.Fatalf("%s: best is %v, containerd's is %v", s, left[best], expected)
			}
			left = append(left[:best], left[best+1:]...)
		}
	}
}

// containerd v0.2.1 does not order the variants of arm64; later releases do.
func TestMatchArm64Variants(t *testing.T) {
	candidates := []string{"linux/arm/v7", "linux/arm64", "linux/arm64/v8.2", "linux/arm64/v9.2", "linux/arm64/v9", "linux/arm64/v10"}
	var parsed []v1.Platform
	for _, c := range candidates {
		p, err := ParsePlatform(c)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, p)
	}
	for want, best := range map[string]string{
		"linux/arm64":      "linux/arm64",
		"linux/arm64/v8.1": "linux/arm64",
		"linux/arm64/v8.5": "linux/arm64/v8.2",
		"linux/arm64/v9":   "linux/arm64/v9",
		"linux/arm64/v9.5": "linux/arm64/v9.2",
	} {
		p, _ := ParsePlatform(want)
		if i := Match(p, parsed); i < 0 || candidates[i] != best {
			t.Errorf("%s: got %d, want %s", want, i, best)
		}
	}
}

func TestParsePlatform(t *testing.T) {
	for in, want := range map[string]string{
		"linux/amd64":     "linux/amd64",
		"linux/x86_64":    "linux/amd64",
		"linux/amd64/v1":  "linux/amd64",
		"Linux/ARM64/v8":  "linux/arm64",
		"linux/arm":       "linux/arm/v7",
		"linux/arm/v6":    "linux/arm/v6",
		"windows/amd64":   "windows/amd64",
		"unknown/unknown": "unknown/unknown",
	} {
		p, err := ParsePlatform(in)
		if err != nil || FormatPlatform(p) != want {
			t.Errorf("ParsePlatform(%q) = %v, %v; want %s", in, p, err, want)
		}
	}
	for _, in := range []string{"", "/", "linux", "arm64", "linux/", "/amd64", "linux/arm/", "linux/arm/v7/x", "linux/*", "lin ux/amd64", "linux/amd64,linux/arm64"} {
		if p, err := ParsePlatform(in); err == nil {
			t.Errorf("ParsePlatform(%q) = %v, want an error", in, p)
		}
	}
}

func TestDefaultPlatform(t *testing.T) {
	p := DefaultPlatform()
	if p.OS != "linux" || p.Architecture != runtime.GOARCH {
		t.Errorf("DefaultPlatform() = %v on %s", p, runtime.GOARCH)
	}
}

func FuzzParsePlatform(f *testing.F) {
	for _, s := range []string{"linux/amd64", "linux/arm/v7", "linux/arm64/v8", "windows/amd64/v3", "x/i386/9", "linux/", "//"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePlatform(s)
		if err != nil {
			return
		}
		again, err := ParsePlatform(FormatPlatform(p))
		if err != nil || FormatPlatform(again) != FormatPlatform(p) {
			t.Errorf("%q: %v is read back as %v, %v", s, p, again, err)
		}
		if Match(p, []v1.Platform{p}) != 0 {
			t.Errorf("%q: %v does not match itself", s, p)
		}
	})
}
