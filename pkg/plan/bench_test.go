// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"context"
	"fmt"
	"testing"

	. "github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/plan"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
	"github.com/seed-81b0d42e/flatten/pkg/whiteout"
)

// hundredThousand is two layers of 100,000 entries together: folders of a hundred
// files and links, some of which the second layer removes or replaces.
func hundredThousand(b *testing.B) []*toc.Layer {
	b.Helper()
	const n = 100_000
	var lower, upper []Entry
	for i := 0; len(lower)+len(upper) < n; i++ {
		dir := fmt.Sprintf("usr/lib/python3/dist-packages/package%04d", i/98)
		name := fmt.Sprintf("%s/module_%05d.py", dir, i)
		if i%98 == 0 {
			lower = append(lower, Dir(dir))
		}
		switch i % 50 {
		case 7:
			lower = append(lower, Symlink(name, "module.py"))
		case 8:
			lower = append(lower, File(name, ""), Link(name+"c", name))
		case 9:
			lower, upper = append(lower, File(name, "1")), append(upper, Whiteout(name))
		case 10:
			lower, upper = append(lower, File(name, "1")), append(upper, File(name, "2"))
		default:
			lower = append(lower, File(name, "1"))
		}
	}
	img := Image(Layer(lower...), Layer(upper...))
	var tables []*toc.Layer
	for i := range img.Layers {
		blob, err := img.Layers[i].Open(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		l, err := toc.Scan(context.Background(), blob, toc.Options{Size: -1})
		if err != nil {
			b.Fatal(err)
		}
		tables = append(tables, l)
	}
	return tables
}

func entriesPerSecond(b *testing.B, tables []*toc.Layer) {
	n := 0
	for _, l := range tables {
		n += len(l.Entries)
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

// BenchmarkMerge and BenchmarkOf are what is done to every entry once the layers
// are known:
//
//	go test -run - -bench 'Merge|Of' ./pkg/plan
func BenchmarkMerge(b *testing.B) {
	tables := hundredThousand(b)
	for b.Loop() {
		if _, err := whiteout.Merge(tables, whiteout.Options{}); err != nil {
			b.Fatal(err)
		}
	}
	entriesPerSecond(b, tables)
}

func BenchmarkOf(b *testing.B) {
	tables := hundredThousand(b)
	v, err := whiteout.Merge(tables, whiteout.Options{})
	if err != nil {
		b.Fatal(err)
	}
	for _, canonical := range []bool{false, true} {
		name := "default"
		if canonical {
			name = "canonical"
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				plan.Of(v, plan.Options{Canonical: canonical})
			}
			entriesPerSecond(b, tables)
		})
	}
}
