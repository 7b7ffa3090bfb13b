package props

import (
	"errors"
	"fmt"

	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/internal/value"
)

func asPanic(err error, p **panicError) bool { return errors.As(err, p) }

// snapshot encodes and decodes states.
type snapshot[C, S, E any] struct {
	encode func(S) ([]byte, error)
	decode func([]byte) (S, error)
}

// snapshotLaws returns the laws about states that are encoded and decoded.
func snapshotLaws[C, S, E any](encode func(S) ([]byte, error), decode func([]byte) (S, error)) []law[C, S, E] {
	s := snapshot[C, S, E]{encode, decode}
	return []law[C, S, E]{
		{name: "snapshots make no difference", check: s.replays},
		{name: "decisions on a snapshot are the same", behind: []string{"snapshots make no difference"}, check: s.decides},
		{name: "a damaged snapshot is an error", check: s.damaged},
	}
}

// through returns state after encoding and decoding, and the data.
func (s snapshot[C, S, E]) through(state S) (out S, data []byte, err error) {
	p := catch(func() {
		if data, err = s.encode(state); err == nil {
			out, err = s.decode(data)
		}
	})
	if p != nil {
		err = p
	}
	return out, data, err
}

func (s snapshot[C, S, E]) replays(r *run[C, S, E], cmds []C) *breach {
	h := play(r.decider, cmds)
	want, events, last := h.end(), h.events(), len(cmds)-1
	for _, k := range splits(len(events)) {
		state := r.decider.Fold(r.decider.Start(), events[:k]...)
		if !value.UTF8(state) {
			continue // its events could not be stored
		}
		snap, data, err := s.through(state)
		where := fmt.Sprintf("a snapshot after %d of %d events", k, len(events))
		if err != nil {
			return breachf(last, "%s: %v\n  state    %s", where, err, show.Text(state))
		}
		if got := r.decider.Fold(snap, events[k:]...); !show.Same(got, want) {
			return breachf(last, "%s, with the later events on top, gives another state: %s\n  state    %s\n  stored   %s\n  restored %s",
				where, show.Changes(want, got), show.Text(state), show.Cut(string(data), 2*maxColumn), show.Text(snap))
		}
	}
	return nil
}

// decides finds differences between states that print the same, such as a nil map and an
// empty one.
func (s snapshot[C, S, E]) decides(r *run[C, S, E], cmds []C) *breach {
	return r.walk(cmds, func(i int, st Step[C, S, E]) *breach {
		snap, _, err := s.through(st.Before)
		if err != nil || !show.Same(snap, st.Before) {
			return nil // the law above reports it
		}
		want := decision[E]{st.Events, st.Err}
		events, err := r.decider.Decide(value.Clone(st.Command), snap)
		if got := (decision[E]{events, err}); !want.same(got) {
			return breachf(i, "%s is decided differently on a snapshot of the state, though the snapshot prints the same:\n  state     %s\n  snapshot  %s   ← does the decider distinguish nil from empty?",
				show.Text(st.Command), want, got)
		}
		return nil
	})
}

func (s snapshot[C, S, E]) damaged(r *run[C, S, E], cmds []C) *breach {
	h := play(r.decider, cmds)
	if !value.UTF8(h.end()) {
		return nil
	}
	var data []byte
	var err error
	if catch(func() { data, err = s.encode(h.end()) }) != nil || err != nil {
		return nil // the first law reports it
	}
	wrong := undamaged(h.end(), data, r.thorough, func(data []byte) (out []S, err error) {
		var state S
		if p := catch(func() { state, err = s.decode(data) }); p != nil {
			err = p
		}
		return []S{state}, err
	})
	if wrong == "" {
		return nil
	}
	return &breach{len(cmds) - 1, wrong}
}
