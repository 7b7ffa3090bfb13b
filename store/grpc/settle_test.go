package grpc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc"
	"github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/memory"
)

// scripted is a foreign server that behaves differently at some calls.
type scripted struct {
	*foreign

	appends, reads atomic.Int64
	// onAppend and onRead receive the number of the call, from 1 on, and the server's
	// usual action.
	onAppend func(n int64, do func() error) error
	onRead   func(n int64) error
}

func (s *scripted) Register(r gogrpc.ServiceRegistrar) { eventstorev1.RegisterEventStoreServer(r, s) }

func (s *scripted) Append(ctx context.Context, req *eventstorev1.AppendRequest) (resp *eventstorev1.AppendResponse, err error) {
	do := func() error {
		resp, err = s.foreign.Append(ctx, req)
		return err
	}
	n := s.appends.Add(1)
	if s.onAppend == nil {
		return resp, do()
	}
	err = s.onAppend(n, do)
	return resp, err
}

func (s *scripted) ReadStream(ctx context.Context, req *eventstorev1.ReadStreamRequest) (*eventstorev1.ReadStreamResponse, error) {
	if n := s.reads.Add(1); s.onRead != nil {
		if err := s.onRead(n); err != nil {
			return nil, err
		}
	}
	return s.foreign.ReadStream(ctx, req)
}

// add appends events without the client.
func (s *scripted) add(t *testing.T, stream store.Stream, events ...store.Event) {
	t.Helper()
	s.addTo(store.DefaultTenant, stream, events...)
}

// addTo appends events to the log of a tenant.
func (s *scripted) addTo(tenant string, stream store.Stream, events ...store.Event) {
	t0 := s.tenant(tenant)
	t0.mu.Lock()
	defer t0.mu.Unlock()
	for i := range events {
		e := &events[i]
		t0.log = append(t0.log, &eventstorev1.EventData{Payload: e.Data, Meta: &eventstorev1.EventMetadata{
			EventId: e.ID, EventType: e.Type, EventVersion: e.Schema, ContentType: e.ContentType, TenantId: tenant,
			AggregateId: stream.ID, AggregateType: stream.Type,
			AggregateNonce: uint64(len(t0.stream(stream.ID)) + 1), GlobalNonce: uint64(len(t0.log) + 1),
		}})
	}
}

func aStream() store.Stream { return store.Stream{Type: "Numbers", ID: "n"} }

func numbers(from, n int) []store.Event {
	events := make([]store.Event, n)
	for i := range events {
		events[i] = numbered(from + i)
	}
	return events
}

var errLost = status.Error(codes.Unavailable, "connection reset by peer")

// TestAnswerThatIsLost records an append and loses its answer, and others append before
// the client retries: the result is where it was recorded.
func TestAnswerThatIsLost(t *testing.T) {
	t.Parallel()
	for _, details := range []string{"standard", "bare", "none", "internal"} {
		for _, page := range []int{2, 1000} {
			srv := &scripted{foreign: newForeign().with(quirks{Details: details})}
			srv.onAppend = func(n int64, do func() error) error {
				err := do()
				if n == 1 {
					srv.add(t, aStream(), numbers(100, 3)...)
					return errLost
				}
				return err
			}
			srv.add(t, store.Stream{Type: "Numbers", ID: "other"}, numbered(0))
			srv.add(t, aStream(), numbered(1))
			st := open(t, listen(t, srv), grpc.PageSize(page))
			got, err := st.Append(t.Context(), aStream(), store.Exactly(1), numbers(2, 5))
			if want := (store.Appended{Version: 6, Position: 7, Replayed: true}); err != nil || got != want {
				t.Errorf("details %q, pages of %d: Append = %+v, %v; want %+v", details, page, got, err, want)
			}
		}
	}
}

