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

// foldValues is Fold of what Values has made, and returns how many events that were.
// Replay is this loop: it has nothing that keeps the state out of the registers.
func foldValues[S, E any](evolve func(S, E) S, state S, recorded []store.Recorded) (S, int) {
	for i := range recorded {
		event, _ := recorded[i].Value.(*E)
		if event == nil {
			return state, i
		}
		state = evolve(state, *event)
	}
	return state, len(recorded)
}
