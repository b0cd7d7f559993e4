// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package splice_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	kgzip "github.com/klauspost/compress/gzip"

	. "github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/inflate"
	"github.com/seed-81b0d42e/flatten/pkg/plan"
	"github.com/seed-81b0d42e/flatten/pkg/splice"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
	"github.com/seed-81b0d42e/flatten/pkg/whiteout"
)

const (
	stored  = inflate.Stored
	fixed   = inflate.Fixed
	dynamic = inflate.Dynamic
)

// preamble is two zero blocks: a tar stream that begins with them is an empty
// archive, whatever follows (rule 131), so that a plan can copy any bytes.
const preamble = 1024

// zeros are the words for the preamble.
func (d *deflater) preamble() {
	d.compressed(fixed, words{1, 0}, words{255, 1}, words{256, 1}, words{256, 1}, words{256, 1})
}

// after is a tar stream of the preamble and body.
func after(body string) []byte { return append(make([]byte, preamble), body...) }

// scanned is layers that are not merged: plans for them are made by hand.
func scanned(t testing.TB, layers ...Blob) stack {
	t.Helper()
	s := stack{view: new(whiteout.View)}
	img := Image(layers...)
	for i := range img.Layers {
		l := &img.Layers[i]
		blob, err := l.Open(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		table, err := toc.Scan(context.Background(), blob, toc.Options{Size: -1, DiffID: l.DiffID})
		if err != nil {
			t.Fatal(err)
		}
		s.view.Layers, s.blobs = append(s.view.Layers, table), append(s.blobs, blob)
	}
	return s
}

// cut is a plan of the extents.
func cut(extents ...plan.Extent) *plan.Plan {
	p := &plan.Plan{Extents: extents}
	for _, e := range extents {
		p.Size += e.Length
	}
	return p
}

// from copies the bytes from offset a up to b of a layer.
func from(layer int32, a, b int) plan.Extent {
	return plan.Extent{Kind: plan.Copy, Layer: layer, Offset: int64(a), Length: int64(b - a)}
}

func zeros(n int) plan.Extent { return plan.Extent{Kind: plan.Zero, Length: int64(n)} }

// judges are programs that read gzip. Each gets all outputs of a test at once.
type judges struct {
	dir   string
	files []string
	tars  map[string][]byte
}

func newJudges(t *testing.T) *judges {
	j := &judges{dir: t.TempDir(), tars: map[string][]byte{}}
	t.Cleanup(func() { j.judge(t) })
	return j
}

// check splices a plan and compares the output as [check] does, and keeps it for
// the judges.
func (j *judges) check(t *testing.T, s stack, p *plan.Plan) splice.Stats {
	t.Helper()
	stats := check(t, s, p)
	var out, tar bytes.Buffer
	if _, err := splice.Gzip(context.Background(), &out, p, s.layers(), splice.Options{Jobs: 1}); err != nil {
		t.Fatal(err)
	}
	if err := splice.Tar(context.Background(), &tar, p, s.layers()); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(j.dir, fmt.Sprintf("%04d.gz", len(j.files)))
	if err := os.WriteFile(name, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	j.files, j.tars[name[:len(name)-3]] = append(j.files, name), tar.Bytes()
	return stats
}

// python writes what Python reads of each file beside it.
const python = `
import gzip, sys
for name in sys.argv[1:]:
    with gzip.open(name) as f, open(name[:-3], "wb") as out:
        out.write(f.read())
`

func (j *judges) judge(t *testing.T) {
	for _, judge := range [][]string{
		{"gzip", "-t"}, {"pigz", "-t"}, {"libdeflate-gunzip", "-t"},
		{"python3", "-c", python}, {"gzip", "-dkf"}, {"libdeflate-gunzip", "-kf"},
	} {
		path, err := exec.LookPath(judge[0])
		if err != nil {
			t.Logf("%s is not installed", judge[0])
			continue
		}
		for files := range slices.Chunk(j.files, 100) {
			if out, err := exec.Command(path, slices.Concat(judge[1:], files)...).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", judge[0], err, out)
			}
		}
		if judge[1] == "-t" {
			continue
		}
		for name, want := range j.tars {
			if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %s: other bytes, or %v", judge[0], filepath.Base(name), err)
			}
			os.Remove(name)
		}
	}
}

