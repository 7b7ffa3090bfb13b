package props

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/samber/lo"
	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/internal/value"
)

// ProcessSuite holds what you know about a process, to be checked: see [Process].
type ProcessSuite[E, S, C any] struct {
	process decider.Process[E, S, C]
	suite   Suite[E, map[string]S, E] // generates the events
	laws    []law[E, map[string]S, E] // added by the user
	without []string
}

// Reacted is an event that a process instance has handled.
type Reacted[E, S, C any] struct {
	Instance string // the instance that the event belongs to
	Before   S
	Event    E
	After    S
	Reaction decider.Reaction[C, E]
}

// Reasons why an event is not handled.
var (
	errElsewhere = errors.New("does not concern the process")
	errOver      = errors.New("its instance is over")
)

// Process returns a suite for p, which checks the laws that hold for every process, on
// histories of events for any number of instances:
//
//	func TestShipping(t *testing.T) {
//		props.Process(shipping).Any(Placed{}, Paid{}, Cancelled{}).Check(t)
//	}
//
// The laws are:
//
//   - Key, Evolve, React and Pending are total, deterministic and pure. Replay, which
//     only evolves, leads to the same state and reactions.
//   - Each command that is sent is pending until the process has seen that it is done, so
//     that a crash does not lose it. Nothing is pending that was not sent. These laws do
//     not apply to a process without Pending.
//   - Timers have names, and their events have the key of the instance that set them.
//     They can fire at any time while they run. Timers that are due at once do not go on
//     for ever. The end of an instance stops all its timers.
//
// The suite needs events: add [ProcessSuite.Any] or [ProcessSuite.Events].
func Process[E, S, C any](p decider.Process[E, S, C]) ProcessSuite[E, S, C] {
	s := For(following(p))
	s.decides, s.evolves, s.empty = "Key", "Evolve", "props: the suite has no events: add Any or Events"
	return ProcessSuite[E, S, C]{process: p, suite: s}
}

// following returns p as a decider whose commands are the events of p.
func following[E, S, C any](p decider.Process[E, S, C]) decider.Decider[E, map[string]S, E] {
	at := func(states map[string]S, instance string) S {
		if s, ok := states[instance]; ok {
			return s
		}
		return p.Start()
	}
	return decider.New(func(event E, states map[string]S) ([]E, error) {
		instance, ok := p.Key(event)
		switch {
		case !ok:
			return nil, errElsewhere
		case p.IsTerminal(at(states, instance)):
			return nil, errOver
		}
		return []E{event}, nil
	}, func(states map[string]S, event E) map[string]S {
		instance, ok := p.Key(event)
		if !ok || p.IsTerminal(at(states, instance)) {
			return states
		}
		next := maps.Clone(states)
		if next == nil {
			next = map[string]S{}
		}
		next[instance] = p.Evolve(at(states, instance), event)
		return next
	})
}

// Any adds events like samples, as [Suite.Any] adds commands. They may include the events
// of timers.
func (s ProcessSuite[E, S, C]) Any(samples ...E) ProcessSuite[E, S, C] {
	s.suite = s.suite.Any(samples...)
	return s
}

// Events draws events that fit the current instances, as [Suite.Commands] draws commands.
func (s ProcessSuite[E, S, C]) Events(draw func(t *rapid.T, instances map[string]S) E) ProcessSuite[E, S, C] {
	s.suite = s.suite.Commands(draw)
	return s
}

// Invariant adds a law with the given name: holds returns nil for the state of each
// instance after each event, or an error that says what is wrong.
func (s ProcessSuite[E, S, C]) Invariant(name string, holds func(state S) error) ProcessSuite[E, S, C] {
	return s.Rule(name, func(r Reacted[E, S, C]) error { return holds(r.After) })
}

// Rule adds a law with the given name: holds returns nil for each event that is handled,
// or an error that says what is wrong with its outcome.
func (s ProcessSuite[E, S, C]) Rule(name string, holds func(r Reacted[E, S, C]) error) ProcessSuite[E, S, C] {
	s.laws = append(slices.Clip(s.laws), reacting(s.process, name, func(i int, r Reacted[E, S, C]) *breach {
		return complaint(i, func() error { return holds(r) })
	}))
	return s
}

