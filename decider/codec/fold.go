package codec

import "github.com/evolvego/evolve/store"

// Fold returns the state after the recorded events, decoded by c, starting from state. If
// an event cannot be decoded, it returns the state before that event and the error of c.
// It decodes the events into the memory of scratch, which callers that fold often can
// reuse. The content of scratch means nothing afterwards.
func Fold[S, E any](c Codec[E], evolve func(S, E) S, state S, recorded []store.Recorded, scratch *[]E) (S, error) {
	if _, ok := c.(values[E]); ok { // decoding only reads a pointer: do it in the loop
		state, n := foldValues(evolve, state, recorded)
		if n < len(recorded) {
			return state, noValue(&recorded[n])
		}
		return state, nil
	}
	events, err := c.Decode((*scratch)[:0], recorded)
	for i := range events {
		state = evolve(state, events[i])
	}
	*scratch = events
	return state, err
}

// foldValues is Fold for events that Values has encoded, and returns the number of
// events. Replay is this loop. It keeps the state in registers, and handles four events
// per round, because its other variables do not survive a call of evolve in registers. If
// it were inlined, it would share the registers with its caller.
//
//go:noinline
func foldValues[S, E any](evolve func(S, E) S, state S, recorded []store.Recorded) (S, int) {
	rest := recorded
	for len(rest) >= 4 {
		e0, _ := rest[0].Value.(*E)
		e1, _ := rest[1].Value.(*E)
		e2, _ := rest[2].Value.(*E)
		e3, _ := rest[3].Value.(*E)
		if e0 == nil || e1 == nil || e2 == nil || e3 == nil {
			break
		}
		state = evolve(evolve(evolve(evolve(state, *e0), *e1), *e2), *e3)
		rest = rest[4:]
	}
	for i := range rest {
		event, _ := rest[i].Value.(*E)
		if event == nil {
			return state, len(recorded) - len(rest) + i
		}
		state = evolve(state, *event)
	}
	return state, len(recorded)
}

// FoldInPlace is [Fold] with a function that changes the state in place, like
// decider.Decider.EvolveInPlace. If an event cannot be decoded, *state is the state
// before it.
func FoldInPlace[S, E any](c Codec[E], evolve func(*S, E), state *S, recorded []store.Recorded, scratch *[]E) error {
	if _, ok := c.(values[E]); ok {
		for i := range recorded {
			event, _ := recorded[i].Value.(*E)
			if event == nil {
				return noValue(&recorded[i])
			}
			evolve(state, *event)
		}
		return nil
	}
	events, err := c.Decode((*scratch)[:0], recorded)
	for i := range events {
		evolve(state, events[i])
	}
	*scratch = events
	return err
}

// KeepsValues reports whether c is [Values], for whose events there is [FoldValues].
func KeepsValues[E any](c Codec[E]) bool {
	_, ok := c.(values[E])
	return ok
}

// FoldValues is [Fold] of what [Values] has made, given as store.ValueReader lends it. It
// returns the number of events that it folded: it stops at one that Values[E] did not make.
//
//go:noinline
func FoldValues[S, E any](evolve func(S, E) S, state S, kept []any) (S, int) {
	rest := kept
	for len(rest) >= 4 { // as in foldValues
		e0, _ := rest[0].(*E)
		e1, _ := rest[1].(*E)
		e2, _ := rest[2].(*E)
		e3, _ := rest[3].(*E)
		if e0 == nil || e1 == nil || e2 == nil || e3 == nil {
			break
		}
		state = evolve(evolve(evolve(evolve(state, *e0), *e1), *e2), *e3)
		rest = rest[4:]
	}
	for i := range rest {
		event, _ := rest[i].(*E)
		if event == nil {
			return state, len(kept) - len(rest) + i
		}
		state = evolve(state, *event)
	}
	return state, len(kept)
}

// FoldValuesInPlace is [FoldValues] by a function that changes the state in place, as
// decider.Decider.EvolveInPlace does.
func FoldValuesInPlace[S, E any](evolve func(*S, E), state *S, kept []any) int {
	for i := range kept {
		event, _ := kept[i].(*E)
		if event == nil {
			return i
		}
		evolve(state, *event)
	}
	return len(kept)
}
