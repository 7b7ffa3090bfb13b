package props

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/internal/show"
)

const (
	judged     = 100        // histories in which each mutant is judged, at least
	mostJudged = 8 * judged // the same, at most
	often      = 10         // times that the decider must show a behavior before its absence kills a mutant
)

// MutantScore sets the share of mutants, from 0 to 1, that [Suite.Mutants] requires to be
// killed. The default is 0, which only reports. It panics if least is not between 0 and
// 1.
func (s Suite[C, S, E]) MutantScore(least float64) Suite[C, S, E] {
	if !(0 <= least && least <= 1) { // nor NaN
		panic(fmt.Sprintf("props: MutantScore(%v)", least))
	}
	s.score = least
	return s
}

// Mutants checks whether the laws of the suite would notice a broken decider. It makes
// mutants of the decider, each with one fault: Decide ignores or never rejects a kind of
// command, returns an event twice or not at all, or sees a field of the state as empty or
// huge; Evolve ignores an event, or does not set a field. It logs the mutants that no law
// kills: write rules for those. Mutants that behave like the decider do not count.
//
// A field is a field of the state, of a struct in it, or of all structs in one of its maps
// and slices, such as Accounts[].Balance. Deeper fields have no mutants of their own: write
// a scenario for what an event sets there.
//
// A mutant is killed by what the suite says about the domain (invariants, rules, what
// must be possible or reached), by the laws that a mutant can break, and by the tests in
// more: each of those gets a mutant, and fails the test that it gets, as scenarios do. A
// case that the decider itself reaches fewer than 10 times in 800 histories cannot kill a
// mutant; Mutants logs its name.
//
// Mutants fails if the decider itself breaks a law, or if the share of killed mutants is
// below [Suite.MutantScore]. It uses the same histories each time.
func (s Suite[C, S, E]) Mutants(t *testing.T, more ...func(t rapid.TB, d decider.Decider[C, S, E])) {
	t.Helper()
	report, problem := s.mutation(t, more)
	if problem != "" {
		t.Fatal(problem)
	}
	t.Log(report)
	if missed := report.missed(s.score); missed != "" {
		t.Error(missed)
	}
}

// fate is the outcome for one mutant.
type fate struct {
	mutant string
	killer string // the law, or "" if the mutant survived
}

// mutation is the outcome for all mutants.
type mutation struct {
	fates  []fate
	same   int      // mutants that make no difference
	seldom []string // cases that the decider reaches too seldom to kill a mutant
}

func (s Suite[C, S, E]) mutation(t *testing.T, more []func(rapid.TB, decider.Decider[C, S, E])) (out mutation, problem string) {
	t.Helper()
	if unfit := orElse(s.missing(), s.unknown()); unfit != "" {
		return out, unfit
	}
	base, goal := s.standard(t)
	killer, problem := base.killer()
	if killer == "" {
		killer = failing(t, s.decider, more)
	}
	if problem != "" || killer != "" {
		return out, orElse(problem, fmt.Sprintf("props: the decider itself breaks %q: Check tells more", killer))
	}
	expected := base.coverage.comes(often)
	for _, v := range base.coverage.wanted() {
		if !slices.Contains(expected, v.name) {
			out.seldom = append(out.seldom, v.name)
		}
	}
	histories := make([]History[C, S, E], judged)
	for i := range histories {
		histories[i] = s.Example(uint64(i))
	}
	s.checks = goal
	for _, m := range mutants(s.decider, histories) {
		w, differs := &watch{seconds: s.seconds}, false
		d := watched(w, m.decider, s.decides, s.evolves)
		hung := w.guard(func() {
			differs = slices.ContainsFunc(histories, func(h History[C, S, E]) bool { return otherwise(d, h) })
		})
		switch {
		case hung != "":
			out.fates = append(out.fates, fate{m.name, "it hangs"})
		case !differs:
			out.same++
		default:
			out.fates = append(out.fates, fate{m.name, s.killer(t, m.decider, more, expected)})
		}
	}
	return out, ""
}

// standard judges the decider itself. It returns the result that shows the most behaviors
// often, and in how many histories: the fewest that do.
func (s Suite[C, S, E]) standard(t *testing.T) (best *run[C, S, E], goal int) {
	t.Helper()
	for s.checks = judged; s.checks <= mostJudged; s.checks *= 2 {
		r := s.judge(t, s.decider)
		broken := len(r.failures) > 0 || r.problem != nil
		shown := len(r.coverage.comes(often))
		if best == nil || broken || shown > len(best.coverage.comes(often)) {
			best, goal = r, s.checks
		}
		if broken || shown == len(r.coverage.wanted()) {
			break
		}
	}
	return best, goal
}

// otherwise reports whether d answers the commands of h differently.
func otherwise[C, S, E any](d decider.Decider[C, S, E], h History[C, S, E]) bool {
	cmds := make([]C, len(h.Steps))
	for i, s := range h.Steps {
		cmds[i] = s.Command
	}
	for i, s := range play(d, cmds).Steps { // if there are fewer, the last one panicked
		if was := h.Steps[i]; s.outcome() != was.outcome() || !show.Same(s.After, was.After) {
			return true
		}
	}
	return false
}