// TestOthersWroteInstead loses the answer to an append that was not recorded, and
// others append something that partly looks like it: the result is a conflict.
func TestOthersWroteInstead(t *testing.T) {
	t.Parallel()
	ours := numbers(2, 3)
	change := func(i int, change func(e *store.Event)) []store.Event {
		events := numbers(2, 3)
		change(&events[i])
		return events
	}
	for name, theirs := range map[string][]store.Event{
		"only the last is the same":  change(0, func(e *store.Event) { e.ID = "x" }),
		"only the first is the same": change(2, func(e *store.Event) { e.ID = "x" }),
		"the middle differs":         change(1, func(e *store.Event) { e.Data = []byte("x") }),
		"another type":               change(1, func(e *store.Event) { e.Type = "Other" }),
		"another schema":             change(1, func(e *store.Event) { e.Schema = 7 }),
		"another content":            change(2, func(e *store.Event) { e.ContentType = "text/plain" }),
		"another order":              {ours[1], ours[0], ours[2]},
		"others":                     numbers(100, 4),
	} {
		srv := &scripted{foreign: newForeign().with(quirks{Details: "standard"})}
		srv.onAppend = func(n int64, do func() error) error {
			if n == 1 {
				srv.add(t, aStream(), theirs...)
				return errLost
			}
			return do()
		}
		srv.add(t, aStream(), numbered(1))
		st := open(t, listen(t, srv))
		_, err := st.Append(t.Context(), aStream(), store.Exactly(1), ours)
		want := store.ConflictError{Stream: aStream(), Expected: store.Exactly(1), Actual: uint64(1 + len(theirs))}
		if conflict, ok := errors.AsType[*store.ConflictError](err); !ok || *conflict != want {
			t.Errorf("%s: Append = %v, want %v", name, err, &want)
		}
	}
}

// TestLookThatFails refuses an append for a reason that only the stream shows, and the
// stream cannot be read: the outcome is unknown.
func TestLookThatFails(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		details string
		refuse  error // instead of the server's own answer
	}{
		"a conflict with the version":    {"standard", nil},
		"a conflict without the version": {"none", nil},
		"a conflict at the version":      {"", status.Error(codes.Aborted, "duplicate key value violates unique constraint")},
		"a duplicate id":                 {"", status.Error(codes.AlreadyExists, "event_id exists")},
	} {
		for _, broken := range []error{status.Error(codes.Internal, "out of order"), status.Error(codes.NotFound, "no such table")} {
			srv := &scripted{foreign: newForeign().with(quirks{Details: tt.details})}
			srv.onAppend = func(n int64, do func() error) error {
				switch {
				case n == 1:
					srv.add(t, aStream(), numbers(100, 3)...)
					return errLost
				case tt.refuse != nil:
					return tt.refuse
				}
				return do()
			}
			srv.onRead = func(int64) error { return broken }
			st := open(t, listen(t, srv))
			_, err := st.Append(t.Context(), aStream(), store.NoStream, numbers(2, 2))
			if err == nil || store.Definite(err) || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrDuplicate) {
				t.Errorf("%s: Append = %v, want an error that is not definite", name, err)
			}
			if status.Code(err) != status.Code(broken) {
				t.Errorf("%s: Append = %v, want the code %s of the read", name, err, status.Code(broken))
			}
		}
	}
}

// TestRefusedAfterALostAnswer loses the answer to an append and refuses the next
// request: the first one may have been recorded.
func TestRefusedAfterALostAnswer(t *testing.T) {
	t.Parallel()
	refused, err := status.New(codes.FailedPrecondition, "not now").WithDetails(wireRefused())
	if err != nil {
		t.Fatal(err)
	}
	for name, refusal := range map[string]error{
		"no write":   refused.Err(),
		"no right":   status.Error(codes.PermissionDenied, "tenant_id 'default' is not allowed for these credentials"),
		"no token":   status.Error(codes.Unauthenticated, "the credentials are missing or not valid"),
		"no such":    status.Error(codes.InvalidArgument, "events[0].payload is odd"),
		"too large":  status.Error(codes.ResourceExhausted, "grpc: received message larger than max (5 vs. 4)"),
		"too large2": status.Error(codes.OutOfRange, "Error, message length too large: found 5 bytes, the limit is: 4 bytes"),
	} {
		for lost := range 2 {
			srv := &scripted{foreign: newForeign().with(quirks{})}
			srv.onAppend = func(n int64, do func() error) error {
				if n <= int64(lost) {
					return errors.Join(do(), errLost)
				}
				return refusal
			}
			st := open(t, listen(t, srv))
			_, err := st.Append(t.Context(), aStream(), store.NoStream, numbers(1, 1))
			if err == nil || store.Definite(err) != (lost == 0) {
				t.Errorf("%s after %d lost answers: Append = %v; want it to be definite: %t", name, lost, err, lost == 0)
			}
			if lost == 0 && status.Code(refusal) != codes.InvalidArgument && !strings.HasPrefix(name, "too") && !errors.Is(err, store.ErrRefused) {
				t.Errorf("%s: Append = %v, want ErrRefused", name, err)
			}
		}
	}
}

