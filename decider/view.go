package decider

import "slices"

// View folds events into a read model S. Evolve must not be nil. It is pure and total
// like [Decider].Evolve, and ignores events that do not concern it. Package projection
// keeps its states up to date with a log (projection.Documents, Keyed and NewImage).
type View[S, E any] struct {
	// Evolve returns the state after event.
	Evolve func(state S, event E) S
	// Initial returns the state before the first event. Nil means the zero S.
	Initial func() S
}

// Start returns the state before the first event.
func (v View[S, E]) Start() S {
	return start(v.Initial)
}

// Fold returns the state after events, applied in order to state.
func (v View[S, E]) Fold(state S, events ...E) S {
	for _, event := range events {
		state = v.Evolve(state, event)
	}
	return state
}

// MapViewEvent returns v for events E2. in converts an E2 to an event of v, or returns
// false for an event that is not v's, which then changes nothing; see [Narrow]. Initial
// is that of v.
func MapViewEvent[E2, S, E any](v View[S, E], in func(E2) (E, bool)) View[S, E2] {
	return View[S, E2]{Evolve: mapEvolve(v.Evolve, in), Initial: v.Initial}
}

// FocusView returns v on a part of a larger read model S2. get and set are a lens as in
// [Focus]. Initial is the zero S2 with the Initial of v set into it.
func FocusView[S2, S, E any](v View[S, E], get func(S2) S, set func(S2, S) S2) View[S2, E] {
	return View[S2, E]{
		Evolve: func(state S2, event E) S2 { return set(state, v.Evolve(get(state), event)) },
		Initial: func() S2 {
			var zero S2
			return set(zero, v.Start())
		},
	}
}

// Merge returns the views vs as one over one read model S, usually a struct with a field
// for each of them, to which [FocusView] fits each view. An event goes through all of
// them, in the order of vs. Initial is seed, as in [Union], and nil means the zero S. A
// Merge of none never changes.
func Merge[S, E any](seed func() S, vs ...View[S, E]) View[S, E] {
	vs = slices.Clone(vs)
	return View[S, E]{
		Evolve: func(state S, event E) S {
			for i := range vs {
				state = vs[i].Evolve(state, event)
			}
			return state
		},
		Initial: seed,
	}
}
