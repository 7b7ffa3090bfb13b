package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/evolvego/evolve/store"
)

// Append is [store.Store.Append]. An event with a Value, or whose Time is not in
// the years 0 to 9999, is an *[store.InvalidError]. Times are kept to the
// microsecond.
func (s *Store) Append(
	ctx context.Context, stream store.Stream, expected store.Expected, events []store.Event,
) (store.Appended, error) {
	return s.AppendClaiming(ctx, stream, expected, events, nil)
}

// appending returns the append of events that are valid, as they are kept.
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
	at := s.backend.now()
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
			return invalid(fmt.Sprintf("events[%d].value", i), "cannot be kept in a file")
		}
		if at := events[i].Time.Unix(); at < year0 || at >= year10000 {
			return invalid(fmt.Sprintf("events[%d].time", i), "is not in the years 0 to 9999")
		}
	}
	return nil
}

// appending is an append; refused says why it was not made, if it was not.
type appending struct {
	tenant   string
	stream   store.Stream
	expected store.Expected
	events   []record
	claims   []store.Claim
	appended store.Appended
	refused  error
}

// insertSizes are how many events one INSERT has.
func insertSizes() [4]int { return [4]int{64, 16, 4, 1} }

// insertRows inserts n events.
func insertRows(n int) string {
	const row = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	return "INSERT INTO event (tenant, position, stream, version, " +
		"id, type, schema, content_type, time, recorded_at, meta, data) VALUES " + row + strings.Repeat(", "+row, n-1)
}

func (a *appending) do(w *writer) error {
	t, err := w.tenant(a.tenant, false)
	if err != nil {
		return err
	}
	head, err := w.stream(streamKey{t.id, a.stream})
	if err != nil {
		return err
	}
	matches := a.expected.Matches(head.version)
	if len(a.events) == 1 && matches && head.id != 0 && len(a.claims) == 0 {
		err := a.record(w, t, head)
		if !isTaken(err) { // which changed nothing
			return err
		}
	}
	if taken, err := a.taken(w, t.id); err != nil || taken {
		return err
	}
	if !matches {
		a.refused = &store.ConflictError{Stream: a.stream, Expected: a.expected, Actual: head.version}
		return nil
	}
	if claimed, err := a.claimed(w, t.id); err != nil || claimed {
		return err
	}
	return a.record(w, t, head)
}

func (a *appending) count() int { return len(a.events) + len(a.claims) }

// record inserts the events and makes the claims; no id among them may be taken, unless it is only one.
func (a *appending) record(w *writer, t *tenantHead, head streamHead) error {
	if head.id == 0 {
		var err error
		if t, err = w.tenant(a.tenant, true); err != nil {
			return err
		}
		err = w.queryRow("INSERT INTO stream (tenant, type, name) VALUES (?, ?, ?) RETURNING id",
			t.id, a.stream.Type, a.stream.ID).Scan(&head.id)
		if err != nil {
			return err
		}
	}
	position, events := t.head, a.events
	for _, n := range insertSizes() {
		for len(events) >= n {
			args := make([]any, 0, 12*n)
			for i := range events[:n] {
				position++
				head.version++
				args = events[i].args(args, t.id, position, head)
			}
			if err := w.exec(insertRows(n), args...); err != nil {
				return err
			}
			events = events[n:]
		}
	}
	t.head = position
	w.streams[streamKey{t.id, a.stream}] = head
	a.appended = store.Appended{Version: head.version, Position: position}
	return a.claim(w, t.id, head.id)
}

// taken reports whether an id of a is taken, and then sets what the outcome is:
// the append was made before, or it is a *store.DuplicateError.
func (a *appending) taken(w *writer, tenant int64) (bool, error) {
	if tenant == 0 {
		return false, nil
	}
	for i := range a.events {
		var found found
		err := w.queryRow(findEvent, tenant, a.events[i].event.ID).Scan(found.columns()...)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return false, err
		}
		return true, a.replay(w, tenant, &found)
	}
	return false, nil
}

// findEvent finds an event by its id.
const findEvent = `SELECT e.stream, s.type, s.name, e.version, e.position,
e.id, e.type, e.schema, e.content_type, e.data
FROM event e CROSS JOIN stream s ON s.id = e.stream WHERE e.tenant = ? AND e.id = ?`

// replay sets the outcome of a, where first has the first id of it that is taken.
func (a *appending) replay(w *writer, tenant int64, first *found) error {
	last := *first
	for i := range a.events {
		if i > 0 || first.event.ID != a.events[0].event.ID {
			err := w.queryRow(findEvent, tenant, a.events[i].event.ID).Scan(last.columns()...)
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
			if err != nil {
				last = found{}
			}
		}
		if last.in != a.stream || last.version != first.version+uint64(i) || !a.events[i].event.Same(&last.event) {
			a.refused = &store.DuplicateError{
				Stream: a.stream, EventID: first.event.ID, In: first.in, Version: first.version,
			}
			return nil
		}
	}
	a.appended = store.Appended{Version: last.version, Position: last.position, Replayed: true}
	return nil
}

// found is an event that is recorded.
type found struct {
	stream            int64
	in                store.Stream
	version, position uint64
	event             store.Event
}

func (f *found) columns() []any {
	f.event.Data = nil // Scan must not write into what another one has
	return []any{
		&f.stream, &f.in.Type, &f.in.ID, &f.version, &f.position,
		&f.event.ID, &f.event.Type, &f.event.Schema, &f.event.ContentType, &f.event.Data,
	}
}
