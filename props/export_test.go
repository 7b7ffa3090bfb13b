package props

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/internal/value"
)

// Failure is what Check would report in the subtest called Law.
type Failure struct {
	Law   string
	Steps int // of the history, after shrinking
	Text  string
	Page  string
}

// Failures checks s as Check does, but returns the failures in the order of the subtests
// instead of reporting them. Err says why s could not be checked.
func Failures[C, S, E any](t *testing.T, s Suite[C, S, E]) (out []Failure, coverage, err string) {
	t.Helper()
	r := s.run(t)
	if problem := r.search(); problem != "" {
		return nil, "", problem
	}
	for _, l := range r.laws {
		if p := r.verdict(t, l); p != nil {
			var page strings.Builder
			if err := p.write(&page); err != nil {
				t.Error(err)
			}
			out = append(out, Failure{l.name, p.steps, p.text, page.String()})
		}
	}
	for _, v := range r.verdicts() {
		if v.missed {
			out = append(out, Failure{v.name, 0, v.text, ""})
		}
	}
	return out, r.coverage.String(), ""
}

// Found is [Failures] with nothing but their names, without shrinking the histories.
func Found[C, S, E any](t *testing.T, s Suite[C, S, E]) (out []Failure, err string) {
	t.Helper()
	r := s.run(t)
	if problem := r.search(); problem != "" {
		return nil, problem
	}
	for _, l := range r.laws {
		if _, ok := r.failed(l); ok {
			out = append(out, Failure{Law: l.name})
		}
	}
	for _, v := range r.verdicts() {
		if v.missed {
			out = append(out, Failure{Law: v.name})
		}
	}
	return out, ""
}

// Publish writes a page for t, and returns what the report says about it.
func Publish(t *testing.T) string {
	t.Helper()
	return (&report[int, int, int]{test: t.Name(), breach: &breach{}}).publish(t)
}

// PackageOf is what a report takes from the path of a program.
func PackageOf(path string) string { return packageOf(path) }

// Text, Code and Changes are functions of the printer.
func Text[T any](v T) string                { return show.Text(v) }
func Code[T any](v T) string                { return show.Code(v) }
func Changes[T any](before, after T) string { return show.Changes(before, after) }
func Clone[T any](v T) T                    { return value.Clone(v) }

// Timed returns s with a clock that advances a second for each value of seconds.
func Timed[C, S, E any](s Suite[C, S, E], seconds <-chan time.Time) Suite[C, S, E] {
	s.seconds = seconds
	return s
}

// Hasty returns s without most of the search for what never comes.
func Hasty[C, S, E any](s Suite[C, S, E]) Suite[C, S, E] {
	s.enough = few
	return s
}

// HastyProcess is [Hasty] of a process.
func HastyProcess[E, S, C any](p ProcessSuite[E, S, C]) ProcessSuite[E, S, C] {
	p.suite = Hasty(p.suite)
	return p
}

// Problem returns why p cannot be checked, after the seconds of the clock.
func Problem[E, S, C any](t *testing.T, p ProcessSuite[E, S, C], seconds <-chan time.Time) string {
	t.Helper()
	p.suite.seconds = seconds
	_, problem := p.inquiry()(t)
	return problem
}

// Laws returns the names of the laws that s checks.
func Laws[C, S, E any](s Suite[C, S, E]) (names []string) {
	for _, l := range s.chosen() {
		names = append(names, l.name)
	}
	return names
}

// Mutation returns what Mutants logs, the number of killed mutants and of all that count,
// and why Mutants fails.
func Mutation[C, S, E any](t *testing.T, s Suite[C, S, E], more ...func(rapid.TB, decider.Decider[C, S, E])) (text string, killed, all int, problem string) {
	t.Helper()
	m, problem := s.mutation(t, more)
	if problem == "" {
		problem = m.missed(s.score)
	}
	return m.String(), m.killed(), len(m.fates), problem
}

