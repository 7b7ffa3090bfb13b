// Command mutants asks whether the tests notice when the code of a package is wrong. It
// makes small changes to the code, one at a time, runs the tests on each, and names the
// changes that no test notices:
//
//	go run ./internal/mutants -n 30 -seed 1 ./store/memory
//
// The tests of the package itself come first. A change that they do not notice goes to
// the packages of the module that import it, the quickest first, but only to those whose
// tests run the changed line. All these tests must pass without a change; how long they
// take then decides how long they may take with one.
//
// The files stay as they are: go test gets the changed one as an overlay. The same seed
// makes the same changes. A change that does not compile does not count, and one that
// makes the tests hang is noticed.
package main

import (
	"context"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	var s settings
	flag.IntVar(&s.n, "n", 20, "how many mutants to try in each package")
	flag.Uint64Var(&s.seed, "seed", 1, "which ones")
	flag.BoolVar(&s.short, "short", true, "run the tests with -short")
	flag.BoolVar(&s.alone, "alone", false, "run only the tests of the package itself")
	flag.StringVar(&s.only, "only", "", "change only lines of the files whose `name:line` begins so")
	flag.DurationVar(&s.slow, "slow", time.Minute, "leave out importing packages whose tests take longer")
	flag.Parse()
	survived := 0
	for _, dir := range flag.Args() {
		alive, err := try(context.Background(), os.Stdout, dir, s)
		if err != nil {
			fmt.Fprintln(os.Stderr, "mutants:", err)
			os.Exit(2) //nolint:forbidigo // this is main
		}
		survived += alive
	}
	if survived > 0 {
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

// settings say which mutants are tried, and on which tests.
type settings struct {
	n            int
	seed         uint64
	short, alone bool
	only         string
	slow         time.Duration
}

// mutant is a change of a file, not made yet.
type mutant struct {
	change
	file string // as an absolute path
	tree *ast.File
	set  *token.FileSet
}

// where returns the base name of the mutant's file, and the line.
func (m mutant) where() string {
	return fmt.Sprintf("%s:%d", filepath.Base(m.file), m.set.Position(m.at).Line)
}

// try runs the tests on s.n mutants of the package in dir, tells w of each, and returns
// how many survived.
func try(ctx context.Context, w io.Writer, dir string, s settings) (survived int, err error) {
	all, err := mutantsOf(dir)
	if err != nil {
		return 0, err
	}
	if len(all) == 0 {
		return 0, fmt.Errorf("there is no code to change in %s", dir)
	}
	tmp, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(tmp)
	tests, err := testsOf(ctx, w, dir, tmp, s)
	if err != nil {
		return 0, err
	}
	tried := 0
	for _, i := range rand.New(rand.NewPCG(s.seed, 0)).Perm(len(all)) { //nolint:gosec // repeatable on purpose
		if tried == s.n {
			break
		}
		if !strings.HasPrefix(all[i].where(), s.only) {
			continue
		}
		fresh, err := mutantsOf(dir) // a syntax tree that no earlier mutant has changed
		if err != nil {
			return survived, err
		}
		f, err := tests.try(ctx, fresh[i])
		if err != nil {
			return survived, err
		}
		if f.invalid {
			continue
		}
		tried++
		if f.by == "" {
			survived++
		}
		fmt.Fprintf(w, "%-8s  %s  %s%s\n", f.word(), all[i].where(), all[i].what, f.killer())
	}
	fmt.Fprintf(w, "%s: %d of %d mutants survived\n", dir, survived, tried)
	return survived, nil
}

// fate is what became of a mutant.
type fate struct {
	invalid bool   // it does not compile
	by      string // the test that notices it, or how else it was noticed; empty if it was not
}

func (f fate) word() string {
	if f.by == "" {
		return "SURVIVED"
	}
	return "killed"
}

func (f fate) killer() string {
	if f.by == "" {
		return ""
	}
	return "  by " + f.by
}

// mutantsOf returns what can be changed in the code of dir, always in the same order.
func mutantsOf(dir string) (all []mutant, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		name, err := filepath.Abs(name)
		if err != nil {
			return nil, err
		}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		if ast.IsGenerated(tree) {
			continue
		}
		ast.Inspect(tree, func(node ast.Node) bool {
			for _, c := range changes(node) {
				all = append(all, mutant{c, name, tree, set})
			}
			return true
		})
	}
	return all, nil
}
