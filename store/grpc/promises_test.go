package grpc_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc"
	"github.com/evolvego/evolve/store/grpc/eventstorev1"
)

// conflictAt returns a conflict whose details say that the stream is at version actual.
func conflictAt(t *testing.T, actual uint64) error {
	t.Helper()
	st, err := status.New(codes.Aborted, "append precondition failed").WithDetails(&eventstorev1.ConcurrencyErrorDetail{ActualLastAggregateNonce: actual})
	if err != nil {
		t.Fatal(err)
	}
	return st.Err()
}

// TestRequestsAreSentSixTimes uses a server that is never available.
func TestRequestsAreSentSixTimes(t *testing.T) {
	t.Parallel()
	srv := &scripted{foreign: newForeign().with(quirks{})}
	st := open(t, listen(t, srv))
	srv.onAppend = func(int64, func() error) error { return errLost }
	srv.onRead = func(int64) error { return errLost }
	_, err := st.Append(t.Context(), aStream(), store.NoStream, numbers(1, 1))
	if status.Code(err) != codes.Unavailable || store.Definite(err) || srv.appends.Load() != 6 {
		t.Errorf("Append = %v after %d requests, want Unavailable after 6", err, srv.appends.Load())
	}
	before := srv.reads.Load()
	_, err = st.Read(t.Context(), aStream(), store.ReadOptions{})
	if n := srv.reads.Load() - before; status.Code(err) != codes.Unavailable || n != 6 {
		t.Errorf("Read = %v after %d requests, want Unavailable after 6", err, n)
	}
}

// TestOtherFailuresAreNotSentAgain uses a server that fails in other ways.
func TestOtherFailuresAreNotSentAgain(t *testing.T) {
	t.Parallel()
	for _, code := range []codes.Code{codes.Internal, codes.Unknown, codes.ResourceExhausted, codes.NotFound, codes.DataLoss, codes.Unauthenticated} {
		srv := &scripted{foreign: newForeign().with(quirks{})}
		st := open(t, listen(t, srv))
		srv.onAppend = func(int64, func() error) error { return status.Error(code, "no") }
		if _, err := st.Append(t.Context(), aStream(), store.NoStream, numbers(1, 1)); status.Code(err) != code || srv.appends.Load() != 1 {
			t.Errorf("Append = %v after %d requests, want %s after one", err, srv.appends.Load(), code)
		}
	}
}

// TestAnswerThatCannotBe uses a server that reports an append as recorded at an
// impossible version.
func TestAnswerThatCannotBe(t *testing.T) {
	t.Parallel()
	srv := &scripted{foreign: newForeign().with(quirks{})}
	st := open(t, listen(t, srv))
	srv.onAppend = func(int64, func() error) error { return nil } // with an empty answer
	if got, err := st.Append(t.Context(), aStream(), store.NoStream, numbers(1, 2)); err == nil || store.Definite(err) {
		t.Errorf("Append = %+v, %v; want an error that is not definite", got, err)
	}
}

// TestConflictOfNothing uses a server that reports a version of a stream, but does not
// show its events.
func TestConflictOfNothing(t *testing.T) {
	t.Parallel()
	srv := &scripted{foreign: newForeign().with(quirks{})}
	st := open(t, listen(t, srv))
	srv.onAppend = func(int64, func() error) error { return conflictAt(t, 9) }
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := st.Append(ctx, aStream(), store.NoStream, numbers(1, 2))
	if conflict, ok := errors.AsType[*store.ConflictError](err); !ok || conflict.Actual != 9 {
		t.Errorf("Append = %v, want a conflict with version 9", err)
	}
}

// TestConflictByItsText checks that the client recognizes a conflict by its message,
// whatever the code is.
func TestConflictByItsText(t *testing.T) {
	t.Parallel()
	srv := &scripted{foreign: newForeign().with(quirks{})}
	srv.add(t, aStream(), numbers(1, 3)...)
	st := open(t, listen(t, srv))
	for _, code := range []codes.Code{codes.Unknown, codes.FailedPrecondition, codes.Internal} {
		srv.onAppend = func(int64, func() error) error { return status.Error(code, "rpc: append precondition failed") }
		_, err := st.Append(t.Context(), aStream(), store.Exactly(1), numbers(7, 4))
		if conflict, ok := errors.AsType[*store.ConflictError](err); !ok || conflict.Actual != 3 {
			t.Errorf("with the code %s: Append = %v, want a conflict with version 3", code, err)
		}
	}
}