// Mutants returns the mutants of d by name, if its commands and events are those of cmds.
func Mutants[C, S, E any](d decider.Decider[C, S, E], cmds ...C) (names []string, mutant map[string]decider.Decider[C, S, E]) {
	mutant = map[string]decider.Decider[C, S, E]{}
	for _, m := range mutants(d, []History[C, S, E]{play(d, cmds)}) {
		names, mutant[m.name] = append(names, m.name), m.decider
	}
	return names, mutant
}

// Missed returns why Mutants fails if that many of all mutants are killed.
func Missed(killed, all int, least float64) string {
	m := mutation{fates: make([]fate, all)}
	for i := range killed {
		m.fates[i].killer = "a law"
	}
	return m.missed(least)
}

// Comes returns the names of the cases of s that come at least n times in the history of
// cmds.
func Comes[C, S, E any](s Suite[C, S, E], n int, cmds ...C) []string {
	c := newCoverage(s)
	c.add(play(s.decider, cmds))
	return c.comes(n)
}

// Fuzzed returns the texts that Fuzz reports for an input, or why it cannot check s.
func Fuzzed[C, S, E any](t *testing.T, s Suite[C, S, E], data []byte) (texts []string, problem string) {
	t.Helper()
	reports, problem := s.fuzzed(t, &bytesSource{data: data})
	for _, p := range reports {
		texts = append(texts, p.text)
	}
	return texts, problem
}

// FoundAfter returns how many histories of seed it takes to break name, or 0 if limit is
// not enough, and the length of the history before and after shrinking.
func FoundAfter[C, S, E any](t *testing.T, s Suite[C, S, E], name string, seed uint64, limit int) (histories, long, steps int) {
	t.Helper()
	r, f, ok := first(t, s.Checks(limit), name, seed)
	if !ok {
		return 0, 0, 0
	}
	return r.coverage.histories, len(f.cmds), r.explain(t, f).steps
}

// Shrinker returns a function that shrinks a history of s which breaks name, and returns
// its length and the report.
func Shrinker[C, S, E any](t *testing.T, s Suite[C, S, E], name string, seed uint64) func() (steps int, text string) {
	t.Helper()
	r, f, ok := first(t, s, name, seed)
	if !ok {
		t.Fatalf("%q is not broken", name)
	}
	return func() (int, string) {
		p := r.explain(t, f)
		return p.steps, p.text
	}
}

// first returns the first failure of name in the histories of seed.
func first[C, S, E any](t *testing.T, s Suite[C, S, E], name string, seed uint64) (r *run[C, S, E], f failure[C, S, E], ok bool) {
	t.Helper()
	r = s.run(t)
	r.laws = slices.DeleteFunc(r.laws, func(l law[C, S, E]) bool { return l.name != name })
	for !ok && r.try(mix(seed<<32+uint64(r.coverage.histories))) {
		f, ok = r.failures[name]
	}
	return r, f, ok
}

// Quiet returns what rapid is given in place of a test, and what it has recorded.
func Quiet() (tb rapid.TB, said func() (text string, failed bool)) {
	q := &quiet{} // a call that gets to a test would panic
	return q, func() (string, bool) { return q.text.String(), q.failed }
}

// PageOf returns the page that says that cmds break a rule at the step with index here.
func PageOf[C, S, E any](t *testing.T, d decider.Decider[C, S, E], here int, cmds ...C) string {
	t.Helper()
	var page strings.Builder
	p := &report[C, S, E]{law: law[C, S, E]{name: "never", spec: true}, test: t.Name(), history: play(d, cmds), breach: &breach{here, "it is"}}
	if err := p.write(&page); err != nil {
		t.Fatal(err)
	}
	return page.String()
}

// TakeTime gives searching and shrinking an hour each, so that their outcome does not
// depend on how busy the machine is. Call it before any test begins.
func TakeTime() { shrinkBudget, seekBudget = time.Hour, time.Hour }
