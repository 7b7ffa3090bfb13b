package codec

import "github.com/evolvego/evolve/store"

// Fold returns the state after what recorded are, decoded by c, from state on. If one
// cannot be decoded it returns the state before it, with the error of c. The events
// are decoded into the memory of scratch, which a caller who folds often keeps; its
// content means nothing afterwards.
func Fold[S, E any](c Codec[E], evolve func(S, E) S, state S, recorded []store.Recorded, scratch *[]E) (S, error) {
	if _, ok := c.(values[E]); ok { // decoding is no more than a look: do it on the way
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

// foldValues is Fold of what Values has made, and returns the number of events. Replay is
// this loop: it has nothing that keeps the state out of the registers, and takes four
// events in a round, because what it knows of the round does not survive evolve in a
// register. Inlined, it would share them with its caller.
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

// FoldInPlace is [Fold] by a function that changes the state in place, as
// decider.Decider.EvolveInPlace does. If an event cannot be decoded, *state is the
// one before it.
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
