package props

import (
	"errors"
	"testing"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/internal/value"
)

// Same checks that other behaves like the decider of s when seen from outside: on the
// histories of s both decide the same events, reject with the same errors, and reach
// their end at the same time. Their states may have different types. Use it for a decider
// that you rewrote, and for a combinator that promises to change nothing:
//
//	props.Same(t, props.For(account).Any(…), accountV2)
//
// Two errors are the same if errors.Is says so for one of them, or if their texts are
// equal. Same checks only these laws. [Suite.Check] checks the laws of s.
func Same[C, S, T, E any](t *testing.T, s Suite[C, S, E], other decider.Decider[C, T, E]) {
	t.Helper()
	conclude(t, trial(s, sameLaws[C, S](other)))
}

func sameLaws[C, S, T, E any](other decider.Decider[C, T, E]) []law[C, S, E] {
	return []law[C, S, E]{
		{name: "both decide the same", spec: true, check: func(r *run[C, S, E], cmds []C) *breach {
			return beside(r, cmds, other, func(i int, s Step[C, S, E], o Step[C, T, E]) *breach {
				if agrees(s, o) {
					return nil
				}
				return breachf(i, "the two decide %s differently:\n  this one   %s\n  the other  %s", show.Text(s.Command), s.outcome(), o.outcome())
			})
		}},
		{name: "both reject with the same error", spec: true, check: func(r *run[C, S, E], cmds []C) *breach {
			return beside(r, cmds, other, func(i int, s Step[C, S, E], o Step[C, T, E]) *breach {
				if s.Err == nil || o.Err == nil || alike(s.Err, o.Err) {
					return nil
				}
				return breachf(i, "both reject %s, with different errors:\n  this one   %v\n  the other  %v", show.Text(s.Command), s.Err, o.Err)
			})
		}},
		{name: "both end at the same time", check: func(r *run[C, S, E], cmds []C) *breach {
			if this, that := r.decider.IsTerminal(r.decider.Start()), other.IsTerminal(other.Start()); this != that {
				return breachf(-1, "at the start, this one is terminal: %v, the other: %v", this, that)
			}
			return beside(r, cmds, other, func(i int, s Step[C, S, E], o Step[C, T, E]) *breach {
				this, that := r.decider.IsTerminal(s.After), other.IsTerminal(o.After)
				if this == that || !agrees(s, o) {
					return nil
				}
				return breachf(i, "this one is terminal: %v, the other: %v:\n  this one   %s\n  the other  %s", this, that, show.Text(s.After), show.Text(o.After))
			})
		}},
	}
}

// beside plays cmds on the decider of r and on other, and passes the steps of both to
// visit, up to the first step on which they differ. Later steps say nothing more.
func beside[C, S, T, E any](r *run[C, S, E], cmds []C, other decider.Decider[C, T, E], visit func(int, Step[C, S, E], Step[C, T, E]) *breach) *breach {
	state, parted := other.Start(), false
	mine := value.Clones(cmds)
	return r.walk(cmds, func(i int, s Step[C, S, E]) *breach {
		if parted {
			return nil
		}
		o := Step[C, T, E]{Before: state, Command: mine[i], After: state}
		if err := catch(func() { o = step(other, mine[i], state) }); err != nil {
			o.Err = err
		}
		parted, state = !agrees(s, o), o.After
		return visit(i, s, o)
	})
}

// agrees reports whether s and o decided the same events, or both rejected.
func agrees[C, S, T, E any](s Step[C, S, E], o Step[C, T, E]) bool {
	return (s.Err == nil) == (o.Err == nil) && show.Same(s.Events, o.Events)
}

// alike reports whether a caller can treat a and b as the same error.
func alike(a, b error) bool {
	return errors.Is(a, b) || errors.Is(b, a) || a.Error() == b.Error()
}

// Mapping translates one decider into another, see [Refines]. Command, State and Event
// must not be nil and must be pure.
type Mapping[C, S, E, C1, S1, E1 any] struct {
	// Command returns what a command means to the abstract decider, or false if it means
	// nothing.
	Command func(C) (C1, bool)
	// State returns what a state means to the abstract decider.
	State func(S) S1
	// Event returns what an event means to the abstract decider, or false if it means
	// nothing.
	Event func(E) (E1, bool)
	// Stricter permits the decider to reject commands, and to reach an end, where the
	// abstract decider would go on.
	Stricter bool
}

