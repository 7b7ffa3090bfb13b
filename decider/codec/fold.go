package codec

import "github.com/evolvego/evolve/store"

// Fold returns the state after what recorded are, decoded by c, from state on. If one
// cannot be decoded it returns the state before it, with the error of c. The events
// are decoded into the memory of scratch, which a caller who folds often keeps; its
// content means nothing afterwards.
func Fold[S, E any](c Codec[E], evolve func(S, E) S, state S, recorded []store.Recorded, scratch *[]E) (S, error) {
	if _, ok := c.(values[E]); ok { // decoding is no more than a look: do it on the way
		for i := range recorded {
			event, ok := recorded[i].Value.(*E) // as value does, but this loop is worth two lines
			if !ok || event == nil {
				return state, noValue(&recorded[i])
			}
			state = evolve(state, *event)
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
