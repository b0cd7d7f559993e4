// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package inflate_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	kflate "github.com/klauspost/compress/flate"
	kgzip "github.com/klauspost/compress/gzip"

	"github.com/seed-81b0d42e/flatten/pkg/inflate"
)

// kind is a way to make a gzip stream.
type kind struct {
	name string
	make func(t testing.TB, data []byte) []byte
}

// kinds are the encoders that layers come from, and some that are hard on a
// decoder. What is all stored is copied by any decoder as fast as memory goes.
var kinds = []kind{
	{"gzip-1", program("gzip", "-1")},
	{"gzip-6", program("gzip", "-6")},
	{"gzip-9", program("gzip", "-9")},
	{"pigz-6", program("pigz", "-6")},
	{"go-1", writer(func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, 1) })},
	{"go-6", writer(func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, 6) })},
	{"go-9", writer(func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, 9) })},
	{"klauspost-1", writer(func(w io.Writer) (io.WriteCloser, error) { return kgzip.NewWriterLevel(w, 1) })},
	{"klauspost-6", writer(func(w io.Writer) (io.WriteCloser, error) { return kgzip.NewWriterLevel(w, 6) })},
	{"pgzip", parallel(1<<20, 5)},
	{"huffman", writer(func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, gzip.HuffmanOnly) })},
	{"blocks-8k", flushed(8<<10, 9)},
	{"half-stored", parallel(64<<10, 6, 0)},
	{"stored", writer(func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, 0) })},
	{"members-64k", members(64 << 10)},
}

// program runs a program when it is installed.
func program(name string, args ...string) func(testing.TB, []byte) []byte {
	return func(t testing.TB, data []byte) []byte {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Skipf("%s is not installed", name)
		}
		cmd := exec.Command(path, append(args, "-n", "-c")...)
		cmd.Stdin = bytes.NewReader(data)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

func writer(open func(io.Writer) (io.WriteCloser, error)) func(testing.TB, []byte) []byte {
	return func(t testing.TB, data []byte) []byte {
		var buf bytes.Buffer
		w, err := open(&buf)
		if err != nil {
			t.Fatal(err)
		}
		write(t, w, data)
		return buf.Bytes()
	}
}

func write(t testing.TB, w io.WriteCloser, data []byte) {
	t.Helper()
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// flushed ends a block every n bytes, so that there are many short ones each
// followed by an empty stored one, as zopfli's and Z_SYNC_FLUSH writers' are.
func flushed(n, level int) func(testing.TB, []byte) []byte {
	return func(t testing.TB, data []byte) []byte {
		var buf bytes.Buffer
		w, err := kgzip.NewWriterLevel(&buf, level)
		if err != nil {
			t.Fatal(err)
		}
		for len(data) > n {
			w.Write(data[:n])
			w.Flush()
			data = data[n:]
		}
		write(t, w, data)
		return buf.Bytes()
	}
}

// members makes a member of every n bytes.
func members(n int) func(testing.TB, []byte) []byte {
	return func(t testing.TB, data []byte) []byte {
		var buf bytes.Buffer
		w := gzip.NewWriter(&buf)
		for {
			k := min(n, len(data))
			w.Reset(&buf)
			write(t, w, data[:k])
			if data = data[k:]; len(data) == 0 {
				return buf.Bytes()
			}
		}
	}
}

// parallel compresses every n bytes by themselves, but for the 32 KiB before
// them as a dictionary, as pgzip and buildah do, with each level in turn.
func parallel(n int, levels ...int) func(testing.TB, []byte) []byte {
	return func(t testing.TB, data []byte) []byte {
		buf := bytes.NewBuffer([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255})
		for from := 0; ; from += n {
			w, err := kflate.NewWriterDict(buf, levels[from/n%len(levels)], data[max(0, from-32<<10):from])
			if err != nil {
				t.Fatal(err)
			}
			if from+n >= len(data) {
				write(t, w, data[from:])
				break
			}
			w.Write(data[from : from+n])
			w.Flush()
		}
		tail := binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(data))
		tail = binary.LittleEndian.AppendUint32(tail, uint32(len(data)))
		return append(buf.Bytes(), tail...)
	}
}

// corpora are what real layers hold: programs, text, and both in turn.
var corpora = []struct {
	name string
	data func() []byte
}{
	{"lib", sync.OnceValue(func() []byte { return tarOf(24<<20, "/usr/lib", "/usr/bin", goroot("pkg"), goroot("bin")) })},
	{"text", sync.OnceValue(func() []byte { return tarOf(16<<20, "/usr/share", goroot("src")) })},
	{"go", sync.OnceValue(func() []byte { return tarOf(16<<20, goroot("src"), goroot("pkg")) })},
}

// packed are endings of files that do not compress, as Debian's changelogs do
// not, and are few in a layer.
var packed = []string{".gz", ".xz", ".zst", ".png", ".jpg", ".zip", ".woff2"}

func goroot(dir string) string {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return dir
	}
	return filepath.Join(string(bytes.TrimSpace(out)), dir)
}