// Blocks are copied from every bit of a byte to every bit of a byte.
func TestPhases(t *testing.T) {
	for _, kind := range []inflate.Type{fixed, dynamic} {
		t.Run(kind.String(), func(t *testing.T) {
			// A literal ff has one bit more than an 'a', in either code.
			const n, size = 16, 4096
			body := ""
			for i := range n {
				body += noise7(uint64(i), size-n) + string(bytes.Repeat([]byte{0xff}, i)) + string(bytes.Repeat([]byte("a"), n-i))
			}
			d := newDeflater(after(body))
			d.preamble()
			var phase, length [n]uint
			for i := range n {
				phase[i] = d.phase()
				begin := uint(len(d.out))*8 + d.n
				if i == n-1 {
					d.last()
				}
				d.write(kind, size)
				length[i] = uint(len(d.out))*8 + d.n - begin
			}
			s := scanned(t, Plain(d.tar).As(d.finish()))
			j := newJudges(t)
			seen := map[[2]uint]bool{}
			for a := range n {
				for b := range n {
					p := cut(from(0, preamble+a*size, preamble+(a+1)*size), from(0, preamble+b*size, preamble+(b+1)*size))
					to := length[a] % 8
					if seen[[2]uint{phase[b], to}] {
						continue
					}
					seen[[2]uint{phase[b], to}] = true
					if stats := j.check(t, s, p); stats.Encoded > 0 {
						t.Errorf("%d bytes encoded", stats.Encoded)
					}
				}
			}
			for a := range uint(8) {
				for b := range uint(8) {
					if !seen[[2]uint{a, b}] {
						t.Errorf("no block was copied from bit %d to bit %d", a, b)
					}
				}
			}
		})
	}
}

// noise7 is n bytes below 128.
func noise7(seed uint64, n int) string {
	r := rand.New(rand.NewPCG(seed, 7))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32() & 127)
	}
	return string(b)
}

// Every kind of block stands on each side of a cut, the cut being before, in and
// behind either.
func TestBothSides(t *testing.T) {
	const size = 6000
	kinds := []struct {
		name  string
		write func(d *deflater)
	}{
		{"stored", func(d *deflater) { d.stored(size) }},
		{"fixed", func(d *deflater) { d.compressed(fixed, words{5000, 0}, words{258, 3000}, words{742, 0}) }},
		{"dynamic", func(d *deflater) { d.compressed(dynamic, words{258, 3000}, words{5742, 0}) }},
		{"empty-stored", func(d *deflater) { d.stored(0); d.stored(size) }},
		{"empty-fixed", func(d *deflater) { d.compressed(fixed); d.compressed(fixed, words{size, 0}) }},
		{"empty-dynamic", func(d *deflater) { d.compressed(dynamic); d.write(dynamic, size) }},
		{"sync-flush", func(d *deflater) { d.write(fixed, size); d.stored(0) }},
		{"final", func(d *deflater) { d.last().compressed(dynamic, words{258, 3000}, words{5742, 0}); d.member() }},
		{"final-empty", func(d *deflater) { d.write(fixed, size); d.last().compressed(fixed); d.member() }},
		{"final-stored", func(d *deflater) { d.last().stored(size); d.member() }},
		{"empty-member", func(d *deflater) { d.last().stored(size); d.member(); d.last().stored(0); d.member(); d.stored(0) }},
	}
	// A period of 3000 bytes, so that matches can be had.
	period := noise7(1, 2990) + "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
	body := period + period + period + period + period + period + period
	j := newJudges(t)
	for _, a := range kinds {
		for _, b := range kinds {
			d := newDeflater(after(body))
			d.preamble()
			d.write(dynamic, 3000)
			a.write(d)
			if d.low == d.at { // the second has something to refer to
				d.write(fixed, 3000)
			}
			middle := d.at
			b.write(d)
			end := d.at
			if d.low == d.at {
				d.write(fixed, 3000)
			}
			d.last().stored(len(d.tar) - d.at)
			s := scanned(t, Plain(d.tar).As(d.finish()))
			for _, at := range []int{-1, 0, 250} {
				at := middle + at
				p := cut(from(0, preamble, at), zeros(9), from(0, at, end), from(0, preamble, at-1), from(0, at+700, end))
				if at == middle {
					j.check(t, s, p)
				} else {
					check(t, s, p)
				}
			}
		}
	}
}

