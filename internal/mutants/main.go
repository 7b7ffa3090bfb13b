// Command mutants asks whether the tests notice when the code of a package is wrong. It
// makes small changes to the code, one at a time, runs the tests on each, and names the
// changes that no test notices:
//
//	go run ./internal/mutants -n 30 -seed 1 ./store/memory
//
// All changes are compiled at once, and each is there only in a process that is told to
// have it. The tests first run without any, which must pass, and tells which changes they
// reach and how long they take; that decides how long they may take with a change. The
// tests of the package itself come first. A change that they do not notice goes to the
// packages of the module that import it and whose tests reach it, the quickest first.
//
// The files stay as they are: go test gets the changed ones as an overlay. The same seed
// makes the same changes. A change that does not compile does not count, and one that
// makes the tests hang is noticed.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"syscall"
	"time"
)

func main() {
	var s settings
	flag.IntVar(&s.n, "n", 20, "how many mutants to try in each package")
	flag.Uint64Var(&s.seed, "seed", 1, "which ones")
	flag.BoolVar(&s.short, "short", true, "run the tests with -short")
	flag.BoolVar(&s.alone, "alone", false, "run only the tests of the package itself")
	compiled := func(to **regexp.Regexp) func(string) error {
		return func(pattern string) (err error) {
			*to, err = regexp.Compile(pattern)
			return err
		}
	}
	flag.Func("only", "make only changes that this `pattern` matches, as they are printed", compiled(&s.only))
	flag.Func("users", "of the importing packages, ask only those that this `pattern` matches", compiled(&s.chosen))
	flag.StringVar(&s.skip, "skip", "", "leave out the tests that this `pattern` matches, because they take long")
	flag.DurationVar(&s.slow, "slow", time.Minute, "leave out importing packages whose tests take longer")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) // ends the tests too
	context.AfterFunc(ctx, stop)                                                           // so that a second signal ends this program at once
	survived := 0
	for _, dir := range flag.Args() {
		alive, err := try(ctx, os.Stdout, dir, s)
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

// settings say which mutants to try, and with which tests.
type settings struct {
	n            int
	seed         uint64
	short, alone bool
	only, chosen *regexp.Regexp
	skip         string
	slow         time.Duration
}

// try tests s.n mutants of the package in dir, reports each to w, and returns how many
// survived.
func try(ctx context.Context, w io.Writer, dir string, s settings) (survived int, err error) {
	tmp, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o711); err != nil { //nolint:gosec // tests start servers there as another user
		return 0, err
	}
	mutants, err := draw(ctx, dir, tmp, s)
	if err != nil {
		return 0, err
	}
	tests, err := testsOf(ctx, w, dir, tmp, mutants, s)
	if err != nil {
		return 0, err
	}
	for _, m := range mutants {
		by, err := tests.try(ctx, m)
		switch {
		case err != nil:
			return survived, err
		case by == "":
			survived++
			fmt.Fprintf(w, "SURVIVED  %s  %s\n", m.where, m.what)
		default:
			fmt.Fprintf(w, "killed    %s  %s  by %s\n", m.where, m.what, by)
		}
	}
	fmt.Fprintf(w, "%s: %d of %d mutants survived\n", dir, survived, len(mutants))
	return survived, nil
}

// draw chooses mutants that compile, and plants them.
func draw(ctx context.Context, dir, tmp string, s settings) ([]mutant, error) {
	_, all, err := parse(dir)
	if err != nil {
		return nil, err
	}
	order := rand.New(rand.NewPCG(s.seed, 0)).Perm(len(all)) //nolint:gosec // repeatable on purpose
	order = slices.DeleteFunc(order, func(i int) bool {
		return s.only != nil && !s.only.MatchString(all[i].where+"  "+all[i].what)
	})
	var chosen []int
	for len(chosen) < s.n && len(order) > 0 {
		next := order[:min(s.n-len(chosen), len(order))]
		order = order[len(next):]
		fit, err := compiling(ctx, dir, tmp, next)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, fit...)
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("there is no code to change in %s", dir)
	}
	mutants := make([]mutant, len(chosen))
	for n, i := range chosen {
		mutants[n] = all[i]
		mutants[n].number = n + 1
	}
	_, err = plant(dir, tmp, chosen)
	return mutants, err
}
