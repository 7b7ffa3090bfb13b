package props

import (
	"testing"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/internal/value"
)

// Lens checks get and set, as given to decider.Focus, on the states that the decider of s
// reaches: get returns what was set, setting what get returned changes nothing, the last
// of two sets wins, and set changes no state in place.
func Lens[C, S, E, A any](t *testing.T, s Suite[C, S, E], get func(S) A, set func(S, A) S) {
	t.Helper()
	conclude(t, trial(s, lensLaws[C, S, E](get, set)))
}

func lensLaws[C, S, E, A any](get func(S) A, set func(S, A) S) []law[C, S, E] {
	// each calls visit with the states of a history and parts of other states. A panic of
	// get or set breaks the law.
	each := func(name string, visit func(state S, a, b A) string) law[C, S, E] {
		return law[C, S, E]{name: name, check: func(r *run[C, S, E], cmds []C) *breach {
			h := play(r.decider, cmds)
			for i := -1; i < len(h.Steps); i++ {
				state := History[C, S, E]{Start: h.Start, Steps: h.Steps[:i+1]}.end()
				var wrong string
				if err := catch(func() { wrong = lensAt(h, state, get, visit) }); err != nil {
					wrong = "on " + show.Text(state) + ": " + err.Error()
				}
				if wrong != "" { // the part may come from any step
					return &breach{len(h.Steps) - 1, wrong}
				}
			}
			return nil
		}}
	}
	return []law[C, S, E]{
		each("get returns what was set", func(state S, a, _ A) string {
			if got := get(set(state, a)); !show.Same(got, a) {
				return "in " + show.Text(state) + "\n  was set  " + show.Text(a) + "\n  and got  " + show.Text(got)
			}
			return ""
		}),
		each("setting what get returned changes nothing", func(state S, _, _ A) string {
			if change := show.Changes(state, set(state, get(state))); change != "" {
				return "in " + show.Text(state) + " it changes " + change
			}
			return ""
		}),
		each("the last set wins", func(state S, a, b A) string {
			once, twice := set(state, b), set(set(state, a), b)
			if change := show.Changes(once, twice); change != "" {
				return "in " + show.Text(state) + " was set " + show.Text(a) + ", and then " + show.Text(b) + ", which without the first is another: " + change
			}
			return ""
		}),
		each("set changes nothing in place", func(state S, a, b A) string {
			was := show.Text(state)
			first := set(state, a)
			then := show.Text(first)
			set(state, b)
			if is := show.Text(state); is != was {
				return "a state was\n  " + was + "\nand after set " + show.Text(a) + " is\n  " + is
			}
			if is := show.Text(first); is != then {
				return "what set " + show.Text(a) + " returned was\n  " + then + "\nand after another set, " + show.Text(b) + ", is\n  " + is
			}
			return ""
		}),
	}
}

// lensAt passes state to visit with each pair of several different parts.
func lensAt[C, S, E, A any](h History[C, S, E], state S, get func(S) A, visit func(S, A, A) string) string {
	parts := []A{get(h.Start)}
	for _, s := range h.Steps {
		parts = append(parts, get(s.After))
	}
	parts = variety(parts, 3)
	for _, a := range parts {
		for _, b := range parts {
			if wrong := visit(state, a, b); wrong != "" {
				return wrong
			}
		}
	}
	return ""
}

// Embeds checks in and out, as given to decider.MapEvent, on the events that the decider
// of s decides: each event comes back as it was, and in accepts none of foreign, which
// are events of the larger whole.
func Embeds[C, S, E, E2 any](t *testing.T, s Suite[C, S, E], in func(E2) (E, bool), out func(E) E2, foreign ...E2) {
	t.Helper()
	conclude(t, trial(s, embedLaws[C, S](in, out, foreign)))
}

