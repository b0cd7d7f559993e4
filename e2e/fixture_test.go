// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"path/filepath"
	"testing"
)

// TestFixture flattens the image that the README begins with, for each of its
// platforms, and looks at what its layers are there to show.
func TestFixture(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		file := flatten(t, "--platform", "linux/"+arch, "oci:../fixtures/hello")
		accepts(t, file)
		tree := treeOf(t, file)
		contents := map[string]string{
			"srv/hello":               "#!/bin/sh\necho hello from " + arch + "\n",
			"usr/bin/perl":            "#! perl 5.38\n",
			"usr/bin/perl5.36.0":      "#! perl 5.36\n",
			"usr/bin/gunzip":          "#! gunzip\n",
			"etc/app.d/90-site.conf":  "site = yes\n",
			"bin/dash/README":         "this was a symbolic link\n",
			"var/cache/fresh":         "nothing of old\n",
			"srv/grüße":               "not ASCII\n",
			"usr/share/doc/copyright": "",
		}
		for name, want := range contents {
			n := tree[name]
			if n == nil {
				t.Errorf("%s: %s is missing", arch, name)
			} else if want != "" && string(n.Data) != want {
				t.Errorf("%s: %s holds %q, want %q", arch, name, n.Data, want)
			}
		}
		for _, name := range []string{
			"etc/app.d/10-default.conf", "etc/shadow", "usr/bin/uncompress", "var/cache/apt", "usr/lib/libhello.so.1.0",
		} {
			if tree[name] != nil {
				t.Errorf("%s: %s is there", arch, name)
			}
		}
		if t.Failed() {
			continue
		}
		if g := tree["usr/bin/gunzip"].Group; g == "" || g != tree["usr/bin/zcat"].Group {
			t.Errorf("%s: gunzip and zcat are two files", arch)
		}
		if tree["usr/bin/perl"].Group != tree["usr/bin/perl5.38.0"].Group || tree["usr/bin/perl5.36.0"].Group != "" {
			t.Errorf("%s: perl's names are mixed up", arch)
		}
		if m := tree["srv"].Mode; m != 0o2775 {
			t.Errorf("%s: srv has mode %04o", arch, m)
		}
		if again := flatten(t, "oci:../fixtures/hello:latest", "--platform", "linux/"+arch); filepath.Base(again) != filepath.Base(file) {
			t.Errorf("%s: two runs, two names: %s, %s", arch, file, again)
		}
	}
}
