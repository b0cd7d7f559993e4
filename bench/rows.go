// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// row is one line of the table: a way to make a gzip tar of the image in $OUT.
type row struct {
	name    string
	command string   // for the shell
	needs   []string // programs
	note    string   // what the numbers leave out
	missing string   // why it cannot run, empty when it can

	// before runs before each run, outside the clock; nil for nothing.
	before func(ctx context.Context) error

	// overlay is set for a row that takes the layers unpacked.
	overlay bool

	// other is set for a row whose output is another image's filesystem.
	other bool

	samples []sample
	entries int
	differs string
	details []string
}

// allRows are the peers, of which the first that runs is what the others are
// compared with, and then flatten.
func (b *bench) allRows(ctx context.Context) []*row {
	rows := append(b.registryPeers(), b.localPeers(ctx)...)
	rows = append(rows, b.flattenRows()...)
	for _, r := range rows {
		for _, program := range r.needs {
			if _, err := b.look(program); err != nil && r.missing == "" {
				r.missing = program + " is not installed"
			}
		}
	}
	return rows
}

// look finds a program on the path that the rows run with.
func (b *bench) look(program string) (string, error) {
	if at, err := exec.LookPath(filepath.Join(b.bin, program)); err == nil {
		return at, nil
	}
	return exec.LookPath(program)
}

func (b *bench) registryPeers() []*row {
	const (
		crane = "crane export $REF - | "
		pack  = "tar -C $TMP/bundle/rootfs -c . | gzip -1 > $OUT/out.tar.gz"
	)
	return []*row{
		{name: "crane export | gzip -1", needs: []string{"crane", "gzip"},
			command: crane + "gzip -1 > $OUT/out.tar.gz"},
		{name: "crane export | pigz -1", needs: []string{"crane", "pigz"},
			command: crane + "pigz -1 > $OUT/out.tar.gz"},
		{name: "skopeo copy, umoci unpack, tar | gzip -1", needs: []string{"skopeo", "umoci", "tar", "gzip"},
			before: b.removing("copy", "bundle"),
			command: "skopeo --insecure-policy copy -q --src-tls-verify=false docker://$REF oci:$TMP/copy:t\n" +
				"umoci unpack $ROOTLESS --image $TMP/copy:t $TMP/bundle\n" + pack},
	}
}

func (b *bench) localPeers(ctx context.Context) []*row {
	overlay := &row{
		name: "overlay mount, tar | gzip -1", needs: []string{"mount", "umount", "tar", "gzip"}, missing: overlayMissing(),
		note: "layers unpacked beforehand", overlay: true,
		command: "mount -t overlay overlay -o ro,lowerdir=$LOWER $TMP/mnt\ntrap 'umount $TMP/mnt' EXIT\n" +
			"tar -C $TMP/mnt -c . | gzip -1 > $OUT/out.tar.gz",
	}
	docker := &row{
		name: "docker create, docker export | gzip -1", needs: []string{"docker", "gzip"},
		note: "layers unpacked beforehand; the daemon's CPU and memory are not counted",
		command: "id=$(docker create $DOCKER_IMAGE true)\ntrap 'docker rm $id' EXIT\n" +
			"docker export $id | gzip -1 > $OUT/out.tar.gz",
	}
	if b.dockerImage = b.findInDocker(ctx); b.dockerImage == "" {
		docker.missing = "docker does not have the image"
	}
	return []*row{
		{name: "umoci unpack, tar | gzip -1", needs: []string{"umoci", "tar", "gzip"}, before: b.removing("bundle"),
			missing: b.onlyGzip("umoci"),
			command: "umoci unpack $ROOTLESS --image $LAYOUT:$TAG $TMP/bundle\ntar -C $TMP/bundle/rootfs -c . | gzip -1 > $OUT/out.tar.gz"},
		overlay, docker,
	}
}