// Refines checks that the decider of s, translated by m, behaves like abstract: it begins
// where abstract does, accepts and rejects the same commands, and its events and states
// mean what abstract decides and evolves. Commands and events that mean nothing to
// abstract change nothing that abstract sees.
//
// Use it for a decider that does more than a simple one, and for a part within a whole:
// in a Union, Compose or Many the part must behave as it does alone (with Stricter, if
// another part can reject its commands), and nothing else may change its state.
func Refines[C, S, E, C1, S1, E1 any](t *testing.T, s Suite[C, S, E], abstract decider.Decider[C1, S1, E1], m Mapping[C, S, E, C1, S1, E1]) {
	t.Helper()
	conclude(t, trial(s, refinement[C, S, E, C1, S1, E1]{abstract, m}.laws()))
}

type refinement[C, S, E, C1, S1, E1 any] struct {
	abstract decider.Decider[C1, S1, E1]
	mapping  Mapping[C, S, E, C1, S1, E1]
}

func (f refinement[C, S, E, C1, S1, E1]) laws() []law[C, S, E] {
	return []law[C, S, E]{
		{name: "it begins where the abstract decider does", check: f.begins},
		{name: "what has no meaning changes nothing", check: f.foreign},
		{name: "the abstract decider accepts what it accepts", spec: true, check: f.accepts},
		{name: "the abstract decider rejects what it rejects", spec: true, check: f.rejects},
		{name: "it decides what the abstract decider decides", spec: true, check: f.decides},
		{name: "it evolves as the abstract decider does", check: f.evolves},
		{name: "it ends where the abstract decider does", check: f.ends},
	}
}

func (f refinement[C, S, E, C1, S1, E1]) begins(r *run[C, S, E], _ []C) *breach {
	if got, want := f.mapping.State(r.decider.Start()), f.abstract.Start(); !show.Same(got, want) {
		return breachf(-1, "its start means %s, but the abstract decider begins at %s", show.Text(got), show.Text(want))
	}
	return nil
}

func (f refinement[C, S, E, C1, S1, E1]) foreign(r *run[C, S, E], cmds []C) *breach {
	return r.walk(cmds, func(i int, s Step[C, S, E]) *breach {
		if _, ok := f.mapping.Command(s.Command); !ok {
			if change := show.Changes(f.mapping.State(s.Before), f.mapping.State(s.After)); change != "" {
				return breachf(i, "%s means nothing to the abstract decider, but changed its state: %s", show.Text(s.Command), change)
			}
		}
		return nil
	})
}

// decisions calls visit with each step whose command means something, and the step that
// abstract makes of it.
func (f refinement[C, S, E, C1, S1, E1]) decisions(r *run[C, S, E], cmds []C, visit func(int, Step[C, S, E], Step[C1, S1, E1]) *breach) *breach {
	return r.walk(cmds, func(i int, s Step[C, S, E]) *breach {
		cmd, ok := f.mapping.Command(value.Clone(cmds[i]))
		if !ok {
			return nil
		}
		a := Step[C1, S1, E1]{Before: f.mapping.State(s.Before), Command: cmd}
		if err := catch(func() { a = step(f.abstract, cmd, a.Before) }); err != nil {
			a.Err = err
		}
		return visit(i, s, a)
	})
}

func (f refinement[C, S, E, C1, S1, E1]) accepts(r *run[C, S, E], cmds []C) *breach {
	return f.decisions(r, cmds, func(i int, s Step[C, S, E], a Step[C1, S1, E1]) *breach {
		if s.Err != nil || a.Err == nil {
			return nil
		}
		return breachf(i, "%s is accepted and means %s, which the abstract decider rejects on %s:\n  %v", show.Text(s.Command), show.Text(a.Command), show.Text(a.Before), a.Err)
	})
}

func (f refinement[C, S, E, C1, S1, E1]) rejects(r *run[C, S, E], cmds []C) *breach {
	if f.mapping.Stricter {
		return nil
	}
	return f.decisions(r, cmds, func(i int, s Step[C, S, E], a Step[C1, S1, E1]) *breach {
		if s.Err == nil || a.Err != nil {
			return nil
		}
		return breachf(i, "%s is rejected (%v) and means %s, which the abstract decider accepts on %s:\n  %s", show.Text(s.Command), s.Err, show.Text(a.Command), show.Text(a.Before), a.outcome())
	})
}

func (f refinement[C, S, E, C1, S1, E1]) decides(r *run[C, S, E], cmds []C) *breach {
	return f.decisions(r, cmds, func(i int, s Step[C, S, E], a Step[C1, S1, E1]) *breach {
		if s.Err != nil || a.Err != nil {
			return nil
		}
		var means []E1
		for _, e := range s.Events {
			if e1, ok := f.mapping.Event(e); ok {
				means = append(means, e1)
			}
		}
		if show.Same(means, a.Events) {
			return nil
		}
		return breachf(i, "%s means %s, which the abstract decider decides differently:\n  decided   %s\n  it means  %s\n  abstract  %s",
			show.Text(s.Command), show.Text(a.Command), s.outcome(), outcome(means, nil), a.outcome())
	})
}

