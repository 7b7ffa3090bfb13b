package server_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/evolvego/evolve/store"
	pb "github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/server"
)

// TestConflictForms checks the raw details of a conflict, as different kinds of clients
// get them.
func TestConflictForms(t *testing.T) {
	t.Parallel()
	python := gogrpc.WithUserAgent("grpc-python/1.62.0")
	other := gogrpc.WithUserAgent("tonic/0.12")
	for name, tt := range map[string]struct {
		options []server.Option
		agent   gogrpc.DialOption
		want    int
	}{
		"python":                {nil, python, 2},
		"another":               {nil, other, 1},
		"standard by option":    {[]server.Option{server.WithConflictDetails(server.StandardDetails)}, python, 1},
		"doubled by option":     {[]server.Option{server.WithConflictDetails(server.DoubleDetails)}, other, 2},
		"an unknown user agent": {nil, gogrpc.WithUserAgent("my-grpc-python/1"), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serveRaw(t, newMemory(t), tt.options...)
			s.mustAppend(t, rawAppend("acc-1", 0, 2))
			var trailer metadata.MD
			client := pb.NewEventStoreClient(s.dial(t, tt.agent))
			_, err := client.Append(t.Context(), rawAppend("acc-1", 0, 1), gogrpc.Trailer(&trailer))
			wantStatus(t, err, codes.Aborted, "append precondition failed")
			values := trailer["grpc-status-details-bin"]
			if len(values) != tt.want {
				t.Fatalf("there are %d values of details, want %d", len(values), tt.want)
			}
			want := &pb.ConcurrencyErrorDetail{
				TenantId: "t", AggregateId: "acc-1", ActualLastAggregateNonce: 2, ActualLastGlobalNonce: 2,
			}
			st := status.New(codes.OK, "").Proto()
			if err := proto.Unmarshal([]byte(values[0]), st); err != nil || st.GetCode() != int32(codes.Aborted) || len(st.GetDetails()) != 1 {
				t.Fatalf("the first value is %v, %v; want a Status with one detail", st, err)
			}
			wantDetail(t, st.GetDetails()[0], want)
			if tt.want == 1 {
				return
			}
			var bare anypb.Any
			if err := proto.Unmarshal([]byte(values[1]), &bare); err != nil {
				t.Fatal(err)
			}
			wantDetail(t, &bare, want)
		})
	}
}

func wantDetail(t *testing.T, got *anypb.Any, want *pb.ConcurrencyErrorDetail) {
	t.Helper()
	var detail pb.ConcurrencyErrorDetail
	if err := got.UnmarshalTo(&detail); err != nil || !proto.Equal(&detail, want) {
		t.Errorf("detail = %v, %v; want %v", &detail, err, want)
	}
}

// strangeStore is a store whose reads of stream "panic" panic, and whose reads of
// "fail" fail.
type strangeStore struct {
	store.Store
	store.Log
}

var errSecret = errors.New("password=hunter2")

func (s strangeStore) Read(ctx context.Context, stream store.Stream, o store.ReadOptions) (store.Page, error) {
	switch stream.ID {
	case "panic":
		panic(errSecret)
	case "fail":
		return store.Page{}, errSecret
	}
	return s.Store.Read(ctx, stream, o)
}

