// Command mutants asks whether the tests of a package notice when its code is wrong.
// It makes small changes to the code, one at a time, runs the tests on each, and names
// the changes that no test has noticed:
//
//	go run ./internal/mutants -n 30 -seed 1 ./props
//
// The files stay as they are: go test gets the changed one as an overlay. The same seed
// makes the same changes. A change that does not compile does not count, and one that
// makes the tests hang is noticed.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	n := flag.Int("n", 20, "how many mutants to try in each package")
	seed := flag.Uint64("seed", 1, "which ones")
	limit := flag.Duration("timeout", 2*time.Minute, "how long the tests of a mutant may take")
	flag.Parse()
	survived := 0
	for _, dir := range flag.Args() {
		s, err := try(context.Background(), os.Stdout, dir, *n, *seed, *limit)
		if err != nil {
			fmt.Fprintln(os.Stderr, "mutants:", err)
			os.Exit(2) //nolint:forbidigo // this is main
		}
		survived += s
	}
	if survived > 0 {
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

// mutant is a change of a file, not made yet.
type mutant struct {
	file string
	line int
	what string
	make func() // changes the syntax tree
	tree *ast.File
	set  *token.FileSet
}

// try runs the tests of the package in dir on n mutants, tells w of each, and returns
// how many survived.
func try(ctx context.Context, w io.Writer, dir string, n int, seed uint64, limit time.Duration) (survived int, err error) {
	all, err := count(dir)
	if err != nil {
		return 0, err
	}
	order := rand.New(rand.NewPCG(seed, 0)).Perm(all) //nolint:gosec // repeatable on purpose
	tried := 0
	for _, i := range order {
		if tried == n {
			break
		}
		mutants, err := mutantsOf(dir) // a fresh tree for each
		if err != nil {
			return survived, err
		}
		m := mutants[i]
		m.make()
		fate, err := m.test(ctx, dir, limit)
		if err != nil {
			return survived, err
		}
		if fate == invalid {
			continue
		}
		tried++
		if fate == alive {
			survived++
		}
		fmt.Fprintf(w, "%-8s  %s:%d  %s\n", fate, m.file, m.line, m.what)
	}
	fmt.Fprintf(w, "%s: %d of %d mutants survived\n", dir, survived, tried)
	return survived, nil
}

func count(dir string) (int, error) {
	mutants, err := mutantsOf(dir)
	if err == nil && len(mutants) == 0 {
		err = fmt.Errorf("there is no code to change in %s", dir)
	}
	return len(mutants), err
}

// What became of a mutant.
const (
	invalid = "invalid" // it does not compile
	alive   = "SURVIVED"
	killed  = "killed"
)

// test runs the tests of dir with m in place of its file.
func (m mutant) test(ctx context.Context, dir string, limit time.Duration) (fate string, err error) {
	var code bytes.Buffer
	if err := format.Node(&code, m.set, m.tree); err != nil {
		return invalid, nil
	}
	tmp, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	changed, overlay := filepath.Join(tmp, "changed.go"), filepath.Join(tmp, "overlay.json")
	original, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(changed, code.Bytes(), 0o600); err != nil {
		return "", err
	}
	if err := os.WriteFile(overlay, replace, 0o600); err != nil {
		return "", err
	}
	if err := run(ctx, limit, dir, "vet", "-overlay="+overlay, "."); err != nil {
		return invalid, nil // it does not compile
	}
	if err := run(ctx, limit, dir, "test", "-short", "-failfast", "-overlay="+overlay, "."); err != nil {
		return killed, nil // as it should
	}
	return alive, nil
}

func run(ctx context.Context, limit time.Duration, dir string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // on our own code
	cmd.Dir = dir
	cmd.WaitDelay = time.Second
	return cmd.Run()
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
				all = append(all, mutant{name, set.Position(node.Pos()).Line, c.what, c.make, tree, set})
			}
			return true
		})
	}
	return all, nil
}
