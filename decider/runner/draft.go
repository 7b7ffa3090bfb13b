package runner

import (
	"fmt"
	"time"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

// draft is the result of events that are not yet appended.
type draft[S any] struct {
	at     Loaded[S] // after them
	claims []store.Claim
}

// encode appends events, which happen now, to dst in the form that the store gets.
func (r *Runner[C, S, E]) encode(
	dst []store.Event, s store.Stream, k key, m store.Metadata, events []E, now time.Time,
) ([]store.Event, error) {
	n := len(dst)
	dst, err := codec.EncodeAll(r.codec, dst, events)
	if err != nil {
		return dst, fmt.Errorf("encode event %d of %d for %s: %w", len(dst)-n+1, len(events), s, err)
	}
	ids := k.ids(s, len(events))
	for i := range events {
		event := &dst[n+i]
		event.ID, event.Meta, event.Time = ids[i*idLen:(i+1)*idLen], m, now
	}
	return dst, nil
}

// apply returns the state that events, encoded as encoded, lead to from at on. It folds
// the events as they will be read: an event that cannot be read, or on which Evolve
// panics, would make the stream unreadable for ever, so it must not be appended.
func (r *Runner[C, S, E]) apply(
	scratch *scratch[E], s store.Stream, at Loaded[S], events []E, encoded []store.Event,
) (draft[S], error) {
	if !r.vouched && encoded[0].Value == nil {
		var err error
		if events, err = r.readBack(scratch, s, at.Version, encoded); err != nil {
			return draft[S]{}, err
		}
	}
	next := draft[S]{at: Loaded[S]{State: at.State, Version: at.Version + uint64(len(encoded))}}
	for i := range events {
		before := next.at.State
		next.at.State = r.decider.Evolve(before, events[i])
		if r.claims != nil {
			next.claims = addClaims(next.claims, r.claims(s.ID, before, events[i], next.at.State))
		}
	}
	return next, nil
}

// readBack decodes encoded into the memory of scratch.
func (r *Runner[C, S, E]) readBack(
	scratch *scratch[E], s store.Stream, base uint64, encoded []store.Event,
) ([]E, error) {
	scratch.recorded = scratch.recorded[:0]
	for i := range encoded {
		scratch.recorded = append(scratch.recorded, store.Recorded{
			Event: encoded[i], Stream: s, Version: base + 1 + uint64(i), RecordedAt: encoded[i].Time,
		})
	}
	events, err := r.codec.Decode(scratch.events[:0], scratch.recorded)
	clear(scratch.recorded)
	scratch.events = events
	if err != nil {
		return nil, fmt.Errorf("encode the events for %s: the codec cannot read what it wrote: %w", s, err)
	}
	return events, nil
}

// vouches reports whether c promises that it can read everything that it writes.
func vouches[E any](c codec.Codec[E]) bool {
	v, ok := c.(interface{ Vouches() bool })
	return ok && v.Vouches()
}
