package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestExamples checks that every type of a package that users import is in an example of
// the package: the example is of it, names it, or calls what returns it.
func TestExamples(t *testing.T) {
	t.Parallel()
	types, returned, shown := map[string][]string{}, map[string][]string{}, map[string]bool{}
	for path, source := range texts(t, ".go") {
		rel := filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))
		if regexp.MustCompile(`(^|/)(internal|cmd|examples|bench|eventstorev1)/`).MatchString(rel) || !strings.Contains(rel, "/") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		dir := rel[:strings.LastIndex(rel, "/")]
		if strings.HasSuffix(path, "_test.go") {
			if strings.Contains(source, "\nfunc Example") {
				for _, name := range named(file) {
					shown[dir+"."+name] = true
				}
			}
			continue
		}
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				returned[dir+"."+d.Name.Name] = append(returned[dir+"."+d.Name.Name], results(d)...)
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if s, ok := spec.(*ast.TypeSpec); ok && s.Name.IsExported() {
						types[dir] = append(types[dir], s.Name.Name)
					}
				}
			}
		}
	}
	for name := range maps.Clone(shown) {
		for _, result := range returned[name] {
			shown[name[:strings.LastIndex(name, ".")+1]+result] = true
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(types)) {
		for _, name := range slices.Sorted(slices.Values(types[dir])) {
			if !shown[dir+"."+name] {
				t.Errorf("no example of %s shows %s", dir, name)
			}
		}
	}
}

// named returns the names that the examples of a file are of, and those that they select.
func named(file *ast.File) []string {
	var all []string
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if name, ok := strings.CutPrefix(n.Name.Name, "Example"); ok {
				name, _, _ = strings.Cut(name, "_")
				all = append(all, name)
			}
		case *ast.SelectorExpr:
			all = append(all, n.Sel.Name)
		}
		return true
	})
	return all
}

// results returns the names of the types that a function returns.
func results(fn *ast.FuncDecl) []string {
	var all []string
	if fn.Type.Results != nil {
		ast.Inspect(fn.Type.Results, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				all = append(all, id.Name)
			}
			return true
		})
	}
	return all
}
