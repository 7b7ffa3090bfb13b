package props

import (
	"fmt"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/internal/value"
	"github.com/evolvego/evolve/store"
)

const (
	lawSurvives = "events survive encoding"
	lawLead     = "stored events lead to the same state"
)

// codecLaws returns the laws of a codec on the events that commands decide. If an event
// does not survive encoding, only the law about that reports it.
func codecLaws[C, S, E any](c codec.Codec[E]) []law[C, S, E] {
	laws := []law[C, S, E]{
		{name: "every event encodes", check: encodes[C, S](c)},
		{name: lawSurvives, check: encoded[C, S](c, func(e E, stored store.Event, _ bool) string {
			return roundTrip(c, e, stored)
		})},
		{name: "encoding is stable", check: survivor[C, S](c, func(e E, first store.Event, thorough bool) string {
			return unstable(c, e, first, thorough)
		})},
		{name: "names tell events apart", check: apart[C, S](c)},
		{name: lawLead, behind: []string{lawSurvives}, check: stored[C, S](c)},
		{name: "decisions on stored events are the same", behind: []string{lawSurvives, lawLead}, check: decidesStored[C, S](c)},
		{name: "damaged data is an error", check: atTimes(survivor[C, S](c, func(e E, stored store.Event, thorough bool) string {
			return undamaged(e, stored.Data, thorough, func(data []byte) ([]E, error) {
				stored.Data = data
				return decode(c, stored)
			})
		}))},
		{name: "decoded events own their memory", check: atTimes(survivor[C, S](c, func(_ E, stored store.Event, _ bool) string {
			return borrowed(c, stored)
		}))},
		{name: "large numbers survive encoding", behind: []string{lawSurvives}, check: atTimes(survivor[C, S](c, func(e E, _ store.Event, _ bool) string {
			return rounded(c, e)
		}))},
	}
	for i := range laws {
		laws[i].codec = true
	}
	return laws
}

// encodes returns the check that every event encodes. A codec may refuse text that is not
// UTF-8 if it came with the command: formats have no place for it, and nothing is lost.
func encodes[C, S, E any](c codec.Codec[E]) func(*run[C, S, E], []C) *breach {
	return func(r *run[C, S, E], cmds []C) *breach {
		return r.walk(cmds, func(i int, s Step[C, S, E]) *breach {
			for _, e := range s.Events {
				if s.Err != nil || value.IsNil(e) {
					continue
				}
				_, err := encode(c, e)
				if err == nil || !value.UTF8(e) && (!value.UTF8(s.Command) || !value.UTF8(s.Before)) {
					continue
				}
				return breachf(i, "Encode(%s): %v", show.Text(e), err)
			}
			return nil
		})
	}
}

// encode calls c.Encode and returns its panic as an error.
func encode[E any](c codec.Codec[E], e E) (stored store.Event, err error) {
	if p := catch(func() { stored, err = c.Encode(e) }); p != nil {
		return stored, p
	}
	return stored, err
}

// decode calls c.Decode with events, recorded as a stream, and returns its panic as an
// error.
func decode[E any](c codec.Codec[E], events ...store.Event) (out []E, err error) {
	recorded := make([]store.Recorded, len(events))
	for i := range events {
		recorded[i] = store.Recorded{Event: events[i], Version: uint64(i) + 1, Position: uint64(i) + 1}
	}
	if p := catch(func() { out, err = c.Decode(nil, recorded) }); p != nil {
		return out, p
	}
	return out, err
}

// eachEvent returns the check that wrong finds nothing in any event.
func eachEvent[C, S, E any](wrong func(E) string) func(*run[C, S, E], []C) *breach {
	return func(r *run[C, S, E], cmds []C) *breach {
		return r.walk(cmds, func(i int, s Step[C, S, E]) *breach {
			for _, e := range s.Events {
				if s.Err != nil || value.IsNil(e) {
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

// dearly is the number of histories per run of an expensive check.
const dearly = 4

// atTimes runs check on some of the histories, or on all of them if r is thorough.
func atTimes[C, S, E any](check func(*run[C, S, E], []C) *breach) func(*run[C, S, E], []C) *breach {
	return func(r *run[C, S, E], cmds []C) *breach {
		if !r.thorough && r.coverage.histories%dearly != 1 {
			return nil
		}
		return check(r, cmds)
	}
}

// encoded is eachEvent for checks of an event and its encoding. A law of its own reports
// an event that does not encode.
func encoded[C, S, E any](c codec.Codec[E], wrong func(e E, stored store.Event, thorough bool) string) func(*run[C, S, E], []C) *breach {
	return func(r *run[C, S, E], cmds []C) *breach {
		return eachEvent[C, S](func(e E) string {
			stored, err := encode(c, e)
			if err != nil {
				return ""
			}
			return wrong(e, stored, r.thorough)
		})(r, cmds)
	}
}

// survivor is encoded for events that survive encoding.
func survivor[C, S, E any](c codec.Codec[E], wrong func(e E, stored store.Event, thorough bool) string) func(*run[C, S, E], []C) *breach {
	return encoded[C, S](c, func(e E, stored store.Event, thorough bool) string {
		if roundTrip(c, e, stored) != "" {
			return ""
		}
		return wrong(e, stored, thorough)
	})
}

// roundTrip reports how e, stored as such, changes when it is decoded.
func roundTrip[E any](c codec.Codec[E], e E, stored store.Event) string {
	was := fmt.Sprintf("was    %s\n  stored %s", show.Text(e), show.Cut(string(stored.Data), 2*maxColumn))
	got, err := decode(c, stored)
	switch {
	case err != nil:
		return fmt.Sprintf("an event does not decode: %v\n  %s", err, was)
	case len(got) != 1:
		return fmt.Sprintf("an event decodes to %d events: %s\n  %s", len(got), outcome(got, nil), was)
	case !show.Same(got[0], e):
		return fmt.Sprintf("an event does not survive encoding: %s\n  %s\n  is now %s", show.Changes(e, got[0]), was, show.Text(got[0]))
	}
	return ""
}
