// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

// Package panorama keeps application packages in the format of AWS Panorama: it
// makes a container image the asset of a package. The service ended in 2026; the
// format, envelope version 2021-01-01, lives on in its users' projects.
//
// # Terms
//
//   - A project is a folder with packages, assets and graphs in it.
//   - A package is a folder packages/ACCOUNT-NAME-VERSION. The account ends at the
//     first dash of the folder's name, the version begins behind the last one; the
//     name in between may have dashes.
//   - An asset is a content-named root filesystem, assets/<sha256>.tar.gz, and a
//     content-named descriptor, assets/<sha256>.json: the bytes of the package's
//     descriptor.json, which says what to run in it.
//   - An interface says what goes into and out of an asset. A graph connects nodes,
//     each of which is one of an interface, which it calls
//     ACCOUNT::NAME.INTERFACE.
//
// # Files
//
//	packages/ACCOUNT-NAME-VERSION/package.json     {"nodePackage": {… "assets": […], "interfaces": […]}}
//	packages/ACCOUNT-NAME-VERSION/descriptor.json  {"runtimeDescriptor": {"envelopeVersion": …, "entry": {…}}}
//	graphs/APPLICATION/graph.json                  {"nodeGraph": {… "packages": […], "nodes": […], "edges": […]}}
//	assets/<sha256>.tar.gz, assets/<sha256>.json
//
// An asset in package.json, as [PackageEdit] has it, and what a new one gets: an
// interface there and a node in the graph.
//
//	{
//	    "name": "code",
//	    "implementations": [
//	        {
//	            "type": "container",
//	            "assetUri": "<sha256>.tar.gz",
//	            "descriptorUri": "<sha256>.json"
//	        }
//	    ]
//	}
//
//	{"name": "code_interface", "category": "business_logic", "asset": "code",
//	 "inputs": [{"name": "video_in", "type": "media"}],
//	 "outputs": [{"name": "video_out", "type": "media"}]}
//
//	{"name": "code_node", "interface": "ACCOUNT::NAME.code_interface",
//	 "overridable": false, "launch": "onAppStart"}
//
// An asset's name is 1 to 255 letters, digits, "$", "_" and "-".
//
// # Editing
//
// JSON files are read strictly: UTF-8, one value, no key twice in one object. They
// are edited, not written anew. Where an asset has an entry, only the two names in
// its implementation of type container change; requirements, descriptions and
// unknown fields stay. Where it has none, an entry is added as the last one, laid
// out as the file is. Every other byte stays: key order, indentation, line ends.
//
// A new asset gets an interface unless one names it already, and with the
// interface a node in each graph that lists the package, or in the only graph.
// Nodes and interfaces of the same name that are for something else are errors.
//
// # All or nothing
//
// One run at a time changes a project: it locks the project's root. Where folders
// have no locks (Windows, some network file systems), that is left to the user.
//
//  1. Everything is read and checked before the image is, and once more after.
//  2. The content-named files are written. Nothing names them yet; killed here,
//     they are harmless and the next run of the same image finds them.
//  3. The new text of all files that change is written to .flatten-panorama.json
//     in the root: the journal.
//  4. The files are replaced, each atomically: descriptor.json if it is new, the
//     graphs, package.json.
//  5. What is superseded is removed: names of content that the entry had before
//     and that no string in any packages/*/package.json is any more. When one of
//     those cannot be read, nothing is removed.
//  6. The journal is removed.
//
// After an error everything is as before. A run that was killed leaves the project
// as before, as after, or with a journal: the next run in the project completes
// it if a file had been replaced, else forgets it. When such a file was edited in
// the meantime, that is an error and nothing is touched. So is a journal that names
// other files than these, or that reaches out of the project by a symbolic link.
//
// # The appliance
//
// It is linux/arm64, and it does not run the image: it unpacks the filesystem and
// starts the entry in / with path, name and arguments, in an environment of the
// descriptor's. The filesystem is read-only, but for /opt/aws/panorama/storage and
// /opt/aws/panorama/logs, which it mounts.
//
//	path         in the image and executable; a bare name is looked up in PATH, the
//	             environment's or else that of container runtimes; left out or
//	             "$default", it is not checked                                 error
//	name         in the image                                                  error
//	             begins with "-", is a folder, or is below what is mounted   warning
//	entry        missing                                                     warning
//	filesystem   something below what is mounted                             warning
//	platform     another one                                                 warning
//	package.json, graph.json when it changes: not by the format              warning
//	descriptor.json: not by the format, or of no container                     error
//
// What the image sets and the appliance does not heed is listed: [Ignored].
//
// # Limits
//
// A JSON file may have [MaxDocument] bytes. An asset with several implementations
// of type container is refused: which one is meant cannot be told.
//
// # Example
//
//	p, err := panorama.Open("packages/123456789012-people-counter-1.0")
//	…
//	merged, err := flatten.Load(ctx, img, flatten.Options{})
//	…
//	result, err := p.Export(ctx, merged, panorama.Options{Asset: "code"})
package panorama
