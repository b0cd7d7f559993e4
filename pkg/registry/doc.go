// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package registry reads images from registries that speak the OCI distribution
// API or Docker's registry API, version 2.
//
// # Terms
//
//   - A reference names an image: [HOST[:PORT]/]NAME[:TAG|@DIGEST]. Without a
//     host it is Docker Hub's, without a tag "latest". With a tag and a digest
//     the digest decides.
//   - The spool is where layers are stored while they are needed: for each layer
//     a file in [Options].TmpDir that has no name, or on systems that cannot do
//     that one that is removed when the image is closed. Nothing is left behind
//     however the process ends; elsewhere than on Unix, unless it is killed.
//   - An attempt is one request for a blob or what is missing of it. Progress is
//     16 KiB that were not there before.
//
// # Opening
//
// [Open] reads manifest and configuration by the rules of package image, which
// verifies them; a digest in the reference is that of the manifest or index it
// names. It fetches no layer.
//
// Opening a layer starts its download and returns at once. Reads wait for their
// bytes. A layer is downloaded once, even if it occurs twice in the image or is
// opened several times. When nobody has it open any longer, all blobs being
// closed or their contexts over, the download stops; when it is opened again, it
// goes on from where it was. Closing the image ends all downloads, waits for
// them and removes what they stored.
//
// The end of a blob's context ends its waits; bytes that are there can still be
// read. When a download fails, reads return its error; bytes that arrived before
// can still be read, and opening the layer again tries again.
//
// Layers are not verified here, since whoever reads them has to see every byte
// anyway. But no more bytes are stored than the manifest states, and a server
// that announces another size is not believed ([image.ErrCorrupt]).
//
// A layer whose descriptor has URLs is asked of the registry first, then fetched
// from those URLs that are HTTPS, without credentials (rule 148). The empty
// layer a3ed95ca… is known and not fetched (rule 149).
//
// # Copying
//
// OpenRoot reads no more than the document that is named. What it returns has
// Copy, which hands the bytes of a blob to a writer as they arrive, from any
// offset on, by the same rules. What is copied is not spooled.
//
// # Credentials
//
// Those in [Options] go before those of the [Keychain]. That asks the first of
// these files that has something for the repository:
//
//  1. the explicit one (--authfile, else REGISTRY_AUTH_FILE), which must exist;
//  2. Docker's config.json, in DOCKER_CONFIG or ~/.docker;
//  3. podman's containers/auth.json in XDG_RUNTIME_DIR;
//  4. containers/auth.json in XDG_CONFIG_HOME or ~/.config.
//
// A file that is not there or cannot be reached is passed over, but for the
// explicit one. One that cannot be parsed is an error. In each file a credential
// helper (credHelpers for the registry, else credsStore) goes before the entries
// of auths, of which the one for the longest part of the name counts:
//
//	registry.example/team/app
//	registry.example/team
//	registry.example
//
// Older spellings of a registry's name, such as "https://index.docker.io/v1/",
// count as that name. A helper may take 60 seconds.
//
// The registry is asked first whether it wants credentials, and gets them only
// when it does: as they are (Basic) or in exchange for a token (Bearer) that is
// renewed when it expires. They go to exactly the registry's scheme, host and
// port, and to its token server; never to a host that either redirects to. No
// error shows them, even where a registry repeats them in its answer.
//
// # Transport
//
// HTTPS is spoken, and with a certificate that is trusted here. Plain HTTP is
// tried after that with [Options].Insecure, and, as go-containerregistry has it,
// for localhost, names below .localhost, the addresses 127.0.0.1 and ::1, and
// IPv4 addresses of private networks. Redirects are followed ten times, but not
// from HTTPS to HTTP nor from outside into a private network; Insecure allows
// these too, for layers as for the first request and for tokens. Proxies are those
// that net/http finds in the environment; their passwords are in no error.
//
// What names the bytes is their digest. The header Docker-Content-Digest is not
// looked at, since not every registry sends the right one.
//
// # Failures
//
// What may go away is tried again: broken connections, timeouts, servers that are
// too slow, and the answers 408, 425, 429 and 5xx. A layer continues behind the
// last byte that arrived, by a ranged request; where the server does not answer
// that with 206 and the right Content-Range, by reading from the start and dropping
// what is there already. The wait begins at 0.5 s and doubles up to 15 s, of which
// up to half is left to Jitter; Retry-After makes it longer. After Retries failures
// in a row without progress, 5 unless stated otherwise, the last one is the result.
// An attempt that was too slow is not progress. OnRetry is told of every one.
//
// What does not go away is not tried again: a host that nobody knows, a port at
// which nothing listens when the first request is made, a certificate that is not
// trusted, a redirect that must not be followed, a proxy that refuses.
//
//	401, 403                   image.ErrDenied
//	404, 410                   image.ErrNotFound
//	other sizes than stated    image.ErrCorrupt
//	anything else              an error that may go away when tried again
//
// # Limits
//
//	connecting, TLS            15 s each, or Options.ConnectTimeout
//	response headers           30 s, or Options.HeaderTimeout
//	nothing arrives            60 s, or Options.StallTimeout; likewise for the first request
//	                           and a token as a whole
//	least speed                16 KiB a minute, or Options.SlowBytes in Options.SlowWindow;
//	                           time in which nobody waits for the server does not count
//	Retry-After                2 min; a registry that asks for more is not asked again
//	manifest, configuration    those of package image
//	first answer, token        1 MiB, and of an error 64 KiB
//	disk                       the layers, compressed, once; checked before a download begins
//	memory                     128 KiB for each of Options.Jobs downloads
//	open files                 one for each layer that was opened
package registry
