package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// sentinels returns the text of every exported error variable of a package that users
// import, by its name with that of its package; "" if the text is not a literal.
func sentinels(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for path, source := range texts(t, ".go") {
		rel := filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))
		if strings.HasSuffix(path, "_test.go") || regexp.MustCompile(`(^|/)(internal|cmd|examples|bench)/|test/[^/]+$`).MatchString(rel) {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, source, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			vars, ok := d.(*ast.GenDecl)
			if !ok || vars.Tok != token.VAR {
				continue
			}
			for _, spec := range vars.Specs {
				v, ok := spec.(*ast.ValueSpec)
				if !ok || len(v.Values) != 1 || !regexp.MustCompile(`^Err[A-Z]`).MatchString(v.Names[0].Name) {
					continue
				}
				name := file.Name.Name + "." + v.Names[0].Name
				found[name] = ""
				if call, ok := v.Values[0].(*ast.CallExpr); ok && len(call.Args) == 1 {
					if lit, ok := call.Args[0].(*ast.BasicLit); ok {
						if found[name], err = strconv.Unquote(lit.Value); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
		}
	}
	return found
}

// TestErrors checks that docs/errors.md explains every error that a program can ask for,
// with its text as it is, and no other.
func TestErrors(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("errors.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| `([^`]+)` \\| [A-Z`][^|]+\\. \\| [A-Z`][^|]+\\. \\|$").FindAllStringSubmatch(string(page), -1) {
		rows[row[2]] = row[1]
	}
	if n := strings.Count(string(page), "\n| `"); n != len(rows) {
		t.Errorf("errors.md has %d rows, and %d that have a text, an error, a cause and what to do", n, len(rows))
	}
	all := sentinels(t)
	if len(all) < 50 {
		t.Fatalf("found %d errors, want 50 or more: is the code read?", len(all))
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		text, ok := rows[name]
		if !ok {
			t.Errorf("errors.md does not explain %s (%s)", name, all[name])
		} else if all[name] != "" && text != all[name] {
			t.Errorf("errors.md says that the text of %s is %q: it is %q", name, text, all[name])
		}
		delete(rows, name)
	}
	for name := range rows {
		t.Errorf("errors.md explains %s, which does not exist", name)
	}
}
