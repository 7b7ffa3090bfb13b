// Command peers compares evolve with other Go libraries for event sourcing, and with the
// same job by hand, and prints tables in Markdown.
//
//	go run . -stores memory,sqlite -rounds 5 -time 80ms
//	go run . -write    also writes results.md, and the results into docs/performance.md
//
// PostgreSQL is a server that it starts from the binaries of the machine, or the one that
// EVOLVE_POSTGRES_URL names. Without either, say which stores to compare. It needs cgo, for
// the SQLite of the others.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var s settings
	var write bool
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.Func("stores", "compare on these `stores` only: "+strings.Join(names(tables()), ","), func(v string) (err error) {
		s.tables, err = chosen(v, tables(), func(t table) string { return t.name })
		return err
	})
	flags.Func("jobs", "compare these `jobs` only, such as append-1,hot", func(v string) (err error) {
		s.jobs, err = chosen(v, jobs(), func(j job) string { return j.name })
		return err
	})
	flags.IntVar(&s.rounds, "rounds", 5, "how often each job is run")
	flags.DurationVar(&s.each, "time", 80*time.Millisecond, "how long each job is run in each round, at least")
	flags.BoolVar(&write, "write", false, "write the results to "+resultsFile+" and into "+pageFile)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if s.rounds < 1 || flags.NArg() > 0 {
		return errors.New("rounds must be 1 or more, and there are no arguments beside the flags")
	}
	text, err := s.results(ctx)
	if err != nil {
		return err
	}
	fmt.Print(text)
	if write {
		return publish(".", text)
	}
	return nil
}

// settings say what to compare, and for how long.
type settings struct {
	tables []table
	jobs   []job
	rounds int
	each   time.Duration
	load   string // of the machine before the run
}

// chosen returns the members of all that are in a list of names, in the order of all.
func chosen[T any](list string, all []T, name func(T) string) ([]T, error) {
	var found []T
	wanted := strings.Split(list, ",")
	for _, one := range all {
		if i := slices.Index(wanted, name(one)); i >= 0 {
			found, wanted = append(found, one), slices.Delete(wanted, i, i+1)
		}
	}
	if len(wanted) > 0 {
		return nil, fmt.Errorf("there is no %q", wanted[0])
	}
	return found, nil
}

func names(ts []table) []string {
	all := make([]string, len(ts))
	for i, t := range ts {
		all[i] = t.name
	}
	return all
}

// results runs the comparison and returns the page of results.
func (s settings) results(ctx context.Context) (string, error) {
	if s.tables == nil {
		s.tables = tables()
	}
	if s.jobs == nil {
		s.jobs = jobs()
	}
	began := time.Now()
	s.load = load()
	var all, slower []string
	var found [][]result
	for _, t := range s.tables {
		fmt.Fprintf(os.Stderr, "%s: %s\n", time.Since(began).Round(time.Second), t.title)
		results, err := compare(ctx, t, s.jobs, s.rounds, s.each)
		if err != nil {
			return "", err
		}
		all, slower = append(all, report(t, results)), append(slower, lost(t, results)...)
		found = append(found, results)
	}
	if slower == nil {
		slower = []string{"At no job of this run."}
	}
	return s.head(ctx, began) + "\n### Where evolve is slower than a peer\n\n" + strings.Join(slower, "\n") + "\n\n" +
		beside(s.tables, found) + "\n" + strings.Join(all, "\n"), nil
}

const (
	resultsFile = "results.md"
	pageFile    = "../../docs/performance.md"
	begins      = "<!-- results: make bench-peers WRITE=1 -->\n"
	ends        = "<!-- end of results -->\n"
)

// publish writes the results to their file, and to the page that quotes them.
func publish(dir, text string) error {
	name := filepath.Join(dir, pageFile)
	page, err := os.ReadFile(name) //nolint:gosec // ours
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(page), begins)
	_, after, ended := strings.Cut(rest, ends)
	if !found || !ended {
		return fmt.Errorf("%s has no place for the results: no line %q with a line %q after it", name, begins, ends)
	}
	if err := os.WriteFile(filepath.Join(dir, resultsFile), []byte(text), 0o644); err != nil { //nolint:gosec // the mode that git uses
		return err
	}
	return os.WriteFile(name, []byte(before+begins+"\n"+text+"\n"+ends+after), 0o644) //nolint:gosec // the mode that git uses
}