// TestConflictAtTheVersion uses a server that aborts an append although the stream is
// at the expected version. If the events are not there, it was a race, and the client
// retries; if their ids are, it does not.
func TestConflictAtTheVersion(t *testing.T) {
	t.Parallel()
	srv := &scripted{foreign: newForeign().with(quirks{})}
	srv.add(t, aStream(), numbers(1, 3)...)
	st := open(t, listen(t, srv))
	srv.onAppend = func(n int64, do func() error) error {
		if n == 1 {
			return status.Error(codes.Aborted, "deadlock detected")
		}
		return do()
	}
	if got, err := st.Append(t.Context(), aStream(), store.Exactly(3), numbers(4, 2)); err != nil || got != (store.Appended{Version: 5, Position: 5}) {
		t.Errorf("Append after a race = %+v, %v", got, err)
	}
	before := srv.appends.Load()
	srv.onAppend = func(int64, func() error) error { return status.Error(codes.Aborted, "duplicate key") }
	again := numbers(2, 1)
	again[0].Data = []byte("other")
	_, err := st.Append(t.Context(), aStream(), store.Exactly(5), again)
	if duplicate, ok := errors.AsType[*store.DuplicateError](err); !ok || duplicate.Version != 2 || srv.appends.Load() != before+1 {
		t.Errorf("Append of a recorded id with other data =  %v after %d requests, want a duplicate of version 2 after one", err, srv.appends.Load()-before)
	}
}

// TestRefusedAfterARace uses a server that aborts an append although the stream is at
// the expected version, and then refuses it: nothing was recorded, for certain.
func TestRefusedAfterARace(t *testing.T) {
	t.Parallel()
	srv := &scripted{foreign: newForeign().with(quirks{})}
	srv.onAppend = func(n int64, _ func() error) error {
		if n == 1 {
			return status.Error(codes.Aborted, "deadlock detected")
		}
		return status.Error(codes.PermissionDenied, "not any more")
	}
	_, err := open(t, listen(t, srv)).Append(t.Context(), aStream(), store.NoStream, numbers(1, 1))
	if !errors.Is(err, store.ErrRefused) || srv.appends.Load() != 2 {
		t.Errorf("Append = %v after %d requests, want ErrRefused after 2", err, srv.appends.Load())
	}
}

// TestWhatIsSent checks the request of an append.
func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	sent := make(chan *eventstorev1.AppendRequest, 1)
	addr := listen(t, newForeign().with(quirks{}), gogrpc.UnaryInterceptor(
		func(ctx context.Context, req any, _ *gogrpc.UnaryServerInfo, handle gogrpc.UnaryHandler) (any, error) {
			if r, ok := req.(*eventstorev1.AppendRequest); ok {
				if md, _ := metadata.FromIncomingContext(ctx); !slices.Equal(md["evolve-client"], []string{"1"}) {
					t.Errorf("the metadata is %v", md)
				}
				sent <- proto.CloneOf(r) // the server fills in what is missing
			}
			return handle(ctx, req)
		}))
	events := numbers(1, 2)
	events[0].Time, events[1].Time = time.Time{}, time.UnixMilli(1234)
	if _, err := open(t, addr, grpc.Tenant("acme")).Append(t.Context(), aStream(), store.NoStream, events); err != nil {
		t.Fatal(err)
	}
	req := <-sent
	if req.GetTenantId() != "acme" || req.GetAggregateId() != "n" || req.GetAggregateType() != "Numbers" || req.GetExpectedAggregateNonce() != 0 || req.GetIdempotencyKey() != "" {
		t.Errorf("the request is %v", req)
	}
	for i, e := range req.GetEvents() {
		m := e.GetMeta()
		if m.GetTenantId() != "acme" || m.GetAggregateId() != "n" || m.GetAggregateType() != "Numbers" || m.GetAggregateNonce() != uint64(i+1) || m.GetTimestampUnixMs() != []uint64{0, 1234}[i] {
			t.Errorf("event %d is %v", i, e)
		}
	}
}

