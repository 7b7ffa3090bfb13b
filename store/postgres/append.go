package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/evolvego/evolve/store"
)

// Append is [store.Store.Append]. It returns an *[store.InvalidError] if an event has a
// Value, or a Time outside the years 0 to 9999. Times are stored to the microsecond.
// While the transaction of an [Store.Update] holds the log, an append waits for at most
// ten seconds, or for the lock_timeout of the connections, and then returns an *[Error]
// that matches [ErrBusy].
func (s *Store) Append(
	ctx context.Context, stream store.Stream, expected store.Expected, events []store.Event,
) (store.Appended, error) {
	return s.AppendClaiming(ctx, stream, expected, events, nil)
}

// AppendClaiming is [store.Claims.AppendClaiming], with the limits of [Store.Append].
func (s *Store) AppendClaiming(
	ctx context.Context, stream store.Stream, expected store.Expected, events []store.Event, claims []store.Claim,
) (store.Appended, error) {
	a, err := newAppending(s.tenant, stream, expected, events, claims)
	if err != nil {
		return store.Appended{}, err
	}
	b := s.backend
	if err := b.ready(ctx); err != nil {
		return store.Appended{}, err
	}
	if err := b.lane.submit(ctx, a); err != nil {
		return store.Appended{}, err
	}
	return a.appended, a.refused
}

func validateAppend(stream store.Stream, expected store.Expected, events []store.Event) error {
	if err := store.ValidateAppend(stream, expected, events); err != nil {
		return err
	}
	const year0, year10000 = -62167219200, 253402300800 // seconds since 1970
	for i := range events {
		if events[i].Value != nil {
			return invalid(fmt.Sprintf("events[%d].value", i), "cannot be stored in a database")
		}
		if at := events[i].Time.Unix(); at < year0 || at >= year10000 {
			return invalid(fmt.Sprintf("events[%d].time", i), "is not in the years 0 to 9999")
		}
	}
	return nil
}

// streamKey is a stream of a tenant.
type streamKey struct {
	tenant string
	stream store.Stream
}

// appending is an append that a caller waits for.
type appending struct {
	key      streamKey
	expected store.Expected
	events   []record
	size     int // bytes of data
	claims   []store.Claim

	state atomic.Int32 // waiting, taken or abandoned
	group atomic.Pointer[group]
	done  chan struct{} // closed when the following fields are set

	failure  error // the error of the transaction
	settled  bool  // the following fields are set
	appended store.Appended
	refused  error // why the append was refused, if it was
}

// record holds the columns of an event, except for its place. It shares no memory with
// the event that it was made from.
type record struct {
	event   store.Event // without its headers
	headers string      // as JSON; empty if there are none
}

func newAppending(
	tenant string, stream store.Stream, expected store.Expected, events []store.Event, claims []store.Claim,
) (*appending, error) {
	if err := validateAppend(stream, expected, events); err != nil {
		return nil, err
	}
	if err := store.ValidateClaims(claims); err != nil {
		return nil, err
	}
	a := &appending{
		key: streamKey{tenant, stream}, expected: expected, claims: slices.Clone(claims),
		events: make([]record, len(events)), done: make(chan struct{}),
	}
	for i := range events {
		if err := a.events[i].encode(&events[i]); err != nil {
			return nil, err
		}
		a.size += len(events[i].Data)
	}
	return a, nil
}

// encode sets r to a copy of e.
func (r *record) encode(e *store.Event) error {
	r.event = *e
	r.event.Data = append([]byte{}, e.Data...) // not nil, because nil means NULL
	if e.ContentType == "" {
		r.event.ContentType = store.OctetStream
	}
	r.event.Meta.Headers = nil
	if len(e.Meta.Headers) == 0 {
		return nil
	}
	headers, err := json.Marshal(e.Meta.Headers)
	if err != nil {
		return fmt.Errorf("postgres: encode headers: %w", err)
	}
	r.headers = string(headers)
	return nil
}

// The outcomes of an append, with the numbers of the database function.
const (
	wasAppended = iota
	wasReplayed
	wasConflict
	wasDuplicate
	wasClaimed
)

// answer is a row that the database function returns.
type answer struct {
	outcome           int32
	version, position *int64
	name              *string
	inType, inID      *string
}

// columns returns the destinations for scanning a row.
func (r *answer) columns() []any {
	return []any{&r.outcome, &r.version, &r.position, &r.name, &r.inType, &r.inID}
}

// settle sets the outcome of a.
func (a *appending) settle(r *answer) {
	a.settled = true
	switch r.outcome {
	case wasAppended, wasReplayed:
		a.appended = store.Appended{Version: positive(r.version), Position: positive(r.position), Replayed: r.outcome == wasReplayed}
	case wasConflict:
		a.refused = &store.ConflictError{Stream: a.key.stream, Expected: a.expected, Actual: positive(r.version)}
	case wasDuplicate:
		a.refused = &store.DuplicateError{Stream: a.key.stream, EventID: *r.name, In: store.Stream{Type: *r.inType, ID: *r.inID}, Version: positive(r.version)}
	case wasClaimed:
		a.refused = &store.ClaimedError{Stream: a.key.stream, Key: *r.name, Holder: store.Stream{Type: *r.inType, ID: *r.inID}}
	}
}

// positive returns n, which must not be negative, or 0 for NULL.
func positive(n *int64) uint64 {
	if n == nil {
		return 0
	}
	return uint64(*n) //nolint:gosec // a version or position
}