// Idempotent adds the law that events may be redelivered, as by a source that delivers at
// least once. When an instance handles its last event a second time, or its last few
// events in the same order, each of which changed it, its state stays the same, and it
// sends no command that it had not sent before. It may send the same command again: the
// id of the command, derived from the event, tells the receiver.
func (s ProcessSuite[E, S, C]) Idempotent() ProcessSuite[E, S, C] {
	s.laws = append(slices.Clip(s.laws), redelivery(s.process))
	return s
}

// Without leaves out laws, given the names of their subtests. It panics if a law does not
// exist.
func (s ProcessSuite[E, S, C]) Without(laws ...string) ProcessSuite[E, S, C] {
	known := s.all()
	for _, name := range laws {
		if !slices.ContainsFunc(known, func(l law[E, map[string]S, E]) bool { return l.name == name }) {
			panic(fmt.Sprintf("props: Without(%q): there is no such law", name))
		}
	}
	s.without = slices.Concat(s.without, laws)
	return s
}

// Checks is [Suite.Checks].
func (s ProcessSuite[E, S, C]) Checks(n int) ProcessSuite[E, S, C] {
	s.suite = s.suite.Checks(n)
	return s
}

// Check checks all laws, each in a subtest with its name, as [Suite.Check] does. It also
// fails if a kind of event is never handled, or if a timer is cancelled that no history
// starts.
func (s ProcessSuite[E, S, C]) Check(t *testing.T) {
	t.Helper()
	conclude(t, s.inquiry())
}

func (s ProcessSuite[E, S, C]) inquiry() inquiry {
	return func(t *testing.T) (found []finding, problem string) {
		t.Helper()
		if problem := s.missing(); problem != "" {
			return nil, problem
		}
		s.suite.watch = &watch{seconds: s.suite.seconds}
		s.process = watchedProcess(s.suite.watch, s.process)
		book := &timerBook{started: map[string]bool{}, cancelled: map[string]bool{}}
		laws := append(s.all(), reacting(s.process, book.name(), func(_ int, r Reacted[E, S, C]) *breach {
			for _, t := range r.Reaction.Later {
				book.started[t.Name] = true
			}
			for _, name := range r.Reaction.Cancel {
				book.cancelled[name] = true
			}
			return nil
		}))
		laws = slices.DeleteFunc(laws, func(l law[E, map[string]S, E]) bool { return slices.Contains(s.without, l.name) })
		found, problem = trialAs(s.suite, quietly(s.process, laws), s.report)(t)
		for i, f := range found {
			switch f.law {
			case book.name():
				found[i] = told(f.law, book.verdict())
			case everyCommand:
				found[i].law = "every event is handled sometimes"
			}
		}
		return found, problem
	}
}

// missing returns an error text if a function of the process is nil, or "".
func (s ProcessSuite[E, S, C]) missing() string {
	switch {
	case s.process.Key == nil:
		return "props: Key is nil"
	case s.process.Evolve == nil:
		return "props: Evolve is nil"
	case s.process.React == nil:
		return "props: React is nil"
	}
	return ""
}

// quietly returns laws that ignore a history in which Key, React or Pending panic: the
// laws of totality report it.
func quietly[E, S, C any](p decider.Process[E, S, C], laws []law[E, map[string]S, E]) []law[E, map[string]S, E] {
	key, react := keyTotal[E, map[string]S](p.Key), reactTotal(p)
	out := slices.Clone(laws)
	for i, l := range laws {
		if strings.HasSuffix(l.name, " is total") {
			continue
		}
		out[i].check = func(r *run[E, map[string]S, E], es []E) (b *breach) {
			if err := catch(func() { b = l.check(r, es) }); err != nil {
				b = &breach{len(es) - 1, err.Error()}
			}
			if b != nil && (key(r, es) != nil || react(r, es) != nil) {
				return nil
			}
			return b
		}
	}
	return out
}

