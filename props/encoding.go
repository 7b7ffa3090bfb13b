package props

import (
	"fmt"
	"reflect"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

// codecLaws returns the laws of a codec, on the events that commands decide.
func codecLaws[C, S, E any](c codec.Codec[E]) []law[C, S, E] {
	return []law[C, S, E]{
		{"every event encodes", false, eachEvent[C, S](func(e E) string {
			var err error
			if p := catch(func() { _, err = c.Encode(e) }); p != nil {
				err = p
			}
			if err != nil {
				return fmt.Sprintf("Encode(%s): %v", text(e), err)
			}
			return ""
		})},
		{"events survive encoding", false, eachEvent[C, S](func(e E) string {
			stored, err := c.Encode(e)
			if err != nil {
				return "" // the law above
			}
			return roundTrip(c, e, stored)
		})},
	}
}

// eachEvent returns the check that wants wrong to find nothing in any event.
func eachEvent[C, S, E any](wrong func(E) string) func(*run[C, S, E], []C) *breach {
	return func(r *run[C, S, E], cmds []C) *breach {
		return r.walk(cmds, func(i int, s Step[C, S, E]) *breach {
			for _, e := range s.Events {
				if s.Err != nil || isNil(e) {
					continue
				}
				if text := wrong(e); text != "" {
					return &breach{i, text}
				}
			}
			return nil
		})
	}
}

// roundTrip says how e, stored as such, is not what it was when it is decoded.
func roundTrip[E any](c codec.Codec[E], e E, stored store.Event) string {
	was := fmt.Sprintf("was    %s\n  stored %s", text(e), cut(string(stored.Data), 2*maxColumn))
	var got []E
	var err error
	if p := catch(func() { got, err = c.Decode(nil, []store.Recorded{{Event: stored, Version: 1, Position: 1}}) }); p != nil {
		err = p
	}
	switch {
	case err != nil:
		return fmt.Sprintf("an event does not decode: %v\n  %s", err, was)
	case len(got) != 1:
		return fmt.Sprintf("an event decodes to %d events: %s\n  %s", len(got), outcome(got, nil), was)
	case !same(got[0], e):
		return fmt.Sprintf("an event does not survive encoding: %s\n  %s\n  is now %s", changes(e, got[0]), was, text(got[0]))
	}
	return ""
}

// snapshotLaw returns the law that a state put away and taken out again at any
// point of a history makes no difference.
func snapshotLaw[C, S, E any](encode func(S) ([]byte, error), decode func([]byte) (S, error)) law[C, S, E] {
	through := func(state S) (out S, data []byte, err error) {
		p := catch(func() {
			if data, err = encode(state); err == nil {
				out, err = decode(data)
			}
		})
		if p != nil {
			err = p
		}
		return out, data, err
	}
	return law[C, S, E]{"snapshots make no difference", false, func(r *run[C, S, E], cmds []C) *breach {
		h := play(r.decider, cmds)
		want, events, last := h.end(), h.events(), len(cmds)-1
		for _, k := range splits(len(events)) {
			state := r.decider.Fold(r.decider.Start(), events[:k]...)
			snap, data, err := through(state)
			where := fmt.Sprintf("a snapshot after %d of %d events", k, len(events))
			if err != nil {
				return breachf(last, "%s: %v\n  state    %s", where, err, text(state))
			}
			if got := r.decider.Fold(snap, events[k:]...); !same(got, want) {
				return breachf(last, "%s, and the rest on top, gives another state: %s\n  state    %s\n  stored   %s\n  restored %s",
					where, changes(want, got), text(state), cut(string(data), 2*maxColumn), text(snap))
			}
		}
		return nil
	}}
}

// isNil reports whether v is a nil interface or pointer.
func isNil[T any](v T) bool {
	r := reflect.ValueOf(&v).Elem()
	for r.Kind() == reflect.Interface || r.Kind() == reflect.Pointer {
		if r.IsNil() {
			return true
		}
		r = r.Elem()
	}
	return false
}