// killer returns the name of what tells d from a correct decider, or "" if nothing does.
// Expected are the verdicts that a correct decider passes.
func (s Suite[C, S, E]) killer(t *testing.T, d decider.Decider[C, S, E], more []func(rapid.TB, decider.Decider[C, S, E]), expected []string) string {
	t.Helper()
	r := s.judge(t, d)
	killer, problem := r.killer()
	if killer = orElse(killer, problem); killer != "" {
		return killer
	}
	comes := r.coverage.comes(1)
	for _, name := range expected {
		if !slices.Contains(comes, name) {
			return name
		}
	}
	return failing(t, d, more)
}

// judge checks on d the laws that mutants can break, in s.checks histories or until one
// is broken.
func (s Suite[C, S, E]) judge(t *testing.T, d decider.Decider[C, S, E]) *run[C, S, E] {
	t.Helper()
	s.decider = d
	r := s.run(t)
	r.laws = slices.DeleteFunc(r.laws, func(l law[C, S, E]) bool {
		return !l.domain && !slices.Contains([]string{"decide is total", "evolve is total", "a terminal state stays", "a rejection has no events"}, l.name)
	})
	if hung := r.watch.guard(func() {
		for seed := uint64(0); len(r.failures) == 0 && r.try(seed); {
			seed++
		}
	}); hung != "" {
		r.problem = errors.New(hung)
	}
	return r
}

// killer returns the name of a broken law, or the reason why no law could be checked.
func (r *run[C, S, E]) killer() (law, problem string) {
	for _, l := range r.laws {
		if _, ok := r.failures[l.name]; ok {
			return l.name, ""
		}
	}
	if r.problem != nil {
		return "", r.problem.Error()
	}
	return "", ""
}

// comes returns the names of the verdicts whose case has come at least n times.
func (c *coverage[C, S, E]) comes(n int) (names []string) {
	for _, v := range c.wanted() {
		if !v.missed {
			names = append(names, v.name)
		}
	}
	few := func(name string) bool {
		if i := slices.IndexFunc(c.reaches, func(r reach[C, S, E]) bool { return r.name == name }); i >= 0 {
			return c.hits[i] < n
		}
		return name == everyCommand && slices.ContainsFunc(slices.Collect(maps.Values(c.kinds)), func(t *tally) bool { return t.acted < n })
	}
	return slices.DeleteFunc(names, few)
}

// failing returns the name of the first test in more that fails on d.
func failing[C, S, E any](t *testing.T, d decider.Decider[C, S, E], more []func(rapid.TB, decider.Decider[C, S, E])) string {
	t.Helper()
	for i, test := range more {
		if fails(t, func(t rapid.TB) { test(t, d) }) {
			return fmt.Sprintf("scenarios %d", i+1)
		}
	}
	return ""
}

// fails reports whether test fails or panics.
func fails(t *testing.T, test func(rapid.TB)) bool {
	t.Helper()
	w := &witness{TB: t}
	done := make(chan struct{})
	go func() { // because FailNow ends its goroutine
		defer close(done)
		if catch(func() { test(w) }) != nil {
			w.failed = true
		}
	}()
	<-done
	return w.failed
}

// witness is a test that records whether it failed and reports nothing.
type witness struct {
	rapid.TB

	failed bool
}

func (w *witness) Helper()             {}
func (w *witness) Log(...any)          {}
func (w *witness) Logf(string, ...any) {}
func (w *witness) Fail()               { w.failed = true }
func (w *witness) Failed() bool        { return w.failed }
func (w *witness) FailNow() {
	w.failed = true
	runtime.Goexit()
}
func (w *witness) Error(...any)          { w.Fail() }
func (w *witness) Errorf(string, ...any) { w.Fail() }
func (w *witness) Fatal(...any)          { w.FailNow() }
func (w *witness) Fatalf(string, ...any) { w.FailNow() }
func (w *witness) Skip(...any)           { runtime.Goexit() }
func (w *witness) Skipf(string, ...any)  { runtime.Goexit() }
func (w *witness) SkipNow()              { runtime.Goexit() }

// missed returns a message if the share of killed mutants is below least.
func (m mutation) missed(least float64) string {
	if killed := m.killed(); float64(killed)/float64(len(m.fates)) < least {
		return fmt.Sprintf("%d of %d mutants killed, want %.4g%%", killed, len(m.fates), 100*least)
	}
	return ""
}

func (m mutation) killed() int {
	n := 0
	for _, f := range m.fates {
		if f.killer != "" {
			n++
		}
	}
	return n
}

// String returns the mutants, survivors first.
func (m mutation) String() string {
	var survived, killed strings.Builder
	for _, f := range m.fates {
		if f.killer == "" {
			fmt.Fprintf(&survived, "\n\tSURVIVED  %s", f.mutant)
			continue
		}
		fmt.Fprintf(&killed, "\n\tkilled    %s, by %q", f.mutant, f.killer)
	}
	for _, name := range m.seldom {
		fmt.Fprintf(&killed, "\n\tkills nothing, because the decider itself seldom does it: %q", name)
	}
	return fmt.Sprintf("%d of %d mutants killed, %d make no difference%s%s", m.killed(), len(m.fates), m.same, survived.String(), killed.String())
}