// tarOf returns a tar of about n bytes of the files below dirs.
func tarOf(n int, dirs ...string) []byte {
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	for _, dir := range dirs {
		filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || slices.Contains(packed, filepath.Ext(path)) {
				return nil
			}
			if buf.Len() >= n {
				return fs.SkipAll
			}
			data, err := os.ReadFile(path)
			if err != nil || len(data) > n/4 {
				return nil
			}
			tw.WriteHeader(&tar.Header{Name: path[1:], Mode: 0o644, Size: int64(len(data))})
			tw.Write(data)
			return nil
		})
	}
	tw.Close()
	return buf.Bytes()
}

// decoders are what is compared, the one to beat others first.
var decoders = []struct {
	name string
	open func() func(io.Reader) (io.Reader, error)
}{
	{"inflate", func() func(io.Reader) (io.Reader, error) {
		r := new(inflate.Reader)
		return func(src io.Reader) (io.Reader, error) {
			r.Reset(src, inflate.Options{})
			return r, nil
		}
	}},
	{"std", func() func(io.Reader) (io.Reader, error) {
		r := new(gzip.Reader)
		return func(src io.Reader) (io.Reader, error) { return r, r.Reset(src) }
	}},
	{"klauspost", func() func(io.Reader) (io.Reader, error) {
		r := new(kgzip.Reader)
		return func(src io.Reader) (io.Reader, error) { return r, r.Reset(src) }
	}},
}

// BenchmarkDecode decodes each stream with each decoder in turn, with the
// block map, the blocks' CRCs and their reach on for this package's. It reports
// the median rate of this package's (MB/s) and how many times the median rate
// of the others that is (x-std, x-klauspost). Times are CPU times of the thread
// where the system has those, so that a busy machine does not blur the ratios.
func BenchmarkDecode(b *testing.B) {
	for _, corpus := range corpora {
		for _, kind := range kinds {
			b.Run(corpus.name+"/"+kind.name, func(b *testing.B) {
				data := corpus.data()
				compare(b, kind.make(b, data), int64(len(data)))
			})
		}
	}
}

func compare(b *testing.B, stream []byte, size int64) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	times := make([][]time.Duration, len(decoders))
	open := make([]func(io.Reader) (io.Reader, error), len(decoders))
	for i, d := range decoders {
		open[i] = d.open()
	}
	// The clock may tick in milliseconds: time a few dozen of them.
	turns := 1
	decode := func(i int) time.Duration {
		begin := cpuTime()
		for range turns {
			r, err := open[i](bytes.NewReader(stream))
			if err != nil {
				b.Fatal(decoders[i].name, err)
			}
			n, err := io.Copy(io.Discard, r)
			if err != nil || n != size {
				b.Fatalf("%s: %d bytes, %v; want %d", decoders[i].name, n, err, size)
			}
		}
		return cpuTime() - begin
	}
	for decode(0) < 40*time.Millisecond {
		turns *= 2
	}
	for b.Loop() {
		for i := range decoders {
			times[i] = append(times[i], decode(i))
		}
	}
	median := func(i int) float64 {
		slices.Sort(times[i])
		return times[i][len(times[i])/2].Seconds() / float64(turns)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(size)/1e6/median(0), "MB/s")
	for i, d := range decoders[1:] {
		b.ReportMetric(median(i+1)/median(0), "x-"+d.name)
	}
}