// TestUnexpected uses a store that panics and one that fails. The client must not see
// the reason, the server must survive, and the log must have the reason.
func TestUnexpected(t *testing.T) {
	t.Parallel()
	st := newMemory(t)
	var out lockedBuffer
	s := serveRaw(t, strangeStore{st, st}, server.WithLogger(slog.New(slog.NewTextHandler(&out, nil))))
	for _, id := range []string{"panic", "fail"} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "evolve-client", "1", "evolve-aggregate-type-bin", "A")
		_, err := s.ReadStream(ctx, &pb.ReadStreamRequest{TenantId: store.DefaultTenant, AggregateId: id, Forward: true})
		wantStatus(t, err, codes.Internal, "internal error")
	}
	if _, err := s.ReadAll(t.Context(), &pb.ReadAllRequest{TenantId: store.DefaultTenant}); err != nil {
		t.Errorf("ReadAll after a panic = %v", err)
	}
	if text := out.String(); strings.Count(text, "hunter2") != 2 || !strings.Contains(text, "panic: ") {
		t.Errorf("the log is %q, want both reasons", text)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// calls is an observer that records what it receives.
type calls struct {
	mu           sync.Mutex
	begun, ended []server.Call // guarded by mu
}

func (c *calls) Begin(_ context.Context, call server.Call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun = append(c.begun, call)
}

func (c *calls) End(_ context.Context, call server.Call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	call.Duration = 0
	c.ended = append(c.ended, call)
}

func TestObserver(t *testing.T) {
	t.Parallel()
	var seen calls
	var out lockedBuffer
	logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := server.New(newMemory(t), server.WithObserver(&seen), server.WithLogger(logger))
	req := rawAppend("acc-1", 0, 2)
	req.Events[0].Payload, req.Events[1].Payload = []byte("12345"), []byte("678")
	for range 2 {
		_, _ = s.Append(t.Context(), proto.CloneOf(req))
	}
	_, _ = s.Append(t.Context(), rawAppend("acc-1", 0, 1))
	_, _ = s.ReadStream(t.Context(), &pb.ReadStreamRequest{TenantId: "t", AggregateId: "acc-1", Forward: true})
	_, _ = s.ReadAll(t.Context(), &pb.ReadAllRequest{TenantId: "t", Forward: true, MaxCount: 1})
	_, _ = s.ReadAll(t.Context(), &pb.ReadAllRequest{})
	_, _ = answers(metadata.NewIncomingContext(t.Context(), metadata.Pairs("evolve-client", "1")), s, &pb.SubscribeRequest{TenantId: "t"})
	want := []server.Call{
		{Method: "Append", Tenant: "t", Events: 2, Bytes: 8},
		{Method: "Append", Tenant: "t", Events: 2, Bytes: 8, Replayed: true},
		{Method: "Append", Tenant: "t", Code: codes.Aborted},
		{Method: "ReadStream", Tenant: "t", Events: 2, Bytes: 8},
		{Method: "ReadAll", Tenant: "t", Events: 1, Bytes: 5},
		{Method: "ReadAll", Code: codes.Unauthenticated},
		{Method: "Subscribe", Tenant: "t", Events: 2, Bytes: 8, Code: codes.Canceled},
	}
	if !slices.Equal(seen.ended, want) {
		t.Errorf("calls ended: %+v\nwant %+v", seen.ended, want)
	}
	for i := range want {
		want[i] = server.Call{Method: want[i].Method, Tenant: want[i].Tenant}
	}
	if !slices.Equal(seen.begun, want) {
		t.Errorf("calls begun: %+v\nwant %+v", seen.begun, want)
	}
	if n := strings.Count(out.String(), "msg=call "); n != len(want) {
		t.Errorf("the log has %d calls, want %d:\n%s", n, len(want), out.String())
	}
}

// clumsy is an observer that panics at the beginning, or the end, of every call.
type clumsy struct {
	calls

	atBegin, atEnd bool
}

func (c *clumsy) Begin(ctx context.Context, call server.Call) {
	c.calls.Begin(ctx, call)
	if c.atBegin {
		panic("begin: password=hunter2")
	}
}

func (c *clumsy) End(ctx context.Context, call server.Call) {
	c.calls.End(ctx, call)
	if c.atEnd {
		panic("end: password=hunter2")
	}
}

// TestObserverThatPanics checks that a call is not handled if its observer panics
// before it, and that a recorded append is answered as recorded if the observer panics
// afterwards. The server survives in either case.
func TestObserverThatPanics(t *testing.T) {
	t.Parallel()
	t.Run("before", func(t *testing.T) {
		t.Parallel()
		st, seen := newMemory(t), &clumsy{atBegin: true}
		s := serveRaw(t, st, server.WithObserver(seen))
		_, err := s.Append(t.Context(), ofDefault(rawAppend("acc-1", 0, 1)))
		wantStatus(t, err, codes.Internal, "internal error")
		if head, err := st.Head(t.Context()); head != 0 || err != nil {
			t.Errorf("Head = %d, %v; want that nothing was recorded", head, err)
		}
		if len(seen.ended) != 0 {
			t.Errorf("%d calls ended that did not begin", len(seen.ended))
		}
	})
	t.Run("after", func(t *testing.T) {
		t.Parallel()
		var out lockedBuffer
		s := serveRaw(t, newMemory(t), server.WithObserver(&clumsy{atEnd: true}), server.WithLogger(slog.New(slog.NewTextHandler(&out, nil))))
		for version := range uint64(3) {
			if got := s.mustAppend(t, rawAppend("acc-1", version, 1)); got.GetLastAggregateNonce() != version+1 {
				t.Errorf("Append = %v, want version %d", got, version+1)
			}
		}
		if n := strings.Count(out.String(), "hunter2"); n != 3 {
			t.Errorf("the log has %d panics, want 3:\n%s", n, out.String())
		}
	})
}

// mine is a log handler that panics.
type mine struct{ slog.Handler }

func (mine) Enabled(context.Context, slog.Level) bool  { return true }
func (mine) Handle(context.Context, slog.Record) error { panic("no space left on device") }

// TestLoggerThatPanics checks that a logger that panics neither ends the server nor
// changes an answer.
func TestLoggerThatPanics(t *testing.T) {
	t.Parallel()
	st := newMemory(t)
	s := serveRaw(t, strangeStore{st, st}, server.WithLogger(slog.New(mine{})))
	if _, err := s.Append(t.Context(), ofDefault(rawAppend("acc-1", 0, 1))); err != nil {
		t.Errorf("Append = %v", err)
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "evolve-client", "1", "evolve-aggregate-type-bin", "A")
	_, err := s.ReadStream(ctx, &pb.ReadStreamRequest{TenantId: store.DefaultTenant, AggregateId: "fail", Forward: true})
	wantStatus(t, err, codes.Internal, "internal error")
}

func TestHealth(t *testing.T) {
	t.Parallel()
	s := serveRaw(t, newMemory(t))
	health := healthv1.NewHealthClient(s.dial(t))
	for _, want := range []healthv1.HealthCheckResponse_ServingStatus{
		healthv1.HealthCheckResponse_SERVING, healthv1.HealthCheckResponse_NOT_SERVING,
	} {
		for _, service := range []string{"", "eventstore.v1.EventStore"} {
			got, err := health.Check(t.Context(), &healthv1.HealthCheckRequest{Service: service})
			if err != nil || got.GetStatus() != want {
				t.Errorf("health of %q = %v, %v; want %v", service, got.GetStatus(), err, want)
			}
		}
		s.server.Drain()
	}
}

func TestReflection(t *testing.T) {
	t.Parallel()
	s := serveRaw(t, newMemory(t))
	stream, err := reflectionv1.NewServerReflectionClient(s.dial(t)).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = stream.Send(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{},
	})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := stream.Recv()
	if err != nil || !strings.Contains(resp.String(), "eventstore.v1.EventStore") {
		t.Errorf("reflection lists %v, %v", resp, err)
	}
}

