// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package panorama

import (
	"fmt"
	"path"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/toc"
	"github.com/seed-81b0d42e/flatten/pkg/tree"
)

// defaultSearch is where a bare name is looked up without a PATH: what container
// runtimes have.
const defaultSearch = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// mounted are the folders that the appliance mounts its own over.
var mounted = []string{"/opt/aws/panorama/storage", "/opt/aws/panorama/logs"}

// CheckEntry looks for what a descriptor runs in a merged filesystem: its path
// must be an executable file, its name must exist. The configuration is the
// image's, for hints. Warnings are what may work all the same.
func CheckEntry(fs *tree.Tree, d *Descriptor, c v1.ImageConfig) (warnings []string, err error) {
	if d.Name == "" {
		return []string{"the descriptor has no entry: nothing says what to run"}, nil
	}
	if err := checkPath(fs, d, c); err != nil {
		return nil, err
	}
	return checkName(fs, d, c)
}

func checkPath(fs *tree.Tree, d *Descriptor, c v1.ImageConfig) error {
	if d.Path == DefaultPath {
		return nil
	}
	if strings.Contains(d.Path, "/") {
		i, err := fs.Find("/"+d.Path, true)
		if err != nil {
			return fmt.Errorf("the entry's path: %w", err)
		}
		if !executable(fs, i) {
			return image.WithHint(fmt.Errorf("the entry's path %s is no executable file", image.Quote(d.Path)),
				"RUN chmod +x in the Dockerfile, or name the interpreter as path and the script as name")
		}
		return nil
	}
	search, ok := d.environment("PATH")
	if !ok {
		search = defaultSearch
	}
	if _, ok := lookPath(fs, d.Path, search); ok {
		return nil
	}
	err := fmt.Errorf("the entry's path %s is in no folder of PATH %s", image.Quote(d.Path), image.Quote(search))
	if found, ok := lookPath(fs, d.Path, variable(c.Env, "PATH")); ok {
		return image.WithHint(err, "it is %s, by the image's PATH, which the appliance ignores; write that, or set PATH in environment",
			image.Quote(found))
	}
	return image.WithHint(err, "install it in the image, or give its full path")
}

func checkName(fs *tree.Tree, d *Descriptor, c v1.ImageConfig) (warnings []string, err error) {
	name := path.Join("/", d.Name)
	for _, dir := range mounted {
		if strings.HasPrefix(name, dir+"/") {
			return []string{fmt.Sprintf("the entry's name %s is below %s, which the appliance mounts: it must be there then",
				image.Quote(d.Name), dir)}, nil
		}
	}
	i, err := fs.Find(name, true)
	switch {
	case err == nil && fs.Dir(i):
		return []string{fmt.Sprintf("the entry's name %s is a folder", image.Quote(d.Name))}, nil
	case err == nil:
		return nil, nil
	case strings.HasPrefix(d.Name, "-"):
		return []string{fmt.Sprintf("the entry's name %s is no file; it is given to %s as its first argument",
			image.Quote(d.Name), image.Quote(d.Path))}, nil
	}
	err = fmt.Errorf("the entry's name: %w", err)
	if in := path.Join("/", c.WorkingDir, d.Name); !path.IsAbs(d.Name) && in != name {
		if _, missing := fs.Find(in, true); missing == nil {
			err = image.WithHint(err, "the appliance starts it in /, not in the image's WORKDIR; write %s", image.Quote(in))
		}
	}
	return nil, err
}

// lookPath finds an executable in the folders of a PATH.
func lookPath(fs *tree.Tree, name, search string) (string, bool) {
	for _, dir := range strings.Split(search, ":") {
		if !path.IsAbs(dir) {
			continue // an empty or relative one means the working directory
		}
		file := path.Join(dir, name)
		if i, err := fs.Find(file, true); err == nil && executable(fs, i) {
			return file, true
		}
	}
	return "", false
}

// executable reports whether a path is a file that somebody may execute.
func executable(fs *tree.Tree, i int32) bool {
	if fs.Dir(i) {
		return false
	}
	v := fs.View()
	a := v.Attributes(&v.Paths[i])
	return a.Type == toc.TypeReg && a.Mode&0o111 != 0
}

// variable is the value of a variable in an image's Env, the last one of several.
func variable(env []string, name string) string {
	value := ""
	for _, entry := range env {
		if n, v, ok := strings.Cut(entry, "="); ok && n == name {
			value = v
		}
	}
	return value
}

// Covered warns of what the merged filesystem has below the folders that the
// appliance mounts its own over.
func Covered(fs *tree.Tree) (warnings []string) {
	for _, dir := range mounted {
		i, err := fs.Find(dir, true)
		if err != nil || i == tree.Root {
			continue
		}
		if n := count(fs, i); n > 0 {
			warnings = append(warnings, fmt.Sprintf("%d paths below %s, the first %s: the appliance mounts over them",
				n, dir, image.Quote(path.Join(dir, fs.Base(fs.Children(i)[0])))))
		}
	}
	return warnings
}

// count is how many paths are below a folder.
func count(fs *tree.Tree, dir int32) int {
	n := 0
	for _, i := range fs.Children(dir) {
		n += 1 + count(fs, i)
	}
	return n
}
