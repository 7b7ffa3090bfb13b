package decider

// MapCommand returns d for commands C2, which f converts to commands of d. State, events,
// Initial and Terminal are those of d.
func MapCommand[C2, C, S, E any](d Decider[C, S, E], f func(C2) C) Decider[C2, S, E] {
	return Decider[C2, S, E]{
		Decide:   func(cmd C2, state S) ([]E, error) { return d.Decide(f(cmd), state) },
		Evolve:   d.Evolve,
		Initial:  d.Initial,
		Terminal: d.Terminal,

		EvolveInPlace: d.EvolveInPlace,
	}
}

// MapEvent returns d with events E2. out converts the events that d decides to E2, and in
// converts an E2 back. in returns false for an event that is not d's, which then changes
// nothing. The events of d must survive: in(out(e)) must be e and true, or d loses its
// own events. Initial and Terminal are those of d.
func MapEvent[E2, C, S, E any](d Decider[C, S, E], in func(E2) (E, bool), out func(E) E2) Decider[C, S, E2] {
	return Decider[C, S, E2]{
		Decide: func(cmd C, state S) ([]E2, error) {
			events, err := d.Decide(cmd, state)
			if err != nil || len(events) == 0 {
				return nil, err
			}
			mapped := make([]E2, len(events))
			for i, event := range events {
				mapped[i] = out(event)
			}
			return mapped, nil
		},
		Evolve:   mapEvolve(d.Evolve, in),
		Initial:  d.Initial,
		Terminal: d.Terminal,
	}
}

// MapError returns d with f applied to each error of Decide. f is not called with nil. If
// f returns nil, the command is accepted and nothing happens. If f hides [ErrUnhandled],
// the command is rejected and no longer skipped in a [Union]. Initial and Terminal are
// those of d.
func MapError[C, S, E any](d Decider[C, S, E], f func(error) error) Decider[C, S, E] {
	return Decider[C, S, E]{
		Decide: func(cmd C, state S) ([]E, error) {
			events, err := d.Decide(cmd, state)
			if err != nil {
				return nil, f(err)
			}
			return events, nil
		},
		Evolve:   d.Evolve,
		Initial:  d.Initial,
		Terminal: d.Terminal,

		EvolveInPlace: d.EvolveInPlace,
	}
}

// Focus returns d on a part of a larger state S2: get returns the part, and set returns a
// copy of the whole with another part. They must be a lens: get returns what was set,
// setting what get returned changes nothing, and the last of two sets wins. If S2 holds
// maps or slices, set must copy what it changes.
//
// Initial is the zero S2 with the Initial of d set into it. Terminal is that of d on the
// part.
func Focus[S2, C, S, E any](d Decider[C, S, E], get func(S2) S, set func(S2, S) S2) Decider[C, S2, E] {
	v := FocusView(d.View(), get, set)
	focused := Decider[C, S2, E]{
		Decide:  func(cmd C, state S2) ([]E, error) { return d.Decide(cmd, get(state)) },
		Evolve:  v.Evolve,
		Initial: v.Initial,
	}
	if d.Terminal != nil {
		focused.Terminal = func(state S2) bool { return d.Terminal(get(state)) }
	}
	return focused
}

// Adapt returns d widened to the commands C2 and events E2 of a larger whole, which
// include those of d. A command that is not a C is [ErrUnhandled], and an event that is
// not an E changes nothing. C2 and E2 are interfaces that C and E implement. For E the
// compiler checks this through up, which is always
//
//	func(e CartEvent) ShopEvent { return e }
//
// C2 is the only type argument to write: Adapt[ShopCommand](cart, up). Initial and
// Terminal are those of d.
func Adapt[C2, E2, C, S, E any](d Decider[C, S, E], up func(E) E2) Decider[C2, S, E2] {
	return MapEvent(Decider[C2, S, E]{
		Decide: func(cmd C2, state S) ([]E, error) {
			if c, ok := Narrow[C](cmd); ok {
				return d.Decide(c, state)
			}
			return nil, ErrUnhandled
		},
		Evolve:   d.Evolve,
		Initial:  d.Initial,
		Terminal: d.Terminal,

		EvolveInPlace: d.EvolveInPlace,
	}, Narrow[E, E2], up)
}

// Narrow returns v as a Sub, and whether it is one. A nil v is not. Use it as the in of
// [MapEvent] and [MapViewEvent] for events of a larger whole: MapViewEvent(v,
// Narrow[CartEvent, ShopEvent]).
func Narrow[Sub, Super any](v Super) (Sub, bool) {
	sub, ok := any(v).(Sub)
	return sub, ok
}

// mapEvolve returns evolve for the events that in accepts.
func mapEvolve[E2, S, E any](evolve func(S, E) S, in func(E2) (E, bool)) func(S, E2) S {
	return func(state S, event E2) S {
		if e, ok := in(event); ok {
			return evolve(state, e)
		}
		return state
	}
}