func TestLargeMessages(t *testing.T) {
	t.Parallel()
	s := serveRaw(t, newMemory(t), server.WithLargeEvents())
	client := pb.NewEventStoreClient(s.dial(t, gogrpc.WithDefaultCallOptions(
		gogrpc.MaxCallRecvMsgSize(64<<20), gogrpc.MaxCallSendMsgSize(128<<20))))
	large := rawAppend("acc-1", 0, 1)
	large.Events[0].Payload = bytes.Repeat([]byte("0123456789"), 1<<20)
	if _, err := client.Append(t.Context(), proto.CloneOf(large)); err != nil {
		t.Fatalf("Append of 10 MiB = %v", err)
	}
	page, err := client.ReadStream(t.Context(), &pb.ReadStreamRequest{TenantId: "t", AggregateId: "acc-1", Forward: true})
	if err != nil || len(page.GetEvents()) != 1 || !bytes.Equal(page.GetEvents()[0].GetPayload(), large.GetEvents()[0].GetPayload()) {
		t.Errorf("ReadStream of 10 MiB = %d events, %v", len(page.GetEvents()), err)
	}
	small := pb.NewEventStoreClient(s.dial(t))
	if _, err := small.ReadStream(t.Context(), &pb.ReadStreamRequest{TenantId: "t", AggregateId: "acc-1", Forward: true}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("ReadStream by a client with default settings = %v, want RESOURCE_EXHAUSTED", err)
	}
	tooLarge := rawAppend("acc-2", 0, 1)
	tooLarge.Events[0].Payload = make([]byte, 17<<20)
	_, err = client.Append(t.Context(), tooLarge)
	wantStatus(t, err, codes.InvalidArgument, "events[0].payload has 17825792 bytes, more than 16777216")
	if testing.Short() {
		return
	}
	beyond := rawAppend("acc-3", 0, 5)
	for _, e := range beyond.GetEvents() {
		e.Payload = make([]byte, 14<<20)
	}
	if _, err = client.Append(t.Context(), beyond); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("Append of 70 MiB = %v, want RESOURCE_EXHAUSTED", err)
	}
}

// TestEverythingEnds serves, subscribes and appends, stops the server while
// subscriptions and appends are in progress, and checks that no goroutine is left.
func TestEverythingEnds(t *testing.T) {
	t.Parallel()
	label := store.NewID()
	pprof.Do(context.Background(), pprof.Labels("test", label), func(context.Context) {
		t.Run("serve", func(t *testing.T) {
			s := serveRaw(t, newMemory(t))
			var appends sync.WaitGroup
			for range 10 {
				stream, _ := s.subscribe(t, &pb.SubscribeRequest{TenantId: "t"})
				if _, err := stream.Header(); err != nil {
					t.Fatal(err)
				}
			}
			for i := range uint64(50) {
				appends.Go(func() {
					if _, err := s.Append(t.Context(), rawAppend(string(rune('a'+i)), 0, 1)); err != nil {
						t.Error(err)
					}
				})
			}
			appends.Wait()
		})
	})
	patience := time.Now().Add(time.Minute)
	for waiting := time.NewTicker(time.Millisecond); ; <-waiting.C {
		var out bytes.Buffer
		if err := pprof.Lookup("goroutine").WriteTo(&out, 1); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), label) {
			return
		}
		if time.Now().After(patience) {
			t.Fatalf("goroutines are left:\n%s", out.String())
		}
	}
}
