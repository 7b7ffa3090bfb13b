package decider

import "maps"

// Keyed is a command or an event of the one that has Key.
type Keyed[K comparable, V any] struct {
	Key   K
	Value V
}

// Many returns any number of d, told apart by a key, as one decider. The state
// has an entry for each key that has had an event; a key without one is at the
// Initial of d. Commands and events concern their key alone. K is the type
// argument to write: Many[ItemID](item).
//
// Evolve copies the map, so a state that was handed out stays as it is, and costs
// time in the number of keys: this is for the parts of one aggregate, tens or
// hundreds, not for all aggregates of a kind, which are streams of their own.
//
// Initial is the nil map. Terminal: never, because a new key can always come; a
// key whose state is terminal stays in the map, or it would begin again.
func Many[K comparable, C, S, E any](d Decider[C, S, E]) Decider[Keyed[K, C], map[K]S, Keyed[K, E]] {
	at := func(states map[K]S, key K) S {
		if state, ok := states[key]; ok {
			return state
		}
		return d.Start()
	}
	return Decider[Keyed[K, C], map[K]S, Keyed[K, E]]{
		Decide: func(cmd Keyed[K, C], states map[K]S) ([]Keyed[K, E], error) {
			events, err := d.Decide(cmd.Value, at(states, cmd.Key))
			if err != nil || len(events) == 0 {
				return nil, err
			}
			keyed := make([]Keyed[K, E], len(events))
			for i, event := range events {
				keyed[i] = Keyed[K, E]{cmd.Key, event}
			}
			return keyed, nil
		},
		Evolve: func(states map[K]S, event Keyed[K, E]) map[K]S {
			next := make(map[K]S, len(states)+1)
			maps.Copy(next, states)
			next[event.Key] = d.Evolve(at(states, event.Key), event.Value)
			return next
		},
	}
}
