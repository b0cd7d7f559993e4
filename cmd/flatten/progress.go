// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/seed-81b0d42e/flatten"
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// progress shows what goes on until it is closed.
type progress interface {
	report(flatten.Event)
	close()
}

// labels are what progress calls things.
type labels struct {
	part    func(i int) string // the i-th of what is read, a layer for one
	reading string             // doing that, to all of them
}

// newProgress shows how layers are read and the output is written.
func newProgress(mode string, u *ui, img *image.Image) progress {
	return newProgressOf(mode, u, labels{func(i int) string { return layerName(img, i) }, "reading layers"})
}

// newProgressOf chooses how progress is shown: bars on a terminal, lines
// elsewhere, or not at all.
func newProgressOf(mode string, u *ui, names labels) progress {
	if mode == "auto" {
		mode = "plain"
		if isTerminal(u.stderr) {
			mode = "tty"
		}
	}
	if u.quiet {
		mode = "none"
	}
	switch mode {
	case "tty":
		return newBars(u.stderr, names)
	case "plain":
		return newLines(u, names)
	}
	return silent{}
}

type silent struct{}

func (silent) report(flatten.Event) {}
func (silent) close()               {}

// layerName is a layer for people: "layer 2/6 sha256:0123456789ab".
func layerName(img *image.Image, layer int) string {
	l := &img.Layers[layer]
	d := string(l.Digest)
	if d == "" {
		d = string(l.DiffID)
	}
	if len(d) > 19 {
		d = d[:19]
	}
	return fmt.Sprintf("layer %d/%d %s", layer+1, len(img.Layers), d)
}

// bars shows a bar for each layer and one for the output.
type bars struct {
	names labels
	pool  *mpb.Progress

	mu  sync.Mutex
	bar map[flatten.Event]*mpb.Bar // by stage and layer
}

func newBars(w io.Writer, names labels) *bars {
	return &bars{
		names: names, bar: map[flatten.Event]*mpb.Bar{},
		pool: mpb.New(mpb.WithOutput(w), mpb.WithWidth(40), mpb.WithAutoRefresh()),
	}
}

func (b *bars) report(e flatten.Event) {
	key := flatten.Event{Stage: e.Stage, Layer: e.Layer}
	b.mu.Lock()
	bar := b.bar[key]
	if bar == nil {
		label := "writing"
		if e.Stage == flatten.Scan {
			label = b.names.part(e.Layer)
		}
		var err error
		bar, err = b.pool.Add(e.Total, mpb.BarStyle().Build(),
			mpb.PrependDecorators(decor.Name(label, decor.WCSyncSpaceR)),
			mpb.AppendDecorators(
				decor.Any(func(s decor.Statistics) string {
					return formatBytes(s.Current) + " / " + formatBytes(s.Total)
				}, decor.WCSyncSpace),
				decor.AverageSpeed(decor.SizeB1000(0), "% .1f", decor.WCSyncSpace),
			))
		if err != nil { // the terminal is gone: nobody looks
			b.mu.Unlock()
			return
		}
		b.bar[key] = bar
	}
	b.mu.Unlock()
	bar.SetCurrent(e.Done)
}

// close leaves the bars as they are; those of a failed run are incomplete.
func (b *bars) close() {
	b.mu.Lock()
	for _, bar := range b.bar {
		if !bar.Completed() {
			bar.Abort(false)
		}
	}
	b.mu.Unlock()
	b.pool.Wait()
}

// The plain form says a line when a layer is through, and one now and then
// while nothing else is said, so that a log shows that the run lives.
const heartbeat = 10 * time.Second

type lines struct {
	ui    *ui
	names labels
	done  chan struct{}
	wait  sync.WaitGroup

	mu     sync.Mutex
	began  map[flatten.Event]begin         // by stage and layer
	state  map[flatten.Event]flatten.Event // the last event of each step under way
	over   map[flatten.Event]bool
	spoken time.Time
}

// begin is when a step began, and with how much.
type begin struct {
	at   time.Time
	with int64
}

func newLines(u *ui, names labels) *lines {
	l := &lines{
		ui: u, names: names, done: make(chan struct{}), spoken: time.Now(),
		began: map[flatten.Event]begin{}, state: map[flatten.Event]flatten.Event{},
		over: map[flatten.Event]bool{},
	}
	l.wait.Add(1)
	go l.beat()
	return l
}

func (l *lines) report(e flatten.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := flatten.Event{Stage: e.Stage, Layer: e.Layer}
	if l.over[key] {
		return
	}
	if _, ok := l.began[key]; !ok {
		l.began[key] = begin{at: time.Now()}
		if e.Done < e.Total {
			l.began[key] = begin{time.Now(), e.Done}
		}
	}
	l.state[key] = e
	if e.Done < e.Total || e.Stage != flatten.Scan {
		return
	}
	l.over[key] = true
	delete(l.state, key)
	l.spoken = time.Now()
	b := l.began[key]
	rate := float64(e.Done-b.with) / max(time.Since(b.at).Seconds(), 1e-3)
	l.ui.say("%s: %s, %s/s", l.names.part(e.Layer), formatBytes(e.Done), formatBytes(int64(rate)))
}

// beat says how far things are when nothing was said for long.
func (l *lines) beat() {
	defer l.wait.Done()
	ticker := time.NewTicker(heartbeat / 4)
	defer ticker.Stop()
	for {
		select {
		case <-l.done:
			return
		case <-ticker.C:
			l.stillHere()
		}
	}
}

func (l *lines) stillHere() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.spoken) < heartbeat {
		return
	}
	l.spoken = time.Now()
	stage, done, total := flatten.Scan, int64(0), int64(0)
	for _, e := range l.state {
		if e.Stage > stage {
			stage, done, total = e.Stage, 0, 0
		}
		if e.Stage == stage {
			done, total = done+e.Done, total+e.Total
		}
	}
	verb := [...]string{flatten.Scan: l.names.reading, flatten.Write: "writing"}[stage]
	l.ui.say("%s: %s of %s", verb, formatBytes(done), formatBytes(total))
}

func (l *lines) close() {
	close(l.done)
	l.wait.Wait()
}
