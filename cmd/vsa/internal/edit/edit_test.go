package edit_test

import (
	"go/ast"
	"go/scanner"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/cmd/vsa/internal/edit"
)

// check changes testdata/name.before.txt and compares the result with
// testdata/name.after.txt, which was written by hand.
func check(t *testing.T, name string, change func(*edit.Source) []edit.Insert) {
	t.Helper()
	before, err := os.ReadFile("testdata/" + name + ".before.txt")
	if err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile("testdata/" + name + ".after.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got := apply(t, name, before, change); got != string(after) {
		t.Errorf("%s:\n%s\nwant\n%s", name, got, after)
	}
}

func apply(t *testing.T, name string, text []byte, change func(*edit.Source) []edit.Insert) string {
	t.Helper()
	s, err := edit.Parse(name, text)
	if err != nil {
		t.Fatal(err)
	}
	got, err := edit.Apply(name, text, change(s))
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

// first returns the first node of type T that is accepts.
func first[T ast.Node](s *edit.Source, is func(T) bool) T {
	var found T
	done := false
	ast.Inspect(s.File, func(n ast.Node) bool {
		if n, ok := n.(T); ok && !done && is(n) {
			found, done = n, true
		}
		return !done
	})
	return found
}

func called(name string) func(*ast.CallExpr) bool {
	return func(c *ast.CallExpr) bool {
		switch fn := c.Fun.(type) {
		case *ast.SelectorExpr:
			return fn.Sel.Name == name
		case *ast.Ident:
			return fn.Name == name
		}
		return false
	}
}

func body(name string) func(*ast.FuncDecl) bool {
	return func(fn *ast.FuncDecl) bool { return fn.Name.Name == name }
}

func TestCommand(t *testing.T) {
	t.Parallel()
	check(t, "credit/account.go", func(s *edit.Source) []edit.Insert {
		lit := first(s, func(l *ast.CompositeLit) bool { _, ok := l.Type.(*ast.MapType); return ok })
		return []edit.Insert{s.Composite(lit, `"AccountCredited": Credited{}`)}
	})
	check(t, "credit/account_test.go", func(s *edit.Source) []edit.Insert {
		return []edit.Insert{s.Argument(first(s, called("Any")), "account.Credit{}")}
	})
	check(t, "credit/accounts.go", func(s *edit.Source) []edit.Insert {
		return []edit.Insert{s.Statement(first(s, body("Routes")).Body,
			`mux.HandleFunc("POST /accounts/{id}/credit", command(a.log, a.accounts, func(c account.Credit) account.Command { return c }))`)}
	})
}

func TestReactor(t *testing.T) {
	t.Parallel()
	check(t, "reactor/run.go", func(s *edit.Source) []edit.Insert {
		path, _ := s.Import("example.com/bank/contexts/accounts/internal/welcomebonus", "example.com/bank")
		arg := s.Argument(first(s, func(c *ast.CallExpr) bool { return called("together")(c) }), "func(ctx context.Context) error { return welcomebonus.Run(ctx, a.store, a.accounts) }")
		arg.Text = strings.Replace(arg.Text, ", ", ",\n\t\t", 1) + ",\n\t"
		return []edit.Insert{path, arg}
	})
}

func TestContext(t *testing.T) {
	t.Parallel()
	check(t, "context/contexts.go", func(s *edit.Source) []edit.Insert {
		lit := first(s, func(l *ast.CompositeLit) bool { _, ok := l.Type.(*ast.ArrayType); return ok })
		path, _ := s.Import("example.com/bank/contexts/reports", "example.com/bank")
		return []edit.Insert{s.Composite(lit, "reports.New(st, log)"), path}
	})
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	statement := func(s *edit.Source) []edit.Insert {
		return []edit.Insert{s.Statement(first(s, body("f")).Body, "added()")}
	}
	imports := func(s *edit.Source) []edit.Insert {
		i, _ := s.Import("m/b", "m")
		return []edit.Insert{i}
	}
	list := func(s *edit.Source) []edit.Insert {
		return []edit.Insert{s.Composite(first(s, func(*ast.CompositeLit) bool { return true }), "added")}
	}
	clause := func(s *edit.Source) []edit.Insert {
		return []edit.Insert{s.Case(first(s, func(*ast.TypeSwitchStmt) bool { return true }), "case Added:")}
	}
	for name, test := range map[string]struct {
		change     func(*edit.Source) []edit.Insert
		text, want string
	}{
		"empty body":                {statement, "package p\n\nfunc f() {\n}\n", "package p\n\nfunc f() {\n\tadded()\n}\n"},
		"body on one line":          {statement, "package p\n\nfunc f() {}\n", "package p\n\nfunc f() {\n\tadded()\n}\n"},
		"return on one line":        {statement, "package p\n\nfunc f() int { return 1 }\n", "package p\n\nfunc f() int {\n\tadded()\n\treturn 1\n}\n"},
		"before the return":         {statement, "package p\n\nfunc f() int {\n\t// why\n\treturn 1\n}\n", "package p\n\nfunc f() int {\n\t// why\n\tadded()\n\treturn 1\n}\n"},
		"no imports":                {imports, "package p\n\nvar x int\n", "package p\n\nimport (\n\t\"m/b\"\n)\n\nvar x int\n"},
		"one import":                {imports, "package p\n\nimport \"fmt\"\n\nvar x = fmt.Sprint()\n", "package p\n\nimport \"fmt\"\n\nimport (\n\t\"m/b\"\n)\n\nvar x = fmt.Sprint()\n"},
		"first of its group":        {imports, "package p\n\nimport (\n\t\"fmt\"\n\n\t\"m/c\"\n)\n", "package p\n\nimport (\n\t\"fmt\"\n\n\t\"m/b\"\n\t\"m/c\"\n)\n"},
		"a module with this prefix": {imports, "package p\n\nimport (\n\t\"mm/c\"\n)\n", "package p\n\nimport (\n\t\"mm/c\"\n\n\t\"m/b\"\n)\n"},
		"list on one line":          {list, "package p\n\nvar x = []int{1, 2 /* two */}\n", "package p\n\nvar x = []int{1, 2, added /* two */}\n"},
		"empty list":                {list, "package p\n\nvar x = []int{}\n", "package p\n\nvar x = []int{\n\tadded,\n}\n"},
		"list with a comment":       {list, "package p\n\nvar x = []int{\n\t1, // one\n\t// the end\n}\n", "package p\n\nvar x = []int{\n\t1, // one\n\t// the end\n\tadded,\n}\n"},
		"list that ends in }}":      {list, "package p\n\nvar x = [][]int{{\n\t1,\n}}\n", "package p\n\nvar x = [][]int{{\n\t1,\n}, added}\n"},
		"switch with a default":     {clause, "package p\n\nfunc f(x any) {\n\tswitch x.(type) {\n\tdefault: // others\n\t}\n}\n", "package p\n\nfunc f(x any) {\n\tswitch x.(type) {\n\tcase Added:\n\tdefault: // others\n\t}\n}\n"},
		"unformatted stays so":      {clause, "package p\nfunc f(x any) { switch x.(type) { case  int:\n} }\n", "package p\nfunc f(x any) { switch x.(type) { case  int:\ncase Added:\n} }\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := apply(t, "p.go", []byte(test.text), test.change); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
	s, err := edit.Parse("p.go", []byte("package p\n\nimport _ \"m/b\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Import("m/b", "m"); ok {
		t.Error("a path that is imported already is imported again")
	}
}

// TestCorpus inserts at random places into files of the standard library. It checks
// that the result is Go and still has every original line, in order.
func TestCorpus(t *testing.T) {
	t.Parallel()
	goroot, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(goroot)), "src", "net", "http", "*.go"))
	if err != nil || len(names) < 20 {
		t.Fatalf("net/http has %d files, %v", len(names), err)
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(names).Draw(t, "file")
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := edit.Parse(name, text)
		if err != nil {
			t.Fatal(err)
		}
		var inserts []edit.Insert
		ast.Inspect(s.File, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CompositeLit:
				inserts = append(inserts, s.Composite(n, "added"))
			case *ast.CallExpr:
				if !n.Ellipsis.IsValid() {
					inserts = append(inserts, s.Argument(n, "added"))
				}
			case *ast.FuncDecl:
				if n.Body != nil {
					inserts = append(inserts, s.Statement(n.Body, "added()"))
				}
			case *ast.TypeSwitchStmt:
				inserts = append(inserts, s.Case(n, "case added:"))
			}
			return true
		})
		if i, ok := s.Import("added/added", "added"); ok {
			inserts = append(inserts, i)
		}
		insert := rapid.SampledFrom(inserts).Draw(t, "insert")
		got, err := edit.Apply(name, text, []edit.Insert{insert})
		if err != nil {
			t.Fatalf("%v", err)
		}
		if lost := missing(text, got); lost != "" {
			t.Fatalf("lost %q", lost)
		}
	})
}

// missing returns the first token of before that is not in after, in order. Comments
// count as tokens; semicolons and commas do not, because line ends add and require
// them.
func missing(before, after []byte) string {
	rest := tokens(after)
	for _, token := range tokens(before) {
		i := slices.Index(rest, token)
		if i < 0 {
			return token
		}
		rest = rest[i+1:]
	}
	return ""
}

func tokens(text []byte) []string {
	var s scanner.Scanner
	fset := token.NewFileSet()
	s.Init(fset.AddFile("", fset.Base(), len(text)), text, nil, scanner.ScanComments)
	var all []string
	for {
		switch _, tok, literal := s.Scan(); tok { //nolint:exhaustive // default handles the others
		case token.EOF:
			return all
		case token.SEMICOLON, token.COMMA:
		case token.COMMENT:
			all = append(all, strings.Join(strings.Fields(literal), " "))
		default:
			all = append(all, tok.String()+literal)
		}
	}
}
