package grpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/internal/wire"
)

const (
	// maxFloats is how often an append that does not expect an exact version is retried at
	// the current version of the stream.
	maxFloats = 200
	// firstFloat and longestFloat limit the wait after another writer got there first.
	firstFloat   = time.Millisecond
	longestFloat = 16 * time.Millisecond
)

// Append is [store.Store.Append]. It returns an *[store.InvalidError] if an event has a
// Value, or the first millisecond of 1970 as its Time, which the protocol cannot express,
// and if an event or the whole append is too large for the server. Times are kept to the
// millisecond. A server that refuses the credentials or the write has recorded nothing:
// the error matches [store.ErrRefused].
//
// The protocol knows only exact versions. A server of package server is told about
// [store.Any] and [store.Exists] in request metadata. For another server, Append reads the
// version and expects that, and repeats this while other writers get there first; after
// 200 retries it returns a *[store.ConflictError].
func (s *Store) Append(
	ctx context.Context, stream store.Stream, expected store.Expected, events []store.Event,
) (store.Appended, error) {
	if err := validateAppend(stream, expected, events); err != nil {
		return store.Appended{}, err
	}
	if err := s.client.begin(); err != nil {
		return store.Appended{}, err
	}
	defer s.client.running.Done()
	a := &sending{Store: s, stream: stream, expected: expected, events: events, req: s.appendRequest(stream, events)}
	if version, ok := expected.Version(); ok {
		return a.at(ctx, version)
	}
	return a.float(ctx)
}

func validateAppend(stream store.Stream, expected store.Expected, events []store.Event) error {
	if err := store.ValidateAppend(stream, expected, events); err != nil {
		return err
	}
	for i := range events {
		if events[i].Value != nil {
			return &store.InvalidError{Field: fmt.Sprintf("events[%d].value", i), Reason: "cannot be sent to a server"}
		}
		if !events[i].Time.IsZero() && events[i].Time.UnixMilli() == 0 {
			return &store.InvalidError{Field: fmt.Sprintf("events[%d].time", i), Reason: "is the first millisecond of 1970, which means no time to a server"}
		}
	}
	return nil
}

// sending is an append in progress.
type sending struct {
	*Store
	stream   store.Stream
	expected store.Expected
	events   []store.Event
	req      *eventstorev1.AppendRequest
	told     bool // the server knows what is expected, and does not check the version
	lost     bool // a request got no answer: it may have been done, or may still be done
}

// appendRequest returns the request for events, without the versions.
func (s *Store) appendRequest(stream store.Stream, events []store.Event) *eventstorev1.AppendRequest {
	req := &eventstorev1.AppendRequest{
		TenantId: s.tenant, AggregateId: stream.ID, AggregateType: stream.Type,
		Events: make([]*eventstorev1.EventData, len(events)),
	}
	for i := range events {
		req.Events[i] = wire.FromEvent(stream, 0, &events[i])
		req.Events[i].Meta.TenantId = s.tenant
	}
	return req
}

// float appends at the current version of the stream, for an append that does not
// expect an exact version.
func (a *sending) float(ctx context.Context) (store.Appended, error) {
	version := a.nowhere()
	if a.told = a.client.ours.Load(); a.told {
		ctx = metadata.AppendToOutgoingContext(ctx, wire.MDExpected, expectedText(a.expected))
	} else {
		head, err := a.streamHead(ctx, a.stream)
		if err != nil {
			return store.Appended{}, err
		}
		if a.expected.Matches(head) {
			version = head
		}
	}
	for n := 0; ; n++ {
		appended, err := a.at(ctx, version)
		conflict := (*store.ConflictError)(nil)
		if !errors.As(err, &conflict) {
			return appended, err
		}
		if !a.expected.Matches(conflict.Actual) || n == maxFloats {
			return store.Appended{}, conflict
		}
		version = conflict.Actual
		if n > 0 {
			if err := backOff(ctx, n, firstFloat, longestFloat); err != nil {
				return store.Appended{}, err
			}
		}
	}
}