// greedy is a server that sends more events than requested.
type greedy struct{ *foreign }

func (g greedy) Register(r gogrpc.ServiceRegistrar) { eventstorev1.RegisterEventStoreServer(r, g) }

func (g greedy) ReadStream(ctx context.Context, req *eventstorev1.ReadStreamRequest) (*eventstorev1.ReadStreamResponse, error) {
	if req.GetFromAggregateNonce() > store.MaxVersion && req.GetForward() {
		return nil, status.Error(codes.InvalidArgument, "this is a negative number")
	}
	req.MaxCount = 1000
	return g.foreign.ReadStream(ctx, req)
}

func (g greedy) ReadAll(ctx context.Context, req *eventstorev1.ReadAllRequest) (*eventstorev1.ReadAllResponse, error) {
	req.MaxCount = 1000
	return g.foreign.ReadAll(ctx, req)
}

// TestServerThatSendsMore checks that no page is longer than requested, and that no
// event is lost because of that.
func TestServerThatSendsMore(t *testing.T) {
	t.Parallel()
	srv := &scripted{foreign: newForeign().with(quirks{Ends: "right"})}
	srv.add(t, aStream(), numbers(1, 5)...)
	srv.add(t, store.Stream{Type: "Others", ID: "o"}, numbers(6, 5)...)
	st := open(t, listen(t, greedy{srv.foreign}))
	var versions, positions []uint64
	for from := uint64(0); ; {
		page, err := st.Read(t.Context(), aStream(), store.ReadOptions{From: from, Limit: 2})
		if err != nil || len(page.Events) > 2 {
			t.Fatalf("Read from %d = %d events, %v; want at most 2", from, len(page.Events), err)
		}
		for i := range page.Events {
			versions = append(versions, page.Events[i].Version)
		}
		if from = page.Next; page.End {
			break
		}
	}
	for _, filter := range []store.Filter{{StreamTypes: []string{"Others"}}, {}} {
		for from := uint64(0); ; {
			page, err := st.ReadAll(t.Context(), store.LogOptions{From: from, Limit: 2, Filter: filter})
			if err != nil || len(page.Events) > 2 {
				t.Fatalf("ReadAll from %d = %d events, %v; want at most 2", from, len(page.Events), err)
			}
			for i := range page.Events {
				positions = append(positions, page.Events[i].Position)
			}
			if from = page.Next; page.End {
				break
			}
		}
	}
	if !slices.Equal(versions, []uint64{1, 2, 3, 4, 5}) || !slices.Equal(positions, []uint64{6, 7, 8, 9, 10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}) {
		t.Errorf("read the versions %d, and the positions %d, first those of the others", versions, positions)
	}
	if page, err := st.Read(t.Context(), aStream(), store.ReadOptions{From: math.MaxUint64}); err != nil || len(page.Events) != 0 || page.Head != 5 {
		t.Errorf("Read from beyond the end =  %+v, %v", page, err)
	}
}

// TestPositionBeyondAll uses a server that sends a position that clients in other
// languages cannot represent.
func TestPositionBeyondAll(t *testing.T) {
	t.Parallel()
	srv := &scripted{foreign: newForeign().with(quirks{})}
	st := open(t, listen(t, srv))
	srv.add(t, aStream(), numbers(1, 1)...)
	srv.tenant(store.DefaultTenant).log[0].Meta.GlobalNonce = store.MaxVersion + 1
	if page, err := st.Read(t.Context(), aStream(), store.ReadOptions{}); err == nil {
		t.Errorf("Read = %+v, want an error", page)
	}
}

// TestTenantAfterClose calls Tenant on a closed store.
func TestTenantAfterClose(t *testing.T) {
	t.Parallel()
	st := open(t, listen(t, newForeign()))
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if of, err := st.Tenant("acme"); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Tenant = %v, %v; want ErrClosed", of, err)
	}
}
