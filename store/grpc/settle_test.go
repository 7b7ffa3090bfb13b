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

// scripted is a foreign server that does something else at some calls.
type scripted struct {
	*foreign

	appends, reads atomic.Int64
	// onAppend and onRead are called with the number of the call, from 1 on, and what
	// the server would do.
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

// add appends events beside the client.
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

// TestAnswerThatIsLost has an append recorded and its answer lost, and others write after
// it, before the client sends it again: it is where it was recorded.
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

// TestOthersWroteInstead has the answer to an append lost that was not recorded, and
// others write what looks like it from one side: it is a conflict.
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

// TestLookThatFails has an append refused for a reason that only the stream can tell, and
// the stream cannot be read: nobody knows whether the events are there.
func TestLookThatFails(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		details string
		refuse  error // in place of what the server says
	}{
		"a conflict that says where": {"standard", nil},
		"a conflict that does not":   {"none", nil},
		"a conflict at the version":  {"", status.Error(codes.Aborted, "duplicate key value violates unique constraint")},
		"an id that is taken":        {"", status.Error(codes.AlreadyExists, "event_id exists")},
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
				t.Errorf("%s: Append = %v, want the code %s of the look", name, err, status.Code(broken))
			}
		}
	}
}

// TestRefusedAfterALostAnswer has the answer to an append lost, and the next request
// refused: the first one may have been recorded.
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

// TestAppendToIDOfAnotherType appends to a stream whose id a server that does not tell
// types apart has for another type: whatever it answers, nothing was recorded.
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
				continue // it says as much, and the next read says the rest
			}
			if !ok || invalid.Field != "stream.type" || strings.Contains(err.Error(), "unknown") {
				t.Errorf("details %q, expecting %s: Append = %v, want an *InvalidError about stream.type", details, expected, err)
			}
		}
	}
}

// TestAnyIsTriedSoOften has others always be faster: an append that expects no version is
// tried 201 times, and then is a conflict.
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

// TestExistsOnAMissingStream is one request, to any server.
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

// TestPartOfABatchIsThere appends a batch of which a server has some events already, and
// which it refuses for that without saying which.
func TestPartOfABatchIsThere(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		there   []store.Event
		version uint64 // of the first event that is taken
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

// TestTimeoutOfTheServer has a server end calls when their time is up, in the words of
// servers in Rust, before the client's own clock says so.
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
				t.Errorf("%s with the answer %q = %v; want that it is DeadlineExceeded: %t, and not definite", call, answer, err, want)
			}
		}
	}
}

// TestOurServerSettlesItself checks that the client sends an append again to a server of
// ours, and looks at nothing.
func TestOurServerSettlesItself(t *testing.T) {
	t.Parallel()
	backend := memory.New()
	calls := make(map[string]int)
	addr := listen(t, server.New(backend), gogrpc.UnaryInterceptor(
		func(ctx context.Context, req any, info *gogrpc.UnaryServerInfo, handle gogrpc.UnaryHandler) (any, error) {
			md, _ := metadata.FromIncomingContext(ctx)
			if len(md["evolve-client"]) == 0 {
				t.Error("a request does not say that it is ours")
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

// TestRefusalOfTheStore checks that a client of ours hears that the store behind a server
// refuses to write, and at once.
func TestRefusalOfTheStore(t *testing.T) {
	t.Parallel()
	st := open(t, listen(t, server.New(refusing{memory.New()})))
	_, err := st.Append(t.Context(), aStream(), store.NoStream, numbers(1, 1))
	if !errors.Is(err, store.ErrRefused) || strings.Contains(err.Error(), "10.0.0.7") {
		t.Errorf("Append = %v, want ErrRefused that does not tell what the server knows", err)
	}
}

// TestEventThatOthersCannotRead checks that an event that is too large for clients in
// other languages is refused with its number, and that an option of the server lets it in.
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