// TestAppendToIDOfAnotherType appends to a stream whose id has another type on a server
// that does not distinguish types: whatever the server answers, nothing was recorded.
func TestAppendToIDOfAnotherType(t *testing.T) {
	t.Parallel()
	for _, details := range []string{"standard", "bare", "both", "none", "internal"} {
		for _, expected := range []store.Expected{store.NoStream, store.Exactly(1), store.Any, store.Exists} {
			srv := &scripted{foreign: newForeign().with(quirks{Details: details})}
			srv.add(t, aStream(), numbers(1, 3)...)
			st := open(t, listen(t, srv))
			_, err := st.Append(t.Context(), store.Stream{Type: "Other", ID: "n"}, expected, numbers(7, 1))
			invalid, ok := errors.AsType[*store.InvalidError](err)
			if conflict, other := errors.AsType[*store.ConflictError](err); other && expected == store.Exactly(1) && conflict.Actual == 3 {
				continue // the answer says so, and the next read reports the rest
			}
			if !ok || invalid.Field != "stream.type" || strings.Contains(err.Error(), "unknown") {
				t.Errorf("details %q, expecting %s: Append = %v, want an *InvalidError about stream.type", details, expected, err)
			}
		}
	}
}

// TestAnyIsTriedSoOften has other writers that are always first: an append that expects
// no exact version is tried 201 times, and then returns a conflict.
func TestAnyIsTriedSoOften(t *testing.T) {
	t.Parallel()
	for _, expected := range []store.Expected{store.Any, store.Exists} {
		synctest.Test(t, func(t *testing.T) {
			backend := memory.New()
			s := &busy{Server: server.New(backend), backend: backend, rivals: 10_000, deaf: true}
			if _, err := backend.Append(t.Context(), aStream(), store.NoStream, []store.Event{numbered(0)}); err != nil {
				t.Fatal(err)
			}
			st := overMemory(t, s)
			_, err := st.Append(t.Context(), aStream(), expected, []store.Event{numbered(20_000)})
			conflict, ok := errors.AsType[*store.ConflictError](err)
			if requests := s.appends.Load(); !ok || conflict.Expected != expected || requests != 201 {
				t.Errorf("Append(%s) = %v after %d requests, want a conflict after 201", expected, err, requests)
			}
		})
	}
}

// TestExistsOnAMissingStream takes one request, on any server.
func TestExistsOnAMissingStream(t *testing.T) {
	t.Parallel()
	for name, srv := range backends() {
		st := open(t, listen(t, srv()))
		_, err := st.Append(t.Context(), aStream(), store.Exists, numbers(1, 1))
		want := store.ConflictError{Stream: aStream(), Expected: store.Exists}
		if conflict, ok := errors.AsType[*store.ConflictError](err); !ok || *conflict != want {
			t.Errorf("%s: Append = %v, want %v", name, err, &want)
		}
	}
}

// TestPartOfABatchIsThere appends a batch of which a server already has some events.
// The server refuses it without saying which.
func TestPartOfABatchIsThere(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		there   []store.Event
		version uint64 // of the first recorded event
		all     bool
	}{
		"the first":     {numbers(2, 1), 2, false},
		"the last":      {numbers(4, 1), 2, false},
		"the middle":    {append(numbers(100, 1), numbered(3)), 3, false},
		"another order": {[]store.Event{numbered(3), numbered(2), numbered(4)}, 3, false},
		"a gap":         {[]store.Event{numbered(2), numbered(100), numbered(3), numbered(4)}, 2, false},
		"all":           {numbers(2, 3), 4, true},
		"all, and more": {numbers(2, 10), 4, true},
	} {
		for _, refusal := range []error{status.Error(codes.AlreadyExists, "event_id exists"), nil} {
			srv := &scripted{foreign: newForeign().with(quirks{Taken: "aborted"})}
			srv.add(t, aStream(), numbered(1))
			srv.add(t, aStream(), tt.there...)
			srv.onAppend = func(_ int64, do func() error) error {
				if refusal != nil {
					return refusal
				}
				return do()
			}
			st := open(t, listen(t, srv))
			got, err := st.Append(t.Context(), aStream(), store.Exactly(uint64(1+len(tt.there))), numbers(2, 3))
			if tt.all {
				if want := (store.Appended{Version: 4, Position: 4, Replayed: true}); err != nil || got != want {
					t.Errorf("%s: Append = %+v, %v; want %+v", name, got, err, want)
				}
				continue
			}
			duplicate, ok := errors.AsType[*store.DuplicateError](err)
			if !ok || duplicate.Version != tt.version || duplicate.In != aStream() {
				t.Errorf("%s: Append = %v, want a duplicate of version %d", name, err, tt.version)
			}
		}
	}
}