// The same through the whole of it: entries of a tar, a whiteout, a merge.
func TestWholeWay(t *testing.T) {
	j := newJudges(t)
	base := Layer(File("a", noise7(2, 9000)), File("b", noise7(3, 3000)), File("c", noise7(4, 14_000)))
	for _, kinds := range [][]inflate.Type{{stored}, {fixed}, {dynamic}, {fixed, dynamic, stored}} {
		for _, size := range []int{1, 700, 5000, 65_535} {
			for _, every := range []int{0, 3} {
				if size == 1 && every > 0 {
					continue
				}
				d := newDeflater(base.Tar)
				for i := 0; d.at < len(d.tar); i++ {
					n := min(size, len(d.tar)-d.at)
					if every > 0 && i%every == every-1 {
						d.stored(0)
					}
					if i%5 == 4 || d.at+n == len(d.tar) {
						d.last()
					}
					d.write(kinds[i%len(kinds)], n)
					if d.final && d.at < len(d.tar) {
						d.member()
					}
				}
				s := load(t, base.As(d.finish()), Layer(Whiteout("b"), File("d", "1")))
				p := plan.Of(s.view, plan.Options{})
				if size == 1 {
					check(t, s, p)
				} else {
					j.check(t, s, p)
				}
			}
		}
	}
}

// A match that reaches to the first byte of an extent is copied with its block;
// one that reaches to the byte before is not.
func TestReach(t *testing.T) {
	const size, most = 5000, 32768
	period := noise7(5, size)
	body := ""
	for len(body) < 2*most+2*size {
		body += period
	}
	j := newJudges(t)
	for _, kind := range []inflate.Type{fixed, dynamic} {
		for _, distance := range []int{size, 2 * size, 6 * size, most} {
			tar := after(body)
			begin := preamble + most + 100
			if distance == most { // the furthest match that there is
				copy(tar[begin:begin+258], tar[begin-most:])
			}
			d := newDeflater(tar)
			d.preamble()
			d.write(kind, begin-preamble)
			d.compressed(kind, words{258, distance}, words{size - 258, 0})
			d.last().write(dynamic, len(tar)-d.at)
			s := scanned(t, Plain(tar).As(d.finish()))
			if b := s.view.Layers[0].Blocks[2]; int(b.Reach) != distance || b.Offset != int64(begin) {
				t.Fatalf("a match of distance %d at %d is in %+v", distance, begin, b)
			}
			// To the first byte, to the one before, and some further.
			for before, whole := range map[int]bool{distance: true, distance + 1: true, distance - 1: false, distance - 257: false, 1: false, 0: false} {
				p := cut(zeros(3), from(0, begin-before, begin+size), zeros(5))
				j.check(t, s, p)
				copied := slices.ContainsFunc(pieces(t, s, p), func(p splice.Piece) bool {
					return !p.Encoded() && p.Part == nil && p.First <= 2 && 2 < p.Last
				})
				if copied != whole {
					t.Errorf("distance %d, %d bytes before: copied whole: %v, want %v", distance, before, copied, whole)
				}
			}
		}
	}
}

// Parts begin and end at code words, the end of the block's among them.
func TestParts(t *testing.T) {
	const size = 20_000
	period := noise7(6, 1000)
	body := ""
	for range 2*size/1000 + 1 {
		body += period
	}
	j := newJudges(t)
	for _, kind := range []inflate.Type{stored, fixed, dynamic} {
		tar := after(body)
		d := newDeflater(tar)
		d.preamble()
		list := []words{{1000, 0}}
		for range (size - 1000) / 100 {
			list = append(list, words{97, 1000}, words{3, 0})
		}
		if kind == stored {
			d.stored(size)
		} else {
			d.compressed(kind, list...)
		}
		end := d.at
		d.last().write(dynamic, len(tar)-d.at)
		s := scanned(t, Plain(tar).As(d.finish()))
		for _, c := range []struct {
			from, to int
			copied   int64 // of a block that is not stored
		}{
			{preamble, end, size},                     // all of it
			{preamble, end - 1, size - 1},             // a literal less
			{preamble, end - 4, size - 100},           // a match less
			{preamble, end - 3, size - 3},             // ends with a match
			{preamble + 1, end, size - 1097},          // from behind the match that refers to what is cut off
			{preamble + 1000, end, size - 1997},       // in a block of matches: from where they refer to what is there
			{preamble + 1000, end - 100, size - 2097}, // both
			{preamble + 2000, preamble + 7096, 0},     // all but too little
			{preamble + 2000, preamble + 6095, 0},     // too little
			{preamble + 1001, end + 5, size - 2097},   // the rest of the next block is too small
		} {
			stats := j.check(t, s, cut(from(0, c.from, c.to), zeros(1)))
			want := c.copied
			if kind == stored {
				want = int64(min(c.to, end) - c.from)
				if want < 4096 {
					want = 0
				}
			}
			if stats.Copied != want {
				t.Errorf("%v block, %d..%d: %d bytes copied, want %d", kind, c.from, c.to, stats.Copied, want)
			}
		}
		// Behind one another, without a seam.
		j.check(t, s, cut(from(0, preamble, end-7), from(0, preamble+5, end), from(0, preamble, end), from(0, preamble, end-50)))
	}
}

