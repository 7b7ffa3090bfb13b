package props

import (
	"fmt"

	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/internal/value"
)

// law is a promise, with the check that tells whether a list of commands breaks it.
type law[C, S, E any] struct {
	name   string
	spec   bool     // whether a Spec can say what should happen instead
	domain bool     // whether it is about this domain rather than every decider
	late   bool     // checked at the end, if all others hold, see verdict
	codec  bool     // whether it is about the codec
	behind []string // laws that explain a breach of this one, if they are broken too
	check  func(r *run[C, S, E], cmds []C) *breach
}

// breach is where and how a law is broken.
type breach struct {
	step int // index; -1: before the first
	text string
}

func breachf(step int, format string, args ...any) *breach {
	return &breach{step, fmt.Sprintf(format, args...)}
}

// laws returns the laws that hold for every decider.
func laws[C, S, E any]() []law[C, S, E] {
	return []law[C, S, E]{
		{name: "decide is total", spec: true, check: decideTotal[C, S, E]},
		{name: "decide is deterministic", spec: true, check: decideDeterministic[C, S, E]},
		{name: "decide changes nothing", spec: true, check: decidePure[C, S, E]},
		{name: "a rejection has no events", spec: true, check: rejection[C, S, E]},
		{name: "events are real", spec: true, check: eventsReal[C, S, E]},
		{name: "evolve is total", check: evolveTotal[C, S, E]},
		{name: "evolve is deterministic", check: evolveDeterministic[C, S, E]},
		{name: "evolve changes nothing", check: evolvePure[C, S, E]},
		{name: "evolve shares no memory", check: fork[C, S, E]},
		{name: "the past does not change", check: past[C, S, E]},
		{name: "start is fresh", check: fresh[C, S, E]},
		{name: "replay gives the same state", behind: []string{"the past does not change"}, check: replay[C, S, E]},
		{name: "a terminal state stays", spec: true, check: terminal[C, S, E]},
		{name: "sharing is safe", late: true, check: sharing[C, S, E]},
	}
}

// walk plays cmds from the start and passes each step to visit, until visit returns a
// breach.
func (r *run[C, S, E]) walk(cmds []C, visit func(i int, s Step[C, S, E]) *breach) *breach {
	state := r.decider.Start()
	for i, c := range value.Clones(cmds) {
		s := step(r.decider, c, state)
		if b := visit(i, s); b != nil {
			return b
		}
		state = s.After
	}
	return nil
}

// decisions plays cmds and passes each decision to visit before its events are evolved,
// until visit returns a breach.
func (r *run[C, S, E]) decisions(cmds []C, visit func(i int, s Step[C, S, E]) *breach) *breach {
	state := r.decider.Start()
	for i, c := range value.Clones(cmds) {
		events, err := r.decider.Decide(c, state)
		if b := visit(i, Step[C, S, E]{Before: state, Command: c, Events: events, Err: err}); b != nil {
			return b
		}
		if err == nil {
			state = r.decider.Fold(state, events...)
		}
	}
	return nil
}

// evolutions plays cmds and passes each event to visit before it is evolved, with the
// current state, until visit returns a breach.
func (r *run[C, S, E]) evolutions(cmds []C, visit func(i int, state S, event E) *breach) *breach {
	state := r.decider.Start()
	for i, c := range value.Clones(cmds) {
		events, err := r.decider.Decide(c, state)
		if err != nil {
			continue
		}
		for _, e := range events {
			if b := visit(i, state, e); b != nil {
				return b
			}
			state = r.decider.Evolve(state, e)
		}
	}
	return nil
}

func decideTotal[C, S, E any](r *run[C, S, E], cmds []C) *breach {
	state := r.decider.Start()
	for i, c := range value.Clones(cmds) {
		var events []E
		var rejected error
		if err := catch(func() { events, rejected = r.decider.Decide(c, state) }); err != nil {
			return breachf(i, "Decide(%s, %s): %v", show.Text(c), show.Text(state), err)
		}
		if rejected == nil {
			state = r.decider.Fold(state, events...)
		}
	}
	return nil
}

func decidePure[C, S, E any](r *run[C, S, E], cmds []C) *breach {
	state := r.decider.Start()
	for i, c := range value.Clones(cmds) {
		before, cmd := show.Text(state), show.Text(c)
		events, err := r.decider.Decide(c, state)
		if after := show.Text(c); after != cmd {
			return breachf(i, "Decide changed its command:\n  before  %s\n  after   %s", cmd, after)
		}
		if after := show.Text(state); after != before {
			return breachf(i, "Decide(%s, …) changed its state:\n  before  %s\n  after   %s", cmd, before, after)
		}
		if err == nil {
			state = r.decider.Fold(state, events...)
		}
	}
	return nil
}