// nowhere returns a version that no stream has. An append there returns a conflict,
// unless the events or an id of them are already recorded.
func (a *sending) nowhere() uint64 { return store.MaxVersion - uint64(len(a.events)) }

// expectedText returns the value of wire.MDExpected for e, which must match more than
// one version.
func expectedText(e store.Expected) string {
	if e == store.Exists {
		return wire.ExpectExists
	}
	return wire.ExpectAny
}

// at appends at version. It retries while the server is unavailable, which is safe,
// because at most one append can follow version. A server of this package recognizes
// the append by its ids; for another server, settle finds out.
func (a *sending) at(ctx context.Context, version uint64) (store.Appended, error) {
	a.expect(version)
	for n := 1; ; n++ {
		appended, err := a.send(ctx, version)
		again := unavailable(err)
		if err != nil && !a.client.ours.Load() {
			appended, again, err = a.settle(ctx, version, err)
		}
		if a.lost && (errors.Is(err, store.ErrRefused) || errors.Is(err, store.ErrInvalid)) {
			// The outcome of the last request is certain, but not that of an earlier one.
			err = fmt.Errorf("store/grpc: the outcome of an append to %s is unknown: one request got no answer, and the next one got: %s", a.stream, err.Error())
		}
		a.lost = a.lost || !store.Definite(err)
		if !again || n == attempts {
			return appended, err
		}
		if ended := backOff(ctx, n-1, shortest, longest); ended != nil {
			return store.Appended{}, errors.Join(ended, err)
		}
	}
}

// expect sets the versions in the request.
func (a *sending) expect(version uint64) {
	a.req.ExpectedAggregateNonce = version
	for i, e := range a.req.GetEvents() {
		e.Meta.AggregateNonce = version + uint64(i) + 1
	}
}

// send sends the request once.
func (a *sending) send(ctx context.Context, version uint64) (store.Appended, error) {
	resp, trailer, err := invoke(outgoing(ctx), a.client, a.client.api.Append, a.req)
	if err != nil {
		return store.Appended{}, a.refused(ctx, err, trailer)
	}
	if resp.GetLastAggregateNonce() < uint64(len(a.events)) {
		return store.Appended{}, fmt.Errorf("store/grpc: append to %s: the server reports that it is recorded up to version %d: %w",
			a.stream, resp.GetLastAggregateNonce(), wire.ErrProtocol)
	}
	return store.Appended{
		Version: resp.GetLastAggregateNonce(), Position: resp.GetLastGlobalNonce(),
		Replayed: len(trailer.Get(wire.MDReplayed)) > 0 || !a.told && resp.GetLastAggregateNonce() != version+uint64(len(a.events)),
	}, nil
}

// refused turns the server's error into the error for the caller.
func (a *sending) refused(ctx context.Context, err error, trailer metadata.MD) error {
	what := "append to " + a.stream.String()
	if actual, known, conflict := conflictOf(err, trailer); conflict {
		if !known {
			if actual, err = a.streamHead(ctx, a.stream); err != nil {
				return a.unread(err)
			}
		}
		return &store.ConflictError{Stream: a.stream, Expected: a.expected, Actual: actual}
	}
	if ctx.Err() == nil && tooLarge(err) {
		st, _ := status.FromError(err)
		if invalid := wire.InvalidFrom(st); invalid != nil {
			return invalid
		}
		return &store.InvalidError{Field: "events", Reason: "are more than the server accepts at once: " + st.Message()}
	}
	st, _ := status.FromError(err)
	switch code := st.Code(); {
	case code == codes.AlreadyExists:
		if duplicate := wire.DuplicateFrom(st, a.stream); duplicate != nil {
			return duplicate
		}
		return &store.DuplicateError{Stream: a.stream, EventID: a.events[0].ID}
	case ctx.Err() == nil && (code == codes.PermissionDenied || code == codes.Unauthenticated || wire.IsRefused(st)):
		return fmt.Errorf("store/grpc: %s: %w by the server: %w", what, store.ErrRefused, err)
	}
	return callError(ctx, what, err)
}