// Blocks of about 1 MiB of output, and one that is longer than what is read of a
// blob at once. It has too many code words to be cut: where an extent begins or
// ends in it, it is encoded.
func TestLongBlocks(t *testing.T) {
	j := newJudges(t)
	const size = 1 << 20
	body := string(bytes.Repeat([]byte("a"), size)) + noise7(8, 2*size) + string(bytes.Repeat([]byte("b"), size))
	run := []words{{size % 255, 0}}
	for range size / 255 {
		run = append(run, words{255, 1})
	}
	for _, kind := range []inflate.Type{fixed, dynamic} {
		tar := after(body)
		d := newDeflater(tar)
		d.preamble()
		d.compressed(kind, run...)
		d.write(kind, 2*size)
		d.last().compressed(kind, run...)
		s := scanned(t, Plain(tar).As(d.finish()))
		for _, c := range []struct {
			plan *plan.Plan
			long int64 // bytes of the long block that are encoded
		}{
			{cut(from(0, preamble, len(tar)), zeros(1024)), 0},
			{cut(from(0, preamble+size, preamble+3*size), from(0, preamble+3*size, len(tar)), from(0, preamble, preamble+size)), 0},
			{cut(from(0, preamble+77, preamble+2*size+1), zeros(7), from(0, preamble+2*size, len(tar)-1)), 2*size + 1},
		} {
			stats := j.check(t, s, c.plan)
			if stats.Encoded < c.long || stats.Encoded > c.long+3000 {
				t.Errorf("%v: %d bytes encoded of %d, want %d", kind, stats.Encoded, c.plan.Size, c.long)
			}
		}
	}
}

// byHand compresses at random: blocks of every kind and length, literals where
// there are matches, short matches, far matches, members.
func byHand(r *rand.Rand, tar []byte) []byte {
	d := newDeflater(tar)
	last := map[[3]byte][]int{}
	known := 0
	for {
		n := min(r.IntN(1<<r.IntN(18)), len(tar)-d.at)
		kind := inflate.Type(r.IntN(3))
		if kind == stored {
			n = min(n, 65535)
		}
		end := d.at+n == len(tar) && r.IntN(4) == 0
		again := !end && r.IntN(20) == 0
		if d.final = end || again; kind == stored {
			d.stored(n)
		} else {
			for ; known+3 <= d.at; known++ {
				key := [3]byte(tar[known:])
				last[key] = append(last[key], known)
			}
			d.compressed(kind, factors(r, d, last, n)...)
		}
		if end {
			return d.finish()
		}
		if again {
			d.member()
		}
	}
}

// factors divides the next n bytes into literals and matches. last are places by
// the three bytes there.
func factors(r *rand.Rand, d *deflater, last map[[3]byte][]int, n int) []words {
	var list []words
	few := r.IntN(4) + 1
	for at, end := d.at, d.at+n; at < end; {
		w := words{1, 0}
		if end-at >= 3 && r.IntN(few) == 0 {
			if places := last[[3]byte(d.tar[at:])]; len(places) > 0 {
				from := places[r.IntN(len(places))]
				length := 0
				for length < min(258, end-at) && d.tar[from+length] == d.tar[at+length] {
					length++
				}
				if at-from <= 32768 && from >= d.low {
					w = words{length - r.IntN(length-2), at - from}
				}
			}
		}
		list = append(list, w)
		at += w.n
	}
	return list
}