// onlyGzip says that a program cannot read the image's layers, if so.
func (b *bench) onlyGzip(program string) string {
	for _, l := range b.image.manifest.Layers {
		if strings.HasSuffix(l.MediaType, "zstd") {
			return program + " does not read zstd"
		}
	}
	return ""
}

// findInDocker is docker's name for the image, empty when it has none with the
// same layers.
func (b *bench) findInDocker(ctx context.Context) string {
	ids, err := exec.CommandContext(ctx, "docker", "image", "ls", "-q", "--no-trunc").Output()
	if err != nil {
		return ""
	}
	for id := range strings.FieldsSeq(string(ids)) {
		out, err := exec.CommandContext(ctx, "docker", "image", "inspect", "--format", "{{json .RootFS.Layers}}", id).Output()
		var layers []string
		if err != nil || json.Unmarshal(out, &layers) != nil {
			continue
		}
		var want []string
		for _, d := range b.image.config.RootFS.DiffIDs {
			want = append(want, d.String())
		}
		if slices.Equal(layers, want) {
			return id
		}
	}
	return ""
}

func (b *bench) flattenRows() []*row {
	const layout, registry = "oci:$LAYOUT:$TAG", "docker://$REF"
	cold := "flatten -q -o $OUT "
	if b.can("--no-cache") {
		cold = "flatten -q --no-cache -o $OUT "
	}
	rows := []*row{
		{name: "flatten, layout, cold", command: cold + layout},
		{name: "flatten, registry, cold", command: cold + registry},
		{name: "flatten -1, layout, cold", command: cold + "-1 " + layout},
		{name: "flatten --canonical, layout, cold", command: cold + "--canonical " + layout},
		{name: "flatten --json, layout, cold", command: cold + "--json " + layout},
	}
	const cached = "flatten -q --cache-dir $TMP/"
	rows = append(rows, b.cachedRows([]*row{
		{name: "flatten, layout, filling the cache", before: b.removing("filling"),
			command: cached + "filling -o $OUT " + layout},
		{name: "flatten, layout, warm", before: b.prime, command: cached + "cache -o $OUT " + layout},
		{name: "flatten, registry, warm", before: b.prime, command: cached + "cache -o $OUT " + registry},
		{name: "flatten, layout, one layer changed", other: true, before: b.primeCopy,
			command: cached + "known -o $OUT oci:$LAYOUT:$CHANGED"},
	})...)
	for _, r := range rows {
		r.needs = []string{"flatten"}
	}
	return rows
}

// cachedRows says why rows cannot run that use flatten's cache, if so.
func (b *bench) cachedRows(rows []*row) []*row {
	for _, r := range rows {
		switch {
		case !b.can("--cache-dir"):
			r.missing = "this flatten has no --cache-dir"
		case r.other && b.changed == "":
			r.missing = "-changed names no image"
		}
	}
	return rows
}

// can reports whether flatten has a flag.
func (b *bench) can(flag string) bool { return strings.Contains(b.help, flag) }

// removing is a before that removes what a run left in the work folder.
func (b *bench) removing(names ...string) func(context.Context) error {
	return func(context.Context) error {
		for _, name := range names {
			if err := os.RemoveAll(filepath.Join(b.tmp, name)); err != nil {
				return err
			}
		}
		return nil
	}
}

// prime fills the cache with the image's layers, once.
func (b *bench) prime(ctx context.Context) error {
	if b.primed {
		return nil
	}
	b.primed = true
	_, err := b.shell.do(ctx, "flatten -q --cache-dir $TMP/cache -o - oci:$LAYOUT:$TAG > /dev/null")
	return err
}

// primeCopy makes $TMP/known a cache that has seen the image and nothing else.
func (b *bench) primeCopy(ctx context.Context) error {
	if err := b.prime(ctx); err != nil {
		return err
	}
	if err := b.removing("known")(ctx); err != nil {
		return err
	}
	return os.CopyFS(filepath.Join(b.tmp, "known"), os.DirFS(filepath.Join(b.tmp, "cache")))
}
