package decider

// View turns events into a read model S. Evolve must not be nil; it is pure and
// total as [Decider].Evolve is, and ignores events that do not concern it.
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

// Fold returns the state after events, in order, from state on.
func (v View[S, E]) Fold(state S, events ...E) S {
	for _, event := range events {
		state = v.Evolve(state, event)
	}
	return state
}