// programs are other compressors, each with a random level and random flushes.
var programs = []func(r *rand.Rand, b []byte) []byte{
	byHand, byHand, byHand, byHand,
	func(r *rand.Rand, b []byte) []byte { return deflated(b, r.IntN(12)-2, nil) },
	func(r *rand.Rand, b []byte) []byte { return deflated(b, r.IntN(12)-2, r) },
	func(r *rand.Rand, b []byte) []byte { return compressors["members"](r, b) },
	func(r *rand.Rand, b []byte) []byte {
		var out bytes.Buffer
		z, err := kgzip.NewWriterLevel(&out, r.IntN(13)-3)
		if err != nil {
			panic(err)
		}
		for len(b) > 0 {
			n := 1 + r.IntN(len(b))
			z.Write(b[:n])
			if r.IntN(3) == 0 {
				z.Flush()
			}
			b = b[n:]
		}
		z.Close()
		return out.Bytes()
	},
}

// randomBody is bytes of several kinds, 300 KB at most.
func randomBody(r *rand.Rand) string {
	var b []byte
	for range 1 + r.IntN(6) {
		n := 1 << r.IntN(17)
		n += r.IntN(n)
		switch r.IntN(5) {
		case 0:
			b = append(b, noise(r, min(n, 1<<16))...)
		case 1:
			b = append(b, bytes.Repeat([]byte{byte(r.Uint32())}, n)...)
		case 2:
			b = append(b, bytes.Repeat([]byte(noise(r, 1+r.IntN(5000))), 1+r.IntN(20))...)
		default:
			b = append(b, text(r, n)...)
		}
		if len(b) > 300_000 {
			b = b[:300_000]
		}
	}
	return string(b)
}

// randomCuts is a plan of random runs of the layers: in ascending order and not,
// touching, overlapping and apart, some at the blocks' own borders.
func randomCuts(r *rand.Rand, layers []*toc.Layer) *plan.Plan {
	var list []plan.Extent
	for range 1 + r.IntN(12) {
		if r.IntN(4) == 0 {
			list = append(list, zeros(1+r.IntN(2000)))
			continue
		}
		n := r.IntN(len(layers))
		l := layers[n]
		place := func() int {
			b := l.Blocks[r.IntN(len(l.Blocks))]
			switch r.IntN(4) {
			case 0:
				return int(b.Offset)
			case 1:
				return int(max(b.Offset-int64(b.Reach), 0))
			case 2:
				return max(0, int(b.Offset+b.Length)-r.IntN(4))
			}
			return r.IntN(int(l.Size))
		}
		a, b := place(), place()
		if a > b {
			a, b = b, a
		}
		if a < b {
			list = append(list, from(int32(n), a, b))
		}
	}
	return cut(append(list, zeros(1024))...)
}

// spliceRandom checks one random plan of random layers, and that the bytes do
// not depend on the number of jobs.
func spliceRandom(t testing.TB, r *rand.Rand) splice.Stats {
	var layers []Blob
	for range 1 + r.IntN(3) {
		l := Plain(after(randomBody(r)))
		layers = append(layers, l.As(programs[r.IntN(len(programs))](r, l.Tar)))
	}
	s := scanned(t, layers...)
	p := randomCuts(r, s.view.Layers)
	stats := check(t, s, p)
	var one, three bytes.Buffer
	for out, jobs := range map[*bytes.Buffer]int{&one: 1, &three: 3} {
		if _, err := splice.Gzip(context.Background(), out, p, s.layers(), splice.Options{Jobs: jobs}); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(one.Bytes(), three.Bytes()) {
		t.Error("one job and three jobs write other bytes")
	}
	return stats
}

// FuzzSeams cuts random layers at random places. What comes out is one member
// that holds what decoding and cutting gives.
//
//	go test ./pkg/splice -run - -fuzz FuzzSeams -fuzztime 10m
func FuzzSeams(f *testing.F) {
	for seed := range uint64(12) {
		f.Add(seed, uint64(2))
	}
	f.Fuzz(func(t *testing.T, a, b uint64) {
		spliceRandom(t, rand.New(rand.NewPCG(a, b)))
	})
}

// What FuzzSeams does is a test of copying, and other programs agree with it.
func TestRandomCuts(t *testing.T) {
	var copied, encoded int64
	j := newJudges(t)
	for seed := range uint64(24) {
		r := rand.New(rand.NewPCG(seed, 3))
		stats := spliceRandom(t, r)
		copied, encoded = copied+stats.Copied, encoded+stats.Encoded
		if seed%3 == 0 {
			l := Plain(after(randomBody(r)))
			s := scanned(t, l.As(byHand(r, l.Tar)))
			j.check(t, s, randomCuts(r, s.view.Layers))
		}
	}
	if copied < encoded/2 {
		t.Errorf("%d bytes copied and %d encoded: the test tests little", copied, encoded)
	}
}
