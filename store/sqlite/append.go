package sqlite

import (
	"context"
	"fmt"
	"slices"

	"github.com/evolvego/evolve/store"
)

// Append is [store.Store.Append]. It returns an *[store.InvalidError] if an event has a
// Value, or a Time outside the years 0 to 9999. It keeps times to the microsecond.
func (s *Store) Append(
	ctx context.Context, stream store.Stream, expected store.Expected, events []store.Event,
) (store.Appended, error) {
	return s.AppendClaiming(ctx, stream, expected, events, nil)
}

// appending returns an append of these events, encoded, or an error if they are
// invalid.
func (s *Store) appending(
	stream store.Stream, expected store.Expected, events []store.Event, claims []store.Claim,
) (*appending, error) {
	if err := validateAppend(stream, expected, events); err != nil {
		return nil, err
	}
	if err := store.ValidateClaims(claims); err != nil {
		return nil, err
	}
	a := &appending{
		tenant: s.tenant, stream: stream, expected: expected,
		events: make([]record, len(events)), claims: slices.Clone(claims),
	}
	at := s.backend.config.now()
	for i := range events {
		if err := a.events[i].encode(&events[i], at); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func validateAppend(stream store.Stream, expected store.Expected, events []store.Event) error {
	if err := store.ValidateAppend(stream, expected, events); err != nil {
		return err
	}
	const year0, year10000 = -62167219200, 253402300800 // seconds since 1970
	for i := range events {
		if events[i].Value != nil {
			return invalid(fmt.Sprintf("events[%d].value", i), "cannot be stored in a file")
		}
		if at := events[i].Time.Unix(); at < year0 || at >= year10000 {
			return invalid(fmt.Sprintf("events[%d].time", i), "is not in the years 0 to 9999")
		}
	}
	return nil
}

// appending is an append. If it was not made, refused says why.
type appending struct {
	tenant   string
	stream   store.Stream
	expected store.Expected
	events   []record
	claims   []store.Claim
	appended store.Appended
	refused  error
}

func (a *appending) count() int { return len(a.events) + len(a.claims) }

// do makes the append, or sets refused, or finds that it was made before. It does not
// look up the ids of its events first, because inserting a duplicate id fails.
func (a *appending) do(w *writer) error {
	t, err := w.tenant(a.tenant, false)
	if err != nil {
		return err
	}
	key := streamKey{t.id, a.stream}
	if _, known := w.streams[key]; !known && a.expected == store.NoStream && len(a.claims) == 0 {
		// The stream most likely does not exist, so do does not look it up either.
		if done, err := a.record(w, streamHead{}); err != nil || done {
			return err
		}
	}
	head, err := w.stream(key)
	if err != nil {
		return err
	}
	if !a.expected.Matches(head.version) || len(a.claims) > 0 {
		if taken, err := a.taken(w, t.id); err != nil || taken {
			return err
		}
		if !a.expected.Matches(head.version) {
			a.refused = &store.ConflictError{Stream: a.stream, Expected: a.expected, Actual: head.version}
			return nil
		}
		if claimed, err := a.claimed(w, t.id); err != nil || claimed {
			return err
		}
	}
	done, err := a.record(w, head)
	if err != nil || done {
		return err
	}
	taken, err := a.taken(w, t.id)
	if err == nil && !taken {
		err = fmt.Errorf("an id of the append to %s is taken, but no event has it", a.stream)
	}
	return err
}

// record inserts the events after head, makes the claims, and returns true. If head has no
// stream, it inserts that too. If the stream or an id of the events exists already, record
// leaves everything as it was and returns false.
func (a *appending) record(w *writer, head streamHead) (bool, error) {
	t, err := w.tenant(a.tenant, true)
	if err != nil {
		return false, err
	}
	begun := head.id == 0
	if begun {
		head.id, err = w.newStream(t.id, a.stream)
		if taken(err) == "stream.tenant, stream.type, stream.name" {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	position := t.head
	for i := range a.events {
		r := &a.events[i]
		kind, err := w.kind(r.kind())
		if err != nil {
			return false, err
		}
		position++
		head.version++
		err = r.insert(w.conn, t.id, position, head, kind)
		if taken(err) == "event.tenant, event.id" {
			return false, a.undo(w, t, begun, head.id, position)
		}
		if err != nil {
			return false, err
		}
	}
	t.head = position
	w.streams[streamKey{t.id, a.stream}] = head
	a.appended = store.Appended{Version: head.version, Position: position}
	return true, a.claim(w, t.id, head.id)
}

// undo removes what record has inserted: the events before position, and the stream if
// begun is set. It keeps what other appends of the group have inserted.
func (a *appending) undo(w *writer, t *tenantHead, begun bool, stream int64, position uint64) error {
	if position > t.head+1 {
		err := w.exec("DELETE FROM event WHERE seq > ? AND seq < ?", number(seq(t.id, t.head)), number(seq(t.id, position)))
		if err != nil {
			return err
		}
	}
	if !begun {
		return nil
	}
	w.lastStream = 0
	return w.exec("DELETE FROM stream WHERE id = ?", number(stream))
}

// taken reports whether an id of a is already recorded. If so, it sets the outcome: the
// append was made before, or it is refused with a *store.DuplicateError.
func (a *appending) taken(w *writer, tenant int64) (bool, error) {
	if tenant == 0 {
		return false, nil
	}
	for i := range a.events {
		found, err := w.find(tenant, a.events[i].event.ID)
		if err != nil {
			return false, err
		}
		if found != nil {
			return true, a.replay(w, tenant, found)
		}
	}
	return false, nil
}

// found is a recorded event.
type found struct {
	in                store.Stream
	version, position uint64
	event             store.Event
}

// find returns the event with this id, or nil if there is none.
func (w *writer) find(tenant int64, id string) (*found, error) {
	var f *found
	_, err := w.one(findEvent, func(s *stmt) {
		f = &found{
			in: store.Stream{Type: s.text(0), ID: s.text(1)}, version: s.uint(2), position: s.uint(3) & maxPosition,
			event: store.Event{
				ID: id, Type: s.text(4), Schema: uint32(s.int(5)), ContentType: s.text(6), Data: s.blob(7), //nolint:gosec // as it was inserted
			},
		}
	}, number(tenant), idValue(id, new([16]byte)))
	return f, err
}

// findEvent finds an event by its id.
const findEvent = `SELECT s.type, s.name, e.version, e.seq, k.type, k.schema, k.content_type, e.data
FROM event e CROSS JOIN stream s ON s.id = e.stream CROSS JOIN kind k ON k.id = e.kind WHERE e.tenant = ? AND e.id = ?`

// replay sets the outcome of a. First is the event that has the first already recorded
// id of a.
func (a *appending) replay(w *writer, tenant int64, first *found) error {
	last := first
	for i := range a.events {
		if i > 0 || first.event.ID != a.events[0].event.ID {
			var err error
			if last, err = w.find(tenant, a.events[i].event.ID); err != nil {
				return err
			}
		}
		if last == nil || last.in != a.stream || last.version != first.version+uint64(i) || !a.events[i].event.Same(&last.event) {
			a.refused = &store.DuplicateError{
				Stream: a.stream, EventID: first.event.ID, In: first.in, Version: first.version,
			}
			return nil
		}
	}
	a.appended = store.Appended{Version: last.version, Position: last.position, Replayed: true}
	return nil
}
