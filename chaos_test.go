// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package flatten_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/internal/regtest"
	"github.com/seed-81b0d42e/flatten/internal/tartest"
	"github.com/seed-81b0d42e/flatten/pkg/registry"
)

var chaosSeed = flag.Uint64("chaos", 0, "repeat the pull through random faults with this seed alone")

// chaosLayers are layers of which each has some hundred KiB that do not compress.
func chaosLayers(n int) []tartest.Blob {
	random := rand.NewChaCha8([32]byte{1})
	layers := make([]tartest.Blob, n)
	for i := range layers {
		body := make([]byte, 600_000)
		_, _ = io.ReadFull(random, body)
		layers[i] = tartest.Layer(tartest.File("shared", fmt.Sprint(i)), tartest.File(fmt.Sprintf("file%d", i), string(body))).Gzip()
	}
	return layers
}

// flattenChaos flattens an image and stores it, too, and flattens that.
func flattenChaos(t *testing.T, ref string, o registry.Options) digest.Digest {
	t.Helper()
	o.TmpDir = t.TempDir()
	img, err := registry.Open(t.Context(), ref, o)
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	result, err := flatten.Flatten(t.Context(), img, flatten.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return result.Digest
}

// A pull through 100 random faults ends with the same bytes as one without any,
// flattened or stored, and what was received is not fetched again.
func TestChaos(t *testing.T) {
	layers := chaosLayers(5)
	quiet := regtest.New(t, regtest.Config{})
	want := flattenChaos(t, quiet.Push(t, "app:1", regtest.Image(t, layers...)), registry.Options{})
	seeds := []uint64{1, 2, 3, 4}
	if *chaosSeed != 0 {
		seeds = []uint64{*chaosSeed}
	}
	const breaks, all = regtest.Breaks, regtest.Breaks | regtest.Connections | regtest.Ranges | regtest.Hangs
	for _, seed := range seeds {
		for _, run := range []struct {
			name   string
			kinds  regtest.Kinds
			secure bool
		}{
			{"breaks", breaks | regtest.Connections, false}, {"breaks over TLS", breaks, true},
			{"all", all, false}, {"all over TLS", all, true},
		} {
			t.Run(fmt.Sprintf("seed %d/%s", seed, run.name), func(t *testing.T) {
				t.Parallel()
				runChaos(t, layers, want, &regtest.Chaos{Seed: seed, Kinds: run.kinds, Faults: 100}, run.secure)
			})
		}
	}
}

func runChaos(t *testing.T, layers []tartest.Blob, want digest.Digest, chaos *regtest.Chaos, secure bool) {
	var size, sent int64
	for _, l := range layers {
		chaos.Layers = append(chaos.Layers, digest.FromBytes(l.Stored))
		size += int64(len(l.Stored))
	}
	s := regtest.New(t, regtest.Config{
		Auth: regtest.Token, TokenUses: 5, CDN: chaos.Seed%2 == 0, TLS: secure, Fault: chaos.Fault,
	})
	var retries atomic.Int64
	o := registry.Options{
		User: regtest.User, Password: regtest.Password, Insecure: secure, Retries: 30,
		Jitter: func() float64 { return 0 }, OnRetry: func(registry.Retry) { retries.Add(1) },
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}
	if chaos.Kinds&regtest.Hangs != 0 {
		o.StallTimeout, o.SlowWindow = time.Second, time.Second // a busy machine makes pauses, too
	}
	got := flattenChaos(t, s.Push(t, "app:1", regtest.Image(t, layers...)), o)
	if got != want {
		t.Errorf("the output is %s, want %s", got, want)
	}
	for _, d := range chaos.Layers {
		sent += s.Sent(d.String())
	}
	t.Logf("%d faults, %d retries, %d of %d bytes sent again", chaos.Happened(), retries.Load(), sent-size, size)
	if chaos.Happened() < 100 {
		t.Errorf("only %d faults", chaos.Happened())
	}
	if chaos.Kinds&regtest.Ranges == 0 && sent != size {
		t.Errorf("%d bytes were sent of layers of %d", sent, size)
	}
}
