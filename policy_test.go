// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package flatten_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// goFiles are the repository's Go files by folder.
func goFiles(t *testing.T) map[string][]string {
	t.Helper()
	files := map[string][]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") {
			files[filepath.ToSlash(filepath.Dir(path))] = append(files[filepath.ToSlash(filepath.Dir(path))], path)
		}
		return err
	})
	if err != nil || len(files) < 10 {
		t.Fatalf("%d folders, %v", len(files), err)
	}
	return files
}

// Every package has one package comment, and every file its license.
func TestComments(t *testing.T) {
	const license = "// SPDX-FileCopyrightText: The flatten authors\n// SPDX-License-Identifier: Apache-2.0\n\n"
	for dir, files := range goFiles(t) {
		documented := map[string]bool{}
		packages := map[string]bool{}
		for _, path := range files {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(b), license) {
				t.Errorf("%s: does not begin with the license", path)
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, b, parser.ParseComments|parser.PackageClauseOnly)
			if err != nil {
				t.Fatal(err)
			}
			name := f.Name.Name
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			packages[name] = true
			if f.Doc != nil && documented[name] {
				t.Errorf("%s: a second package comment", path)
			}
			documented[name] = documented[name] || f.Doc != nil
		}
		for name := range packages {
			if !documented[name] {
				t.Errorf("%s: package %s has no comment", dir, name)
			}
		}
	}
}

// Nothing outside the commands logs, exits, writes to the standard streams, or
// reads the clock or the environment: what comes out depends on what goes in.
func TestPure(t *testing.T) {
	banned := map[string][]string{
		"os":   {"Exit", "Stdout", "Stderr", "Stdin", "Getenv", "LookupEnv", "Environ"},
		"time": {"Now", "Since", "Until"},
	}
	for dir, files := range goFiles(t) {
		if dir != "." && !strings.HasPrefix(dir, "pkg/") {
			continue
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, imp := range f.Imports {
				switch name, _ := strconv.Unquote(imp.Path.Value); name {
				case "log", "log/slog", "math/rand", "math/rand/v2", "unsafe", "C":
					t.Errorf("%s imports %s", path, name)
				}
			}
			ast.Inspect(f, func(n ast.Node) bool {
				sel, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				pkg, ok := sel.X.(*ast.Ident)
				if !ok || pkg.Obj != nil {
					return true
				}
				for _, name := range banned[pkg.Name] {
					if sel.Sel.Name == name {
						t.Errorf("%s: %s.%s", fset.Position(n.Pos()), pkg.Name, name)
					}
				}
				return true
			})
		}
	}
}

// The command links no module that docs/dependencies.md does not name.
func TestDependencies(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command")
	}
	out, err := exec.Command(goTool, "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./cmd/flatten").Output()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, module := range strings.Fields(string(out)) {
		if !seen[module] && !strings.HasPrefix(module, "github.com/seed-81b0d42e/") && !strings.Contains(string(doc), module) {
			t.Errorf("%s is not in docs/dependencies.md", module)
		}
		seen[module] = true
	}
	if len(seen) < 5 {
		t.Errorf("only %d modules: %s", len(seen), out)
	}
}

// Every fuzz target has seeds: without them a fuzzer finds nothing for long.
func TestFuzzSeeds(t *testing.T) {
	targets := 0
	for dir, files := range goFiles(t) {
		for _, path := range files {
			if !strings.HasSuffix(path, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, decl := range f.Decls {
				fn, ok := decl.(*ast.FuncDecl)
				if !ok || !strings.HasPrefix(fn.Name.Name, "Fuzz") {
					continue
				}
				targets++
				corpus, _ := filepath.Glob(filepath.Join(dir, "testdata", "fuzz", fn.Name.Name, "*"))
				if !passes(fn, "f") && len(corpus) == 0 {
					t.Errorf("%s: %s has no seeds", path, fn.Name.Name)
				}
			}
		}
	}
	if targets < 10 {
		t.Errorf("only %d targets", targets)
	}
}

// passes reports whether a function calls f.Add, or hands f to one that may.
func passes(fn *ast.FuncDecl, f string) (found bool) {
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Add" {
			if id, ok := sel.X.(*ast.Ident); ok && id.Name == f {
				found = true
			}
		}
		for _, arg := range call.Args {
			if id, ok := arg.(*ast.Ident); ok && id.Name == f {
				found = true
			}
		}
		return true
	})
	return found
}