// TestTimeoutOfTheServer uses a server that ends calls when their time is up, in the
// words of servers in Rust, before the client's own clock does.
func TestTimeoutOfTheServer(t *testing.T) {
	t.Parallel()
	for answer, want := range map[error]bool{
		status.Error(codes.Canceled, "Timeout expired"):             true,
		status.Error(codes.DeadlineExceeded, "deadline has passed"): true,
		status.Error(codes.Canceled, "the operator said so"):        false,
	} {
		srv := &scripted{foreign: newForeign().with(quirks{})}
		st := open(t, listen(t, srv))
		srv.onAppend = func(int64, func() error) error { return answer }
		srv.onRead = func(int64) error { return answer }
		_, err := st.Append(t.Context(), aStream(), store.NoStream, numbers(1, 1))
		_, readErr := st.Read(t.Context(), aStream(), store.ReadOptions{})
		for call, err := range map[string]error{"Append": err, "Read": readErr} {
			if err == nil || errors.Is(err, context.DeadlineExceeded) != want || store.Definite(err) {
				t.Errorf("%s with the answer %q = %v; want DeadlineExceeded: %t, and not definite", call, answer, err, want)
			}
		}
	}
}

// TestOurServerSettlesItself checks that the client retries an append on a server of
// this package without reading anything.
func TestOurServerSettlesItself(t *testing.T) {
	t.Parallel()
	backend := memory.New()
	calls := make(map[string]int)
	addr := listen(t, server.New(backend), gogrpc.UnaryInterceptor(
		func(ctx context.Context, req any, info *gogrpc.UnaryServerInfo, handle gogrpc.UnaryHandler) (any, error) {
			md, _ := metadata.FromIncomingContext(ctx)
			if len(md["evolve-client"]) == 0 {
				t.Error("a request does not identify the client as ours")
			}
			calls[info.FullMethod]++
			resp, err := handle(ctx, req)
			if strings.HasSuffix(info.FullMethod, "/Append") && calls[info.FullMethod] == 1 {
				return nil, errLost
			}
			return resp, err
		}))
	st := open(t, addr)
	got, err := st.Append(t.Context(), aStream(), store.NoStream, numbers(1, 2))
	if want := (store.Appended{Version: 2, Position: 2, Replayed: true}); err != nil || got != want {
		t.Errorf("Append = %+v, %v; want %+v", got, err, want)
	}
	if calls["/eventstore.v1.EventStore/Append"] != 2 || calls["/eventstore.v1.EventStore/ReadStream"] != 0 {
		t.Errorf("calls: %v, want two appends and no reading", calls)
	}
}

// refusing is a store that refuses to write.
type refusing struct{ *memory.Store }

func (r refusing) Tenant(string) (store.Store, error) { return r, nil }

func (refusing) Append(context.Context, store.Stream, store.Expected, []store.Event) (store.Appended, error) {
	return store.Appended{}, fmt.Errorf("10.0.0.7 is read-only: %w", store.ErrRefused)
}

// TestRefusalOfTheStore checks that our client learns at once that the store behind a
// server refuses to write.
func TestRefusalOfTheStore(t *testing.T) {
	t.Parallel()
	st := open(t, listen(t, server.New(refusing{memory.New()})))
	_, err := st.Append(t.Context(), aStream(), store.NoStream, numbers(1, 1))
	if !errors.Is(err, store.ErrRefused) || strings.Contains(err.Error(), "10.0.0.7") {
		t.Errorf("Append = %v, want ErrRefused without the server's details", err)
	}
}

// TestEventThatOthersCannotRead checks that an event that is too large for clients in
// other languages is refused with its number, and that an option of the server allows
// it.
func TestEventThatOthersCannotRead(t *testing.T) {
	t.Parallel()
	large := numbers(1, 2)
	large[1].Data = make([]byte, 5<<20)
	_, err := open(t, listen(t, server.New(memory.New()), server.GRPCOptions()...)).Append(t.Context(), aStream(), store.NoStream, large)
	if invalid, ok := errors.AsType[*store.InvalidError](err); !ok || invalid.Field != "events[1].data" {
		t.Errorf("Append of 5 MiB = %v, want an *InvalidError about events[1].data", err)
	}
	st := open(t, listen(t, server.New(memory.New(), server.WithLargeEvents()), server.GRPCOptions()...))
	if _, err := st.Append(t.Context(), aStream(), store.NoStream, large); err != nil {
		t.Errorf("Append of 5 MiB with the option = %v", err)
	}
	page, err := st.Read(t.Context(), aStream(), store.ReadOptions{From: 2})
	if err != nil || len(page.Events) != 1 || len(page.Events[0].Data) != 5<<20 {
		t.Errorf("Read = %d events, %v", len(page.Events), err)
	}
}
