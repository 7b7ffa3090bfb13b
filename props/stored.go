package props

import (
	"bytes"
	"slices"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/internal/value"
)

// State adds the laws that the state of an instance survives encode and decode, which
// happen whenever a runtime stores it, and that the instance then evolves and reacts as
// if it had not been stored.
func (s ProcessSuite[E, S, C]) State(encode func(S) ([]byte, error), decode func([]byte) (S, error)) ProcessSuite[E, S, C] {
	kept := snapshot[C, S, E]{encode, decode}
	s.laws = append(slices.Clip(s.laws),
		reacting(s.process, "instances survive encoding", func(i int, r Reacted[E, S, C]) *breach {
			if !value.UTF8(r.After) {
				return nil // its events could not be stored
			}
			got, data, err := kept.through(r.After)
			switch {
			case err != nil:
				return breachf(i, "the state after %s cannot be stored: %v\n  state    %s", show.Text(r.Event), err, show.Text(r.After))
			case !show.Same(got, r.After):
				return breachf(i, "the state after %s does not survive encoding: %s\n  state    %s\n  stored   %s\n  restored %s",
					show.Text(r.Event), show.Changes(r.After, got), show.Text(r.After), show.Cut(string(data), 2*maxColumn), show.Text(got))
			}
			return nil
		}),
		reacting(s.process, "stored instances react the same", func(i int, r Reacted[E, S, C]) *breach {
			before, _, err := kept.through(r.Before)
			if err != nil || !show.Same(before, r.Before) {
				return nil // the law above reports it
			}
			state := s.process.Evolve(before, r.Event)
			live, again := reactionText(r.Reaction), reactionText(s.process.React(state, r.Event))
			if live == again && show.Same(state, r.After) {
				return nil
			}
			return breachf(i, "%s is handled differently by an instance that was stored, though the instance printed the same\n  live    %s, and then %s\n  stored  %s, and then %s   ← does the process distinguish nil from empty, or compare times with ==?",
				show.Text(r.Event), live, show.Text(r.After), again, show.Text(state))
		}))
	return s
}

// Commands adds the law that each command that is sent encodes, and to the same data each
// time. The id of the command derives from the data, and tells the receiver whether it
// already has the command.
func (s ProcessSuite[E, S, C]) Commands(encode func(C) ([]byte, error)) ProcessSuite[E, S, C] {
	s.laws = append(slices.Clip(s.laws), reacting(s.process, "commands encode the same twice", func(i int, r Reacted[E, S, C]) *breach {
		for _, c := range r.Reaction.Send {
			first, err := encode(c)
			if err != nil {
				if value.UTF8(c) || value.UTF8(r.Event) && value.UTF8(r.Before) {
					return breachf(i, "%s does not encode: %v", show.Text(c), err)
				}
				continue // its text came with the event
			}
			for range encodings {
				again, err := encode(value.Clone(c))
				if err != nil {
					return breachf(i, "%s encoded once, but not the second time: %v", show.Text(c), err)
				}
				if !bytes.Equal(first, again) {
					return breachf(i, "%s was encoded twice:\n  first   %q\n  second  %q   ← does the order of a map show?", show.Text(c), first, again)
				}
			}
		}
		return nil
	}))
	return s
}

// encodings is how often a command is encoded again.
const encodings = 8

// Timers adds the law that the events of timers survive encoding with c, because they are
// stored until they are due.
func (s ProcessSuite[E, S, C]) Timers(c codec.Codec[E]) ProcessSuite[E, S, C] {
	s.laws = append(slices.Clip(s.laws), reacting(s.process, "events of timers survive encoding", func(i int, r Reacted[E, S, C]) *breach {
		for _, t := range r.Reaction.Later {
			if value.IsNil(t.Event) || !value.UTF8(t.Event) {
				continue
			}
			stored, err := encode(c, t.Event)
			if err != nil {
				return breachf(i, "the event of the timer %q cannot be stored: Encode(%s): %v", t.Name, show.Text(t.Event), err)
			}
			if wrong := roundTrip(c, t.Event, stored); wrong != "" {
				return breachf(i, "the event of the timer %q: %s", t.Name, wrong)
			}
		}
		return nil
	}))
	return s
}

// State adds the law that the view survives encode and decode after any of its events, as
// when it is stored with its checkpoint.
func (l ViewSuite[V, C, S, E]) State(encode func(V) ([]byte, error), decode func([]byte) (V, error)) ViewSuite[V, C, S, E] {
	return l.with(viewLaw(l, "the view survives encoding", snapshot[E, V, E]{encode, decode}.replays))
}

// PartitionedBy adds the law that the view is a product of its keys: events with
// different keys may come in any order, so that the keys can be folded in parallel.
func (l ViewSuite[V, C, S, E]) PartitionedBy(key func(E) string) ViewSuite[V, C, S, E] {
	return l.with(viewLaw(l, "keys are independent", func(r *run[E, V, E], events []E) *breach {
		view := r.decider.Start()
		for i, a := range events {
			for _, b := range variety(events, 2) {
				if key(a) == key(b) {
					continue
				}
				ab, ba := r.decider.Fold(view, a, b), r.decider.Fold(view, b, a)
				if !show.Same(ab, ba) {
					return breachf(i, "%s of key %q and %s of key %q depend on their order: %s",
						show.Text(a), key(a), show.Text(b), key(b), show.Changes(ab, ba))
				}
			}
			view = r.decider.Evolve(view, a)
		}
		return nil
	}))
}
