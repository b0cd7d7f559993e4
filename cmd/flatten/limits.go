// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

const groupLimits = "Limits"

// limit is a flag that sets one of image.Limits.
type limit struct {
	flag, field, usage string
	get                func(*image.Limits) *int64
}

// documentLimits are those of what is read before a layer, layerLimits the rest.
var (
	documentLimits = []limit{
		{"max-manifest-size", "ManifestBytes", "of a manifest or an index at most `SIZE`: bytes, or with K, M, G, T",
			func(l *image.Limits) *int64 { return &l.ManifestBytes }},
		{"max-config-size", "ConfigBytes", "of a configuration at most `SIZE`",
			func(l *image.Limits) *int64 { return &l.ConfigBytes }},
		{"max-index-depth", "IndexDepth", "at most `N` indexes within each other",
			func(l *image.Limits) *int64 { return &l.IndexDepth }},
	}
	layerLimits = []limit{
		{"max-entries", "Entries", "at most `N` entries in all layers together",
			func(l *image.Limits) *int64 { return &l.Entries }},
		{"max-path", "PathBytes", "of a path at most `SIZE`",
			func(l *image.Limits) *int64 { return &l.PathBytes }},
		{"max-size", "Size", "of all layers together, decompressed, at most `SIZE`",
			func(l *image.Limits) *int64 { return &l.Size }},
		{"max-ratio", "Ratio", "layers over 1 GiB together may be `N` times as large as they are compressed",
			func(l *image.Limits) *int64 { return &l.Ratio }},
		{"max-headers", "HeaderBytes", "for long names, records and sparse maps at most `SIZE` of memory",
			func(l *image.Limits) *int64 { return &l.HeaderBytes }},
	}
)

// limitFlags are the flags of some limits, which show their defaults.
func limitFlags(limits []limit) []cli.Flag {
	defaults := image.Limits{}.WithDefaults()
	var flags []cli.Flag
	for _, l := range limits {
		flags = append(flags, &cli.StringFlag{Name: l.flag, Category: groupLimits, Usage: l.usage,
			DefaultText: formatLimit(*l.get(&defaults))})
	}
	return flags
}

// limitsOf are the limits that the flags set.
func limitsOf(c *cli.Context) (image.Limits, error) {
	var limits image.Limits
	for _, l := range append(documentLimits[:len(documentLimits):len(documentLimits)], layerLimits...) {
		text := c.String(l.flag)
		if text == "" {
			continue
		}
		n, ok := parseLimit(text)
		if !ok {
			return limits, usagef("--%s %q: it is a number from 1, or one with K, M, G or T", l.flag, text)
		}
		*l.get(&limits) = n
	}
	return limits, nil
}

// limitHint says which flag raises a limit.
func limitHint(e *image.LimitError) string {
	for _, l := range append(documentLimits[:len(documentLimits):len(documentLimits)], layerLimits...) {
		if l.field == e.Limit {
			return fmt.Sprintf("if the image is to be trusted, --%s raises the limit", l.flag)
		}
	}
	return ""
}

const suffixes = "KMGT"

// parseLimit reads a number that may end with a power of 1024.
func parseLimit(text string) (n int64, ok bool) {
	shift := 0
	if last := len(text) - 1; last > 0 {
		if i := strings.IndexByte(suffixes, text[last]); i >= 0 {
			text, shift = text[:last], 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n << shift, err == nil && n > 0 && n <= math.MaxInt64>>shift
}

// formatLimit is the inverse of parseLimit.
func formatLimit(n int64) string {
	unit := ""
	for i := 0; i < len(suffixes) && n%1024 == 0; i++ {
		n, unit = n/1024, suffixes[i:i+1]
	}
	return fmt.Sprintf("%d%s", n, unit)
}