func (f refinement[C, S, E, C1, S1, E1]) evolves(r *run[C, S, E], cmds []C) *breach {
	return r.evolutions(cmds, func(i int, state S, e E) *breach {
		want := f.mapping.State(state)
		e1, ok := f.mapping.Event(e)
		if ok {
			want = f.abstract.Evolve(want, e1)
		}
		got := f.mapping.State(r.decider.Evolve(state, e))
		switch {
		case show.Same(got, want):
			return nil
		case ok:
			return breachf(i, "%s means %s, which leads the abstract decider to another state:\n  it means  %s\n  abstract  %s", show.Text(e), show.Text(e1), show.Text(got), show.Text(want))
		}
		return breachf(i, "%s means nothing to the abstract decider, but changed its state: %s", show.Text(e), show.Changes(want, got))
	})
}

func (f refinement[C, S, E, C1, S1, E1]) ends(r *run[C, S, E], cmds []C) *breach {
	if f.mapping.Stricter {
		return nil
	}
	return r.walk(cmds, func(i int, s Step[C, S, E]) *breach {
		if means := f.mapping.State(s.After); r.decider.IsTerminal(s.After) && !f.abstract.IsTerminal(means) {
			return breachf(i, "%s is terminal, but it means %s, which is not", show.Text(s.After), show.Text(means))
		}
		return nil
	})
}

// Model describes what a decider does in a simpler way, see [Against].
type Model[M, C, S any] struct {
	// Start returns the model before the first command. Nil means the zero M.
	Start func() M
	// Next returns the model after cmd, and whether cmd is accepted. If it is not, the
	// model stays as it was. Next may change what model points to unless it rejects.
	Next func(model M, cmd C) (next M, accept bool)
	// Abs returns what the model knows of a state.
	Abs func(state S) M
}

// Against checks the decider of s against a plain model, which has no events: both begin
// alike, they accept and reject the same commands, and after each command the state means
// what the model says.
func Against[M, C, S, E any](t *testing.T, s Suite[C, S, E], m Model[M, C, S]) {
	t.Helper()
	conclude(t, trial(s, modelLaws[M, C, S, E](m)))
}

func modelLaws[M, C, S, E any](m Model[M, C, S]) []law[C, S, E] {
	start := func() M {
		if m.Start != nil {
			return m.Start()
		}
		var zero M
		return zero
	}
	// along passes each step to visit with the model before and after it, until the two
	// differ.
	along := func(r *run[C, S, E], cmds []C, visit func(i int, s Step[C, S, E], before string, next M, accept bool) *breach) *breach {
		model, parted := start(), false
		return r.walk(cmds, func(i int, s Step[C, S, E]) *breach {
			if parted {
				return nil
			}
			before := show.Text(model)
			next, accept := m.Next(model, value.Clone(cmds[i]))
			if accept {
				model = next
			}
			parted = accept != (s.Err == nil)
			return visit(i, s, before, model, accept)
		})
	}
	return []law[C, S, E]{
		{name: "it begins as the model does", check: func(r *run[C, S, E], _ []C) *breach {
			if got, want := m.Abs(r.decider.Start()), start(); !show.Same(got, want) {
				return breachf(-1, "the model begins at %s, but the start of the decider means %s", show.Text(want), show.Text(got))
			}
			return nil
		}},
		{name: "it accepts what the model accepts", spec: true, check: func(r *run[C, S, E], cmds []C) *breach {
			return along(r, cmds, func(i int, s Step[C, S, E], before string, _ M, accept bool) *breach {
				switch {
				case accept && s.Err != nil:
					return breachf(i, "the model accepts %s on %s, but the decider rejects it: %v", show.Text(s.Command), before, s.Err)
				case !accept && s.Err == nil:
					return breachf(i, "the model rejects %s on %s, but the decider accepts it: %s", show.Text(s.Command), before, s.outcome())
				}
				return nil
			})
		}},
		{name: "it leads where the model does", spec: true, check: func(r *run[C, S, E], cmds []C) *breach {
			return along(r, cmds, func(i int, s Step[C, S, E], before string, next M, accept bool) *breach {
				if got := m.Abs(s.After); accept && s.Err == nil && !show.Same(got, next) {
					return breachf(i, "%s leads the model from %s to\n  %s\nand the decider to a state that means\n  %s", show.Text(s.Command), before, show.Text(next), show.Text(got))
				}
				return nil
			})
		}},
	}
}