func rejection[C, S, E any](r *run[C, S, E], cmds []C) *breach {
	return r.decisions(cmds, func(i int, s Step[C, S, E]) *breach {
		if s.Err == nil || len(s.Events) == 0 {
			return nil
		}
		return breachf(i, "%s was rejected (%v) and decided %s", show.Text(s.Command), s.Err, outcome(s.Events, nil))
	})
}

func eventsReal[C, S, E any](r *run[C, S, E], cmds []C) *breach {
	return r.decisions(cmds, func(i int, s Step[C, S, E]) *breach {
		for j, e := range s.Events {
			if value.IsNil(e) {
				return breachf(i, "event %d of %d that %s decided is nil", j+1, len(s.Events), show.Text(s.Command))
			}
		}
		return nil
	})
}

// evolveTotal tries each event where it was decided, and then on every state: a stream
// that was recorded long ago need not follow today's rules.
func evolveTotal[C, S, E any](r *run[C, S, E], cmds []C) *breach {
	b := r.evolutions(cmds, func(i int, state S, e E) *breach {
		if err := catch(func() { r.decider.Evolve(state, e) }); err != nil {
			return breachf(i, "Evolve(%s, %s): %v", show.Text(state), show.Text(e), err)
		}
		return nil
	})
	if b != nil {
		return b
	}
	h := play(r.decider, cmds)
	some := variety(h.events(), 1)
	for i, s := range h.Steps {
		for _, e := range some {
			if err := catch(func() { r.decider.Evolve(s.Before, e) }); err != nil {
				return breachf(i, "before this step, Evolve(%s, %s): %v\n  nothing decides that event there today, but an old stream may contain it", show.Text(s.Before), show.Text(e), err)
			}
		}
	}
	return nil
}

func evolvePure[C, S, E any](r *run[C, S, E], cmds []C) *breach {
	return r.evolutions(cmds, func(i int, state S, e E) *breach {
		before, event := show.Text(state), show.Text(e)
		r.decider.Evolve(state, e)
		if after := show.Text(e); after != event {
			return breachf(i, "Evolve changed its event:\n  before  %s\n  after   %s", event, after)
		}
		if after := show.Text(state); after != before {
			return breachf(i, "Evolve(…, %s) changed its state:\n  before  %s\n  after   %s", event, before, after)
		}
		return nil
	})
}

// inPlace evolves a state by the event that was decided and by others, in place and not.
// The state that was cloned must not change.
func inPlace[C, S, E any](r *run[C, S, E], cmds []C) *breach {
	others := variety(play(r.decider, cmds).events(), 2)
	return r.ifPure(cmds, r.evolutions(cmds, func(i int, state S, e E) *breach {
		before := show.Text(state)
		for _, event := range append([]E{e}, others...) {
			want, got := r.decider.Evolve(state, event), state
			if err := catch(func() { r.unwatched.EvolveInPlace(&got, event) }); err != nil {
				return breachf(i, "EvolveInPlace(%s, %s): %v", before, show.Text(event), err)
			}
			if !show.Same(got, want) {
				return breachf(i, "EvolveInPlace(%s, %s) is not what Evolve returns:\n  Evolve          %s\n  EvolveInPlace   %s",
					before, show.Text(event), show.Text(want), show.Text(got))
			}
			if after := show.Text(state); after != before {
				return breachf(i, "EvolveInPlace(…, %s) changed memory that its state shares with others:\n  before  %s\n  after   %s",
					show.Text(event), before, after)
			}
		}
		return nil
	}))
}

// ifPure returns b, or nil if Decide or Evolve changes its arguments: then a second call
// gives another result, and the laws about changes report it.
func (r *run[C, S, E]) ifPure(cmds []C, b *breach) *breach {
	if b == nil || decidePure(r, cmds) != nil || evolvePure(r, cmds) != nil {
		return nil
	}
	return b
}

