package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/internal/wire"
)

// Append is the RPC of that name.
func (s *Server) Append(ctx context.Context, req *eventstorev1.AppendRequest) (*eventstorev1.AppendResponse, error) {
	c := &Call{Method: "Append", Tenant: req.GetTenantId()}
	var appended store.Appended
	err := s.serve(ctx, c, "AppendRequest", func(v view) error {
		if err := checkAppend(req); err != nil {
			return err
		}
		a := newAppending(v, req)
		a.floating = floating(ctx, v)
		if err := s.validate(a); err != nil {
			return err
		}
		var err error
		if appended, err = s.append(ctx, a); err != nil {
			return err
		}
		for i := range a.events {
			c.Bytes += len(a.events[i].Data)
		}
		c.Events, c.Replayed = len(a.events), appended.Replayed
		if appended.Replayed && v.known {
			_ = gogrpc.SetTrailer(ctx, metadata.Pairs(wire.MDReplayed, "1")) // impossible without a connection
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &eventstorev1.AppendResponse{
		LastGlobalNonce: appended.Position, LastAggregateNonce: appended.Version,
	}, nil
}

// checkAppend makes the checks that need only the request, in the order of the
// protocol.
func checkAppend(req *eventstorev1.AppendRequest) error {
	switch {
	case req.GetAggregateId() == "":
		return refused("aggregate_id is required on AppendRequest")
	case req.GetAggregateType() == "":
		return refused("aggregate_type is required on AppendRequest")
	case len(req.GetEvents()) == 0:
		return refused("AppendRequest.events must not be empty")
	}
	for _, e := range req.GetEvents() {
		if err := checkMeta(req, e.GetMeta()); err != nil {
			return err
		}
	}
	return nil
}

func checkMeta(req *eventstorev1.AppendRequest, m *eventstorev1.EventMetadata) error {
	switch {
	case m == nil:
		return refused("event.metadata is required for optimistic concurrency")
	case m.GetAggregateNonce() == 0:
		return refused("aggregate_nonce must be >= 1 for all events")
	case m.GetEventId() == "":
		return refused("event_id must be provided (UUID/ULID recommended)")
	case differs(m.GetAggregateId(), req.GetAggregateId()):
		return refusedf("event aggregate_id '%s' must match request aggregate_id '%s'", m.GetAggregateId(), req.GetAggregateId())
	case differs(m.GetAggregateType(), req.GetAggregateType()):
		return refusedf("event aggregate_type '%s' must match request aggregate_type '%s'",
			m.GetAggregateType(), req.GetAggregateType())
	case differs(m.GetTenantId(), req.GetTenantId()):
		return answerf(codes.PermissionDenied, "event tenant_id '%s' does not match request tenant_id '%s'",
			m.GetTenantId(), req.GetTenantId())
	}
	for key := range m.GetHeaders() {
		if wire.IsReserved(key) {
			return refusedf("header '%s' is reserved", key)
		}
	}
	return nil
}

// differs reports whether a field of an event contradicts its request. An empty field
// does not.
func differs(event, request string) bool { return event != "" && event != request }

func refused(message string) error { return status.Error(codes.InvalidArgument, message) }

func refusedf(format string, args ...any) error {
	return answerf(codes.InvalidArgument, format, args...)
}

// answerf is status.Errorf, with the client's texts in the form of [wire.Clip].
func answerf(code codes.Code, format string, args ...any) error {
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = wire.Clip(text)
		}
	}
	return status.Errorf(code, format, args...)
}

// appending is a valid append.
type appending struct {
	view
	stream   store.Stream
	expected uint64
	floating store.Expected // instead of expected, if it is not 0
	key      string         // the idempotency key, or empty
	nonces   []uint64
	events   []store.Event
}

// newAppending takes ownership of the memory of req.
func newAppending(v view, req *eventstorev1.AppendRequest) *appending {
	a := &appending{
		view:     v,
		stream:   store.Stream{Type: req.GetAggregateType(), ID: req.GetAggregateId()},
		expected: req.GetExpectedAggregateNonce(),
		key:      req.GetIdempotencyKey(),
		nonces:   make([]uint64, len(req.GetEvents())),
		events:   make([]store.Event, len(req.GetEvents())),
	}
	for i, p := range req.GetEvents() {
		a.nonces[i] = p.GetMeta().GetAggregateNonce()
		a.events[i] = wire.ToEvent(p)
		if e := &a.events[i]; e.Type == "" {
			e.Type = wire.NoType
			e.Meta.Headers = with(e.Meta.Headers, wire.HeaderNoType, "")
		}
		if e := &a.events[i]; e.Time.IsZero() && !v.known { // for our client, it is the time of recording
			e.Meta.Headers = with(e.Meta.Headers, wire.HeaderNoTime, "")
		}
	}
	return a
}

// floating returns what our client expects if that is more than one version, and 0
// otherwise.
func floating(ctx context.Context, v view) store.Expected {
	if !v.known {
		return 0
	}
	if said := metadata.ValueFromIncomingContext(ctx, wire.MDExpected); len(said) == 1 {
		switch said[0] {
		case wire.ExpectAny:
			return store.Any
		case wire.ExpectExists:
			return store.Exists
		}
	}
	return 0
}

// validate makes the checks that every store makes. It also checks that every store can
// keep the times, which must be in the years 1 to 9999, and that every client can read
// the events.
func (s *Server) validate(a *appending) error {
	if err := store.ValidateAppend(a.stream, store.NoStream, a.events); err != nil {
		return err
	}
	for i := range a.events {
		if year := a.events[i].Time.Year(); year < 1 || year > 9999 {
			return refusedf("events[%d].timestamp_unix_ms is in the year %d, not in 1 to 9999", i, year)
		}
		if err := s.validateSize(a, i); err != nil {
			return err
		}
	}
	return nil
}

const (
	// maxMessage is the largest message that a client receives by default.
	maxMessage = 4 << 20
	// aroundEvent is more than the size of an answer without its event.
	aroundEvent = 64
)

// validateSize checks that every client can receive event i of a in a message of its
// own.
func (s *Server) validateSize(a *appending, i int) error {
	e := &a.events[i]
	if s.large || len(e.Data)+store.MaxMetadata+10*store.MaxName < maxMessage-aroundEvent {
		return nil
	}
	r := store.Recorded{Event: *e, Stream: a.stream, Version: store.MaxVersion, Position: store.MaxVersion, RecordedAt: time.Unix(1<<40, 0)}
	size := proto.Size(wire.FromRecorded(a.tenant, &r)) + aroundEvent
	if size <= maxMessage {
		return nil
	}
	return wire.InvalidStatus(codes.ResourceExhausted, &store.InvalidError{
		Field: fmt.Sprintf("events[%d].data", i),
		Reason: fmt.Sprintf("makes a message of %d bytes, larger than max (%d): clients in other languages could not read the event or anything after it",
			size, maxMessage),
	}).Err()
}

// with sets key in headers, which may be nil.
func with(headers map[string]string, key, value string) map[string]string {
	if headers == nil {
		headers = make(map[string]string, 1)
	}
	headers[key] = value
	return headers
}

// append makes the remaining checks, and the append.
func (s *Server) append(ctx context.Context, a *appending) (store.Appended, error) {
	if !a.known {
		found, unlock, err := s.finder.forAppend(ctx, a.view, a.stream, a.expected == 0)
		if err != nil {
			return store.Appended{}, err
		}
		defer unlock()
		if found != a.stream {
			return store.Appended{}, s.collision(ctx, a, found)
		}
	}
	switch {
	case a.key != "": // keys are for appends at an exact version
		return s.appendKeyed(ctx, a)
	case a.floating != 0:
		return s.appendAt(ctx, a, a.floating)
	}
	return s.appendOnce(ctx, a)
}

// collision returns the reason why a, whose id belongs to the stream found, cannot be
// appended.
func (s *Server) collision(ctx context.Context, a *appending, found store.Stream) error {
	head, err := last(ctx, a.store, found)
	if err != nil {
		return err
	}
	if head.Version != a.expected {
		return s.conflict(ctx, a.tenant, found.ID, head.Version, head.Position)
	}
	return refusedf("aggregate_type '%s' does not match '%s', the type of aggregate_id '%s'",
		a.stream.Type, found.Type, found.ID)
}

// last returns the last event of stream, or the zero Recorded if there is none.
func last(ctx context.Context, st store.Store, stream store.Stream) (store.Recorded, error) {
	page, err := st.Read(ctx, stream, store.ReadOptions{Backward: true, Limit: 1, ReadOnly: true})
	if err != nil || len(page.Events) == 0 {
		return store.Recorded{}, err
	}
	return page.Events[0], nil
}

// appendOnce appends a at its version, whatever its key is.
func (s *Server) appendOnce(ctx context.Context, a *appending) (store.Appended, error) {
	for i, nonce := range a.nonces {
		if want := a.expected + uint64(i) + 1; nonce != want {
			return store.Appended{}, s.misnumbered(ctx, a, i, nonce, want)
		}
	}
	if a.expected > store.MaxVersion {
		return store.Appended{}, s.misnumbered(ctx, a, 0, 0, 0)
	}
	return s.appendAt(ctx, a, store.Exactly(a.expected))
}

func (s *Server) appendAt(ctx context.Context, a *appending, expected store.Expected) (store.Appended, error) {
	appended, err := a.store.Append(ctx, a.stream, expected, a.events)
	if conflict, ok := errors.AsType[*store.ConflictError](err); ok {
		return appended, s.conflictAt(ctx, a, conflict.Actual)
	}
	return appended, err
}

// misnumbered returns the reason why a, whose event i has the wrong nonce, cannot be
// appended: the stream is not where it was expected or, if it is, the nonce is wrong.
func (s *Server) misnumbered(ctx context.Context, a *appending, i int, nonce, want uint64) error {
	head, err := last(ctx, a.store, a.stream)
	if err != nil {
		return err
	}
	if head.Version != a.expected {
		return s.conflict(ctx, a.tenant, a.stream.ID, head.Version, head.Position)
	}
	return refusedf("event %d aggregate_nonce %d must equal expected %d", i, nonce, want)
}

// conflictAt returns the status for a, whose stream was at version actual.
func (s *Server) conflictAt(ctx context.Context, a *appending, actual uint64) error {
	if actual == 0 {
		return s.conflict(ctx, a.tenant, a.stream.ID, 0, 0)
	}
	page, err := a.store.Read(ctx, a.stream, store.ReadOptions{From: actual, Limit: 1, ReadOnly: true})
	if err != nil || len(page.Events) == 0 {
		return s.conflict(ctx, a.tenant, a.stream.ID, actual, 0) // nothing more is known, but it is a conflict
	}
	return s.conflict(ctx, a.tenant, a.stream.ID, actual, page.Events[0].Position)
}
