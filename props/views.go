package props

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/samber/lo"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/internal/show"
)

// ViewSuite holds what you know about a view of a decider's events, to be checked: see
// [Projects].
type ViewSuite[V, C, S, E any] struct {
	view  decider.View[V, E]
	suite Suite[C, S, E]
	laws  []law[C, S, E]
}

// Projects returns a suite for v, which checks the laws that hold for every view on the
// histories of s: Evolve is total, deterministic and pure, it shares no memory, and
// Initial is fresh. A rebuild from the start gives the same view as following the events
// live, also when the view is put away between any parts of the events.
//
//	props.Projects(suite, balance).
//		Equals("the sum of all movements", sum). // func([]Event) Balance
//		Check(t)
//
// Its methods return copies with something added.
func Projects[V, C, S, E any](s Suite[C, S, E], v decider.View[V, E]) ViewSuite[V, C, S, E] {
	l := ViewSuite[V, C, S, E]{view: v, suite: s}
	return l.with(
		viewLaw(l, "the view is total", evolveTotal[E, V, E]),
		viewLaw(l, "the view is deterministic", evolveDeterministic[E, V, E]),
		viewLaw(l, "the view changes nothing", evolvePure[E, V, E]),
		viewLaw(l, "the view shares no memory", fork[E, V, E]),
		viewLaw(l, "the past of the view does not change", past[E, V, E]),
		l.fresh(),
		viewLaw(l, "a rebuild gives the live view", rebuild[V, E]),
	)
}

// Equals adds a law with the given name: after every event the view equals what want
// computes from all events up to it.
func (l ViewSuite[V, C, S, E]) Equals(name string, want func(events []E) V) ViewSuite[V, C, S, E] {
	return l.with(l.each(name, func(seen []E, _ S, view V) string {
		if w := want(slices.Clone(seen)); !show.Same(w, view) {
			return fmt.Sprintf("after %d events the view differs: %s\n  want  %s\n  got   %s", len(seen), show.Changes(w, view), show.Text(w), show.Text(view))
		}
		return ""
	}))
}

// Agrees adds a law with the given name: holds returns nil for the state of the decider
// and the view at the same time, at the start and after each event, or an error that says
// what is wrong.
func (l ViewSuite[V, C, S, E]) Agrees(name string, holds func(state S, view V) error) ViewSuite[V, C, S, E] {
	return l.with(l.each(name, func(_ []E, state S, view V) string {
		if b := complaint(0, func() error { return holds(state, view) }); b != nil {
			return b.text + "\n  state  " + show.Text(state) + "\n  view   " + show.Text(view)
		}
		return ""
	}))
}

// AnyOrder adds the law that the order of events does not matter, for a view that is fed
// from many streams at once. Stream returns the stream of an event, and events of one
// stream keep their order. If stream is nil any order is tried.
func (l ViewSuite[V, C, S, E]) AnyOrder(stream func(E) string) ViewSuite[V, C, S, E] {
	name := "any order gives the same view"
	if stream != nil {
		name = "any order of streams gives the same view"
	}
	return l.with(viewLaw(l, name, func(r *run[E, V, E], events []E) *breach {
		want := r.decider.Fold(r.decider.Start(), events...)
		for seed := range uint64(orders) {
			mixed := shuffle(events, seed, stream)
			if got := r.decider.Fold(r.decider.Start(), mixed...); !show.Same(got, want) {
				return breachf(len(events)-1, "the events in another order give another view: %s\n  order  %s", show.Changes(want, got), show.Text(mixed))
			}
		}
		return nil
	}))
}

const orders = 4 // to try of each history

// Redelivered adds the law that events may be redelivered, as happens when the view is
// not saved together with its checkpoint: after a crash any number of the last events are
// evolved a second time, and the view must stay the same.
func (l ViewSuite[V, C, S, E]) Redelivered() ViewSuite[V, C, S, E] {
	return l.with(viewLaw(l, "events may be redelivered", func(r *run[E, V, E], events []E) *breach {
		view := r.decider.Start()
		for i, e := range events {
			view = r.decider.Evolve(view, e)
			for _, from := range []int{i, i - 1, i / 2, 0} {
				if from < 0 {
					continue
				}
				if again := r.decider.Fold(view, events[from:i+1]...); !show.Same(again, view) {
					return breachf(i, "after %d events the last %d were redelivered, and the view changed: %s", i+1, i+1-from, show.Changes(view, again))
				}
			}
		}
		return nil
	}))
}

