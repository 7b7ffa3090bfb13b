package decider

import (
	"errors"
	"slices"
)

// Union returns the deciders ds as one, over one state S, usually a struct with a field
// for each of them, to which [Focus] fits each decider.
//
// A command goes to every member, each on the state before the command. Members that
// return [ErrUnhandled] are skipped. The events are those of all members that accept, in
// the order of ds. If a member rejects, the whole command is rejected with that error,
// the first in the order of ds, and no events remain. A command that all members skip is
// ErrUnhandled. An event goes through the Evolve of every member, in the order of ds.
// Members ignore foreign events, as [Adapt] makes them do. Members that work on disjoint
// parts of the state cannot disturb each other. If two share a part, they must agree on
// it.
//
// Initial is seed, and nil means the zero S. The members' own Initial is not called,
// because a member knows the rest of S only as zero. seed returns the initial state for
// all of them, as in
//
//	func() Shop { return Shop{Cart: cart.Start(), Payment: payment.Start()} }
//
// Terminal is true when all members are terminal. A Union of none handles nothing,
// ignores every event and is always terminal. It is the identity of Union.
func Union[C, S, E any](seed func() S, ds ...Decider[C, S, E]) Decider[C, S, E] {
	ds = slices.Clone(ds)
	return Decider[C, S, E]{
		Decide: func(cmd C, state S) ([]E, error) { return decideAll(ds, cmd, state) },
		Evolve: func(state S, event E) S {
			for i := range ds {
				state = ds[i].Evolve(state, event)
			}
			return state
		},
		Initial:  seed,
		Terminal: allTerminal(ds),
	}
}

// decideAll returns the events of all ds that handle cmd.
func decideAll[C, S, E any](ds []Decider[C, S, E], cmd C, state S) ([]E, error) {
	var all []E
	handled := false
	for i := range ds {
		events, err := ds[i].Decide(cmd, state)
		switch {
		case errors.Is(err, ErrUnhandled):
			continue
		case err != nil:
			return nil, err
		case len(all) == 0:
			all = events
		case len(events) > 0: // a member's slice must not be appended to
			all = slices.Concat(all, events)
		}
		handled = true
	}
	if !handled {
		return nil, ErrUnhandled
	}
	return all, nil
}

// allTerminal returns a Terminal that is true when all ds are terminal, or nil if one of
// them never ends.
func allTerminal[C, S, E any](ds []Decider[C, S, E]) func(S) bool {
	if slices.ContainsFunc(ds, func(d Decider[C, S, E]) bool { return d.Terminal == nil }) {
		return nil
	}
	return func(state S) bool {
		for i := range ds {
			if !ds[i].Terminal(state) {
				return false
			}
		}
		return true
	}
}