// fork evolves one state twice, by the event that was decided and by others, and checks
// that the first successor does not change. It is stronger than evolvePure: an append to
// a slice with spare capacity changes neither its state nor its event.
func fork[C, S, E any](r *run[C, S, E], cmds []C) *breach {
	others := variety(play(r.decider, cmds).events(), 2)
	return r.ifPure(cmds, r.evolutions(cmds, func(i int, state S, e E) *breach {
		next := r.decider.Evolve(state, e)
		want := show.Text(next)
		for _, o := range others {
			if !show.Same(o, e) { // writing the same event again shows nothing
				r.decider.Evolve(state, o)
			}
		}
		if show.Text(next) == want {
			return nil
		}
		return r.culprit(i, state, e, others)
	}))
}

// culprit finds the event in others that changes the earlier successor of state.
func (r *run[C, S, E]) culprit(i int, state S, e E, others []E) *breach {
	for _, o := range others {
		next := r.decider.Evolve(state, e)
		want := show.Text(next)
		r.decider.Evolve(state, o)
		if got := show.Text(next); got != want {
			return breachf(i, "two successors of one state share memory (append to a shared slice?):\n"+
				"  after %s:\n    %s\n  then, from the same state, Evolve by %s made it:\n    %s", show.Text(e), want, show.Text(o), got)
		}
	}
	return breachf(i, "the state after %s changed when its predecessor was evolved by other events", show.Text(e))
}

// past plays the whole history, and then checks that every value in it still prints as it
// did when it was made.
func past[C, S, E any](r *run[C, S, E], cmds []C) *breach {
	h := History[C, S, E]{Start: r.decider.Start()}
	start := show.Text(h.Start)
	var made [][3]string // state after the step, command, events
	r.walk(cmds, func(_ int, s Step[C, S, E]) *breach {
		h.Steps = append(h.Steps, s)
		made = append(made, [3]string{show.Text(s.After), show.Text(s.Command), show.Text(s.Events)})
		return nil
	})
	if now := show.Text(h.Start); now != start {
		return breachf(-1, "the state at the start changed later:\n  before  %s\n  after   %s", start, now)
	}
	for i, s := range h.Steps {
		now := [...]string{show.Text(s.After), show.Text(s.Command), show.Text(s.Events)}
		for j, what := range [...]string{"the state after", "the command of", "the events of"} {
			if was := made[i][j]; now[j] != was {
				return breachf(i, "%s step %d changed later:\n  before  %s\n  after   %s", what, i+1, was, now[j])
			}
		}
	}
	return nil
}

func fresh[C, S, E any](r *run[C, S, E], cmds []C) *breach {
	r.walk(cmds, func(int, Step[C, S, E]) *breach { return nil })
	if now := show.Text(r.decider.Start()); now != r.start {
		return breachf(len(cmds)-1, "Start() was %s at first, and is now %s: does Initial return shared memory?", r.start, now)
	}
	return nil
}

func replay[C, S, E any](r *run[C, S, E], cmds []C) *breach {
	h := play(r.decider, cmds)
	want, events, last := h.end(), h.events(), len(cmds)-1
	if got := r.decider.Fold(r.decider.Start(), events...); !show.Same(got, want) {
		return breachf(last, "folding the events from the start gives another state than the commands did:\n  %s", show.Changes(want, got))
	}
	return nil
}

func terminal[C, S, E any](r *run[C, S, E], cmds []C) *breach {
	h := play(r.decider, cmds)
	for i, s := range h.Steps {
		if !r.decider.IsTerminal(s.After) {
			continue
		}
		for _, c := range cmds {
			if !r.generator.permits(s.After, c) {
				continue
			}
			if events, err := r.decider.Decide(value.Clone(c), s.After); err == nil && len(events) > 0 {
				return breachf(i, "%s is terminal, but there %s decides %s", show.Text(s.After), show.Text(c), outcome(events, nil))
			}
		}
		for _, e := range variety(h.events(), 2) {
			if next := r.decider.Evolve(s.After, e); !r.decider.IsTerminal(next) {
				return breachf(i, "%s is terminal, but %s leads out of it, to %s", show.Text(s.After), show.Text(e), show.Text(next))
			}
		}
	}
	return nil
}

// variety returns the different events among all, at most n of each kind.
func variety[E any](all []E, n int) []E {
	var out []E
	seen, kinds := map[string]bool{}, map[string]int{}
	for _, e := range all {
		k := show.Kind(e)
		if kinds[k] == n {
			continue
		}
		if t := show.Text(e); !seen[t] {
			seen[t] = true
			kinds[k]++
			out = append(out, e)
		}
	}
	return out
}

// splits returns at most eight numbers from 0 to n, including both.
func splits(n int) []int {
	var out []int
	for k := 0; k < n; k += max(1, n/4) {
		out = append(out, k)
	}
	return append(out, n)
}