func embedLaws[C, S, E, E2 any](in func(E2) (E, bool), out func(E) E2, foreign []E2) []law[C, S, E] {
	back := func(e E) string {
		e2 := out(e)
		switch got, ok := in(e2); {
		case !ok:
			return show.Text(e) + " goes out as " + show.Text(e2) + ", and in does not accept that"
		case !show.Same(got, e):
			return show.Text(e) + " goes out as " + show.Text(e2) + ", and comes in as " + show.Text(got)
		}
		return ""
	}
	return []law[C, S, E]{
		{name: "an event comes back as it was", check: eachEvent[C, S](func(e E) (wrong string) {
			if err := catch(func() { wrong = back(e) }); err != nil {
				return show.Text(e) + ": " + err.Error()
			}
			return wrong
		})},
		{name: "a foreign event is not accepted", check: func(*run[C, S, E], []C) *breach {
			for _, f := range foreign {
				var e E
				var ok bool
				if err := catch(func() { e, ok = in(f) }); err != nil {
					return breachf(-1, "in(%s): %v", show.Text(f), err)
				}
				if ok {
					return breachf(-1, "%s is foreign, but in accepts it as %s", show.Text(f), show.Text(e))
				}
			}
			return nil
		}},
	}
}

// Batches checks that batch decides lists of commands of s as decider.Batch does: a list
// of one like the command itself, and a longer list like its commands in turn. If a
// command is rejected, the whole list must be rejected without events.
func Batches[C, S, E any](t *testing.T, s Suite[C, S, E], batch decider.Decider[[]C, S, E]) {
	t.Helper()
	conclude(t, trial(s, batchLaws(batch)))
}

const maxBatch = 3 // commands, in the batches that are tried

func batchLaws[C, S, E any](batch decider.Decider[[]C, S, E]) []law[C, S, E] {
	// each decides the next commands at once and in turn, on each state of a history.
	each := func(name string, from, to int, wrong func(cmds []C, got, want decision[E]) string) law[C, S, E] {
		return law[C, S, E]{name: name, spec: false, check: func(r *run[C, S, E], cmds []C) *breach {
			return r.walk(cmds, func(i int, s Step[C, S, E]) *breach {
				for n := from; n <= to && i+n <= len(cmds); n++ {
					var got decision[E]
					if err := catch(func() { got.events, got.err = batch.Decide(value.Clones(cmds[i:i+n]), s.Before) }); err != nil {
						got.err = err
					}
					if text := wrong(cmds[i:i+n], got, inTurn(r.decider, value.Clones(cmds[i:i+n]), s.Before)); text != "" {
						return &breach{max(i, i+n-1), text}
					}
				}
				return nil
			})
		}}
	}
	differ := func(cmds []C, got, want decision[E]) string {
		return "the batch " + show.Text(cmds) + " is decided differently from its commands in turn:\n  batch    " +
			outcome(got.events, got.err) + "\n  in turn  " + outcome(want.events, want.err)
	}
	return []law[C, S, E]{
		each("a batch of one equals its command", 1, 1, func(cmds []C, got, want decision[E]) string {
			if (got.err == nil) != (want.err == nil) || want.err != nil && !alike(got.err, want.err) || want.err == nil && !show.Same(got.events, want.events) {
				return differ(cmds, got, want)
			}
			return ""
		}),
		each("a batch equals its commands in turn", 0, maxBatch, func(cmds []C, got, want decision[E]) string {
			if want.err == nil && (got.err != nil || !show.Same(got.events, want.events)) {
				return differ(cmds, got, want)
			}
			return ""
		}),
		each("a batch is all or nothing", 1, maxBatch, func(cmds []C, got, want decision[E]) string {
			switch {
			case want.err == nil:
				return ""
			case got.err == nil:
				return "the batch " + show.Text(cmds) + " is accepted, though one of its commands is rejected: " + want.err.Error()
			case len(got.events) > 0:
				return "the batch " + show.Text(cmds) + " is rejected, and has events: " + outcome(got.events, got.err)
			}
			return ""
		}),
	}
}

// inTurn decides cmds one after the other.
func inTurn[C, S, E any](d decider.Decider[C, S, E], cmds []C, state S) (all decision[E]) {
	for _, c := range cmds {
		s := step(d, c, state)
		if s.Err != nil {
			return decision[E]{nil, s.Err}
		}
		state = s.After
		all.events = append(all.events, s.Events...)
	}
	return all
}
