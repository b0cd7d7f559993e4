// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// overlayMissing says why layers cannot be mounted here, empty when they can.
func overlayMissing() string {
	if os.Geteuid() != 0 {
		return "mounting takes root"
	}
	known, err := os.ReadFile("/proc/filesystems")
	if err != nil || !strings.Contains(string(known), "\toverlay\n") {
		return "the kernel has no overlayfs"
	}
	return ""
}

// unpackLayers unpacks every layer into a folder of its own, as an engine keeps
// them, and returns overlayfs's lowerdir option.
func unpackLayers(ctx context.Context, img *localImage, dir string) (string, error) {
	var lower []string
	for i, l := range img.manifest.Layers {
		at := filepath.Join(dir, fmt.Sprint(i))
		if err := os.MkdirAll(at, 0o755); err != nil {
			return "", err
		}
		if err := unpackLayer(ctx, img, l, at); err != nil {
			return "", fmt.Errorf("unpacking layer %d: %w", i+1, err)
		}
		lower = append(lower, at)
	}
	slices.Reverse(lower)
	return strings.Join(lower, ":"), nil
}

// unpackLayer lets tar unpack what is no marker and then makes the markers what
// overlayfs takes for them.
func unpackLayer(ctx context.Context, img *localImage, l v1.Descriptor, dir string) error {
	stream, err := img.openLayer(l)
	if err != nil {
		return err
	}
	defer stream.Close()
	cmd := exec.CommandContext(ctx, "tar", "-C", dir, "-xp", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--exclude=.wh.*")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	markers, err := readMarkers(io.TeeReader(stream, stdin))
	if err := errors.Join(err, stdin.Close(), cmd.Wait()); err != nil {
		return err
	}
	for _, name := range markers {
		if err := setMarker(dir, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// readMarkers reads a whole tar stream for the names of whiteouts in it.
func readMarkers(stream io.Reader) ([]string, error) {
	var names []string
	entries := tar.NewReader(stream)
	for {
		h, err := entries.Next()
		if err == io.EOF {
			_, err = io.Copy(io.Discard, stream)
			return names, err
		}
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(path.Base(h.Name), ".wh.") {
			names = append(names, path.Clean(h.Name))
		}
	}
}

// setMarker whites a name out, or makes its folder opaque.
func setMarker(dir, name string) error {
	parent := filepath.Join(dir, path.Dir(name))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	base := path.Base(name)
	switch {
	case base == ".wh..wh..opq":
		return unix.Setxattr(parent, "trusted.overlay.opaque", []byte("y"), 0)
	case strings.HasPrefix(base, ".wh..wh."):
		return nil // the books of an aufs
	}
	return unix.Mknod(filepath.Join(parent, strings.TrimPrefix(base, ".wh.")), unix.S_IFCHR, 0)
}
