// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package hostile

import (
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// specialFiles are layouts with files that are none.
func specialFiles() []Input {
	blob := blobName(goodID)
	atBlob := `oci:\S+: layer 1: blob sha256:[0-9a-f]{64}: `
	fifo := func(path string) { must(unix.Mkfifo(path, 0o644)) }
	socket := func(path string) {
		// Its name is too long for a socket.
		short, err := os.MkdirTemp("", "s")
		must(err)
		defer os.RemoveAll(short)
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(short, "s")})
		must(err)
		l.SetUnlinkOnClose(false)
		must(l.Close())
		must(os.Rename(filepath.Join(short, "s"), path))
	}
	zero := func(path string) { must(unix.Mknod(path, unix.S_IFCHR|0o644, int(unix.Mkdev(1, 5)))) }
	device := replaced("blob-that-is-a-device", atBlob+"is a device where a file belongs", blob, zero)
	device.Root = true
	indexDevice := replaced("index-that-is-a-device", `oci:\S+: index.json: is a device where a file belongs`, "index.json", zero)
	indexDevice.Root = true
	return []Input{
		replaced("blob-that-is-a-FIFO", atBlob+"is a FIFO where a file belongs", blob, fifo),
		replaced("blob-that-is-a-socket", atBlob+"is a socket where a file belongs", blob, socket),
		replaced("index-that-is-a-FIFO", `oci:\S+: index.json: is a FIFO where a file belongs`, "index.json", fifo),
		replaced("layout-file-that-is-a-FIFO", `oci:\S+: oci-layout: is a FIFO where a file belongs`, "oci-layout", fifo),
		device, indexDevice,
	}
}