// Check checks all laws of the view, each in a subtest with its name, as [Suite.Check]
// does for the decider.
func (l ViewSuite[V, C, S, E]) Check(t *testing.T) {
	t.Helper()
	conclude(t, trial(l.suite, l.laws))
}

func (l ViewSuite[V, C, S, E]) with(laws ...law[C, S, E]) ViewSuite[V, C, S, E] {
	l.laws = append(slices.Clip(l.laws), laws...)
	return l
}

// viewing returns v as a decider whose commands are the events themselves.
func viewing[V, E any](v decider.View[V, E]) decider.Decider[E, V, E] {
	return decider.Decider[E, V, E]{
		Decide: func(e E, _ V) ([]E, error) { return []E{e}, nil },
		Evolve: v.Evolve, Initial: v.Initial,
	}
}

// viewLaw returns the law that check finds nothing in the view as it follows the events
// of a history.
func viewLaw[V, C, S, E any](l ViewSuite[V, C, S, E], name string, check func(*run[E, V, E], []E) *breach) law[C, S, E] {
	return law[C, S, E]{name: name, check: func(r *run[C, S, E], cmds []C) *breach {
		h := play(r.decider, cmds)
		sub := &run[E, V, E]{t: r.t, decider: viewing(l.view), thorough: r.thorough, times: r.times}
		b := check(sub, h.events())
		if b != nil {
			b.step = h.stepOf(b.step)
		}
		return b
	}}
}

// stepOf returns the step in which event n of h was decided.
func (h History[C, S, E]) stepOf(n int) int {
	for i, s := range h.Steps {
		if s.Err == nil {
			n -= len(s.Events)
		}
		if n < 0 {
			return i
		}
	}
	return len(h.Steps) - 1
}

// each returns the law that wrong finds nothing at the start and after each event.
func (l ViewSuite[V, C, S, E]) each(name string, wrong func(seen []E, state S, view V) string) law[C, S, E] {
	return law[C, S, E]{name: name, check: func(r *run[C, S, E], cmds []C) *breach {
		var seen []E
		view := l.view.Start()
		if text := wrong(seen, r.decider.Start(), view); text != "" {
			return &breach{-1, text}
		}
		return r.evolutions(cmds, func(i int, state S, e E) *breach {
			seen = append(seen, e)
			view = l.view.Evolve(view, e)
			if text := wrong(seen, r.decider.Evolve(state, e), view); text != "" {
				return &breach{i, text}
			}
			return nil
		})
	}}
}

// fresh returns the law that Initial always gives the same view.
func (l ViewSuite[V, C, S, E]) fresh() law[C, S, E] {
	start := ""
	return viewLaw(l, "the start of the view is fresh", func(r *run[E, V, E], events []E) *breach {
		if start == "" {
			start = show.Text(r.decider.Start())
		}
		r.decider.Fold(r.decider.Start(), events...)
		if now := show.Text(r.decider.Start()); now != start {
			return breachf(len(events)-1, "Start() was %s at first, and is now %s: does Initial return shared memory?", start, now)
		}
		return nil
	})
}

// rebuild follows the events live, and then again, also in parts.
func rebuild[V, E any](r *run[E, V, E], events []E) *breach {
	live := r.decider.Start()
	for _, e := range events {
		live = r.decider.Evolve(live, e)
	}
	want := show.Text(live)
	for _, k := range splits(len(events)) {
		part := r.decider.Fold(r.decider.Start(), events[:k]...)
		if got := r.decider.Fold(part, events[k:]...); show.Text(got) != want {
			return breachf(len(events)-1, "the view rebuilt from %d events, and then the other %d, differs from the live view: %s", k, len(events)-k, show.Changes(live, got))
		}
	}
	return nil
}

// shuffle returns events in another order. If stream is not nil, the events of each
// stream keep their order.
func shuffle[E any](events []E, seed uint64, stream func(E) string) []E {
	r := rand.New(rand.NewPCG(seed, uint64(len(events)))) //nolint:gosec // repeatable on purpose
	out := slices.Clone(events)
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	if stream == nil {
		return out
	}
	queues := lo.GroupBy(events, stream)
	for i, e := range out { // its place goes to the next event of its stream
		s := stream(e)
		out[i], queues[s] = queues[s][0], queues[s][1:]
	}
	return out
}