// timerBook records what the histories did with timers.
type timerBook struct{ started, cancelled map[string]bool }

func (b *timerBook) name() string { return "every cancelled timer is started sometimes" }

func (b *timerBook) verdict() string {
	for _, name := range slices.Sorted(maps.Keys(b.cancelled)) {
		if !b.started[name] {
			return fmt.Sprintf("the timer %q is cancelled, but no history starts a timer with that name: is it misspelt?\n  started timers: %q",
				name, slices.Sorted(maps.Keys(b.started)))
		}
	}
	return ""
}

// report is run.report for histories of events.
func (s ProcessSuite[E, S, C]) report(t *testing.T, r *run[E, map[string]S, E], f failure[E, map[string]S, E]) (text string, steps int) {
	t.Helper()
	r.t, r.thorough = t, true
	began := now()
	k := &shrinker[E]{
		cmds: f.cmds, blanks: r.generator.blanks, until: began.Add(shrinkBudget),
		check: func(es []E) *breach { return r.broken(f.law, es) },
	}
	for range retries {
		if k.breach = k.check(f.cmds); k.breach != nil {
			break
		}
	}
	if k.breach == nil {
		return fmt.Sprintf("%s: broken by history %d, but not when the history was run again:\n\tdoes the process depend on more than its arguments?", f.law.name, f.history), len(f.cmds)
	}
	k.shrink()
	for unify(k) {
		k.shrink()
	}
	text = headline(f.law.name, k.breach.step) + "\n" + show.Indent(k.breach.text, "\t")
	if len(k.cmds) > 0 {
		text += section("history (event, what the process does about it, what changed)", s.trace(k.cmds, k.breach.step))
	}
	return text + fmt.Sprintf("\nhistory %d, after %v; shrunk from %d steps to %d in %v (%d runs)\n\tagain: %s",
		f.history, brief(f.after), len(f.cmds), len(k.cmds), brief(now().Sub(began)), k.tries, rerun(t.Name(), r.replay)), len(k.cmds)
}

// unify shortens a text that several events hold, in all of them at once. The text may be
// the id of an instance, which the shrinker could not change in one event without
// separating it from the others.
func unify[E any](k *shrinker[E]) bool {
	for _, from := range k.texts() {
		for _, to := range []string{"", "a"} {
			if len(from) > len(to) && k.try(k.renamed(from, to)) {
				return true
			}
		}
	}
	return false
}

// texts returns the values of all text fields that may change.
func (s *shrinker[C]) texts() (all []string) {
	for i := range s.cmds {
		v := value.Struct(reflect.ValueOf(&s.cmds[i]).Elem())
		for _, n := range s.open(i) {
			if f := v.Field(n); f.Kind() == reflect.String {
				all = append(all, f.String())
			}
		}
	}
	return lo.Uniq(all)
}

// renamed returns the commands with to in each text field that holds from and may change.
func (s *shrinker[C]) renamed(from, to string) []C {
	out := slices.Clone(s.cmds)
	for i := range out {
		v := value.Struct(reflect.ValueOf(&s.cmds[i]).Elem())
		for _, n := range s.open(i) {
			if f := v.Field(n); f.Kind() == reflect.String && f.String() == from {
				out[i] = value.Edit(out[i], func(v reflect.Value) { v.Field(n).SetString(to) })
			}
		}
	}
	return out
}

// trace returns a line for each event, and marks the one with index here.
func (s ProcessSuite[E, S, C]) trace(events []E, here int) []string {
	h := play(following(s.process), events)
	rows := make([][]string, len(h.Steps))
	for i, step := range h.Steps {
		rows[i] = []string{show.Text(step.Command), "", show.Changes(step.Before, step.After)}
		if step.Err != nil {
			rows[i][1] = "✗ " + step.Err.Error()
			continue
		}
		if err := catch(func() {
			r := reacted(s.process, step)
			rows[i][1] = reactionText(r.Reaction)
		}); err != nil {
			rows[i][1] = "✗ " + err.Error()
		}
	}
	return aligned(rows, here)
}
