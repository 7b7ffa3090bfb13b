package decider

import "maps"

// Keyed is a command or an event for the instance with Key.
type Keyed[K comparable, V any] struct {
	Key   K
	Value V
}

// Many returns a decider for any number of instances of d, each with its own key. The
// state has an entry for each key that has had an event. A key without an entry is at the
// Initial of d. Commands and events affect only their key. Write K as the type argument:
// Many[ItemID](item).
//
// Evolve copies the map, so a returned state never changes, and its cost grows with the
// number of keys. Use Many for the parts of one aggregate, tens or hundreds. Do not use
// it for all aggregates of a type, which should be streams of their own.
//
// Initial is the nil map. Terminal is never true, because a new key can always come. A
// key whose state is terminal stays in the map, because otherwise it would begin again.
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
