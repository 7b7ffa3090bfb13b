package server_test

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/evolvego/evolve/store"
	pb "github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/memory"
)

// subscribe begins a subscription of tenant "t". It ends with the test, or when the
// returned function is called.
func (s served) subscribe(tb testing.TB, req *pb.SubscribeRequest) (
	gogrpc.ServerStreamingClient[pb.SubscribeResponse], context.CancelFunc,
) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	tb.Cleanup(cancel)
	stream, err := s.Subscribe(ctx, req)
	if err != nil {
		tb.Fatal(err)
	}
	return stream, cancel
}

// take returns the ids of the next n events.
func take(tb testing.TB, stream gogrpc.ServerStreamingClient[pb.SubscribeResponse], n int) []string {
	tb.Helper()
	var ids []string
	for len(ids) < n {
		m, err := recv(stream)
		if err != nil {
			tb.Errorf("Recv after %d of %d events = %v", len(ids), n, err)
			break
		}
		ids = append(ids, m.GetEventId())
	}
	return ids
}

// recv returns the metadata of the next event.
func recv(stream gogrpc.ServerStreamingClient[pb.SubscribeResponse]) (*pb.EventMetadata, error) {
	for {
		resp, err := stream.Recv()
		if err != nil || resp.GetEvent() != nil { // otherwise it is a keep-alive, on a slow machine
			return resp.GetEvent().GetMeta(), err
		}
	}
}

func idsOf(events []*pb.EventData) []string {
	var ids []string
	for _, e := range events {
		ids = append(ids, e.GetMeta().GetEventId())
	}
	return ids
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	first, second := rawAppend("acc-1", 0, 700), rawAppend("acc-2", 0, 3)
	all := append(idsOf(first.GetEvents()), idsOf(second.GetEvents())...)
	for name, tt := range map[string]struct {
		prefix string
		from   uint64
		want   []string // the ids of those events
	}{
		"all":           {"", 0, all},
		"from 1":        {"", 1, all},
		"from within":   {"", 699, all[698:]},
		"from the head": {"", 703, all[702:]},
		"from the next": {"", 704, nil},
		"one id":        {"acc-2", 0, all[700:]},
		"no pattern":    {"acc_", 0, nil},
		"no case":       {"ACC", 0, nil},
		"both ids":      {"acc-", 2, all[1:]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serveRaw(t, newMemory(t))
			s.mustAppend(t, proto.CloneOf(first))
			s.mustAppend(t, proto.CloneOf(second))
			stream, _ := s.subscribe(t, &pb.SubscribeRequest{TenantId: "t", AggregateIdPrefix: tt.prefix, FromGlobalNonce: tt.from})
			got := take(t, stream, len(tt.want))
			other := rawAppend("acc-3", 0, 1) // another tenant's
			other.TenantId = "u"
			live, mark := rawAppend("bcc-1", 0, 1), rawAppend(tt.prefix+"mark", 0, 1)
			want := slices.Concat(tt.want, idsOf(mark.GetEvents()))
			if tt.prefix == "" {
				want = slices.Concat(tt.want, idsOf(live.GetEvents()), idsOf(mark.GetEvents()))
			}
			for _, req := range []*pb.AppendRequest{other, live, mark} {
				s.mustAppend(t, req)
			}
			got = append(got, take(t, stream, len(want)-len(got))...)
			if !slices.Equal(got, want) {
				t.Errorf("got %d events that are not the %d wanted ones", len(got), len(want))
			}
		})
	}
}

// TestSubscribeSeam makes many subscribers begin anywhere while many writers append,
// and some subscribers read slowly. Each must get every event, in order.
func TestSubscribeSeam(t *testing.T) {
	t.Parallel()
	s := serveRaw(t, newMemory(t))
	const writers, each, readers = 4, 300, 16
	var appends, reads sync.WaitGroup
	for w := range writers {
		appends.Go(func() {
			for i := range each {
				req := rawAppend(fmt.Sprintf("acc-%d", w), uint64(i), 1)
				if _, err := s.Append(t.Context(), req); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for r := range readers {
		from := uint64(1 + r*40)
		reads.Go(func() {
			stream, cancel := s.subscribe(t, &pb.SubscribeRequest{TenantId: "t", FromGlobalNonce: from})
			defer cancel()
			for want := from; want <= writers*each; want++ {
				got, err := recv(stream)
				if err != nil || got.GetGlobalNonce() != want {
					t.Errorf("subscriber from %d: got %d, %v, want %d", from, got.GetGlobalNonce(), err, want)
					return
				}
				if r%4 == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	appends.Wait()
	reads.Wait()
}

// TestSubscribeSlow has a subscriber that reads nothing until much more was appended
// than any buffer holds. Then it must get everything.
func TestSubscribeSlow(t *testing.T) {
	t.Parallel()
	st := newMemory(t)
	s := serveRaw(t, st)
	stream, _ := s.subscribe(t, &pb.SubscribeRequest{TenantId: "t"})
	if _, err := stream.Header(); err != nil { // it has begun
		t.Fatal(err)
	}
	const appends, each = 40, 100
	payload := make([]byte, 3<<10)
	for i := range appends { // 12 MB, and more events than the server keeps
		req := rawAppend("acc-1", uint64(i*each), each)
		for _, e := range req.GetEvents() {
			e.Payload = payload
		}
		s.mustAppend(t, req)
	}
	for want := uint64(1); want <= appends*each; want++ {
		got, err := recv(stream)
		if err != nil || got.GetGlobalNonce() != want {
			t.Fatalf("got %d, %v, want %d", got.GetGlobalNonce(), err, want)
		}
	}
}

func TestSubscribeMany(t *testing.T) {
	t.Parallel()
	subscribers := 1000
	if testing.Short() {
		subscribers = 100
	}
	s := serveRaw(t, newMemory(t))
	s.mustAppend(t, rawAppend("acc-1", 0, 3))
	var begun, done sync.WaitGroup
	var got atomic.Int64
	begun.Add(subscribers)
	for range subscribers {
		done.Go(func() {
			stream, cancel := s.subscribe(t, &pb.SubscribeRequest{TenantId: "t"})
			defer cancel()
			take(t, stream, 3)
			begun.Done()
			got.Add(int64(len(take(t, stream, 5))))
		})
	}
	begun.Wait()
	for i := range uint64(5) {
		s.mustAppend(t, rawAppend("acc-1", 3+i, 1))
	}
	done.Wait()
	if got.Load() != int64(5*subscribers) {
		t.Errorf("%d subscribers got %d events, want 5 each", subscribers, got.Load())
	}
}

func TestSubscribeRefuses(t *testing.T) {
	t.Parallel()
	s := serveRaw(t, newMemory(t))
	stream, _ := s.subscribe(t, &pb.SubscribeRequest{})
	_, err := stream.Recv()
	wantStatus(t, err, codes.Unauthenticated, "tenant_id is required on SubscribeRequest")
}

func TestDrainEndsSubscriptions(t *testing.T) {
	t.Parallel()
	s := serveRaw(t, newMemory(t))
	s.mustAppend(t, rawAppend("acc-1", 0, 1))
	stream, _ := s.subscribe(t, &pb.SubscribeRequest{TenantId: "t"})
	take(t, stream, 1)
	s.server.Drain()
	s.server.Drain()
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("Recv of a server that drains = %v, want UNAVAILABLE", err)
	}
	late, _ := s.subscribe(t, &pb.SubscribeRequest{TenantId: "t"})
	if _, err := late.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("Recv of a subscription that began later = %v, want UNAVAILABLE", err)
	}
	s.mustAppend(t, rawAppend("acc-1", 1, 1)) // as long as it serves, it records
}

func TestSubscribeEndsWithTheStore(t *testing.T) {
	t.Parallel()
	st := memory.New()
	s := serveRaw(t, st)
	stream, _ := s.subscribe(t, &pb.SubscribeRequest{TenantId: "t"})
	if _, err := stream.Header(); err != nil {
		t.Fatal(err)
	}
	_ = st.Close()
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("Recv after the store was closed = %v, want UNAVAILABLE", err)
	}
}

// fakeStream is the server's side of a subscription without a connection.
type fakeStream struct {
	gogrpc.ServerStream

	ctx  context.Context //nolint:containedctx // as a ServerStream has
	sent chan *pb.SubscribeResponse
}

func (f *fakeStream) Context() context.Context        { return f.ctx }
func (f *fakeStream) SendHeader(md metadata.MD) error { return nil }
func (f *fakeStream) Send(m *pb.SubscribeResponse) error {
	select {
	case f.sent <- m:
		return nil
	case <-f.ctx.Done():
		return f.ctx.Err()
	}
}

// within returns what is sent before d has passed, or nil.
func (f *fakeStream) within(d time.Duration) *pb.SubscribeResponse {
	select {
	case m := <-f.sent:
		return m
	case <-time.After(d):
		return nil
	}
}

// eventWithin returns the first event or marker that is sent before d has passed, or
// nil.
func (f *fakeStream) eventWithin(d time.Duration) *pb.SubscribeResponse {
	for end := time.Now().Add(d); ; {
		m := f.within(time.Until(end))
		if m == nil || m.GetEvent() != nil {
			return m
		}
	}
}

// fakeSubscription runs a subscription in the bubble of the test.
func fakeSubscription(t *testing.T, srv *server.Server, md metadata.MD, from uint64) *fakeStream {
	t.Helper()
	ctx, cancel := context.WithCancel(metadata.NewIncomingContext(t.Context(), md))
	f := &fakeStream{ctx: ctx, sent: make(chan *pb.SubscribeResponse)}
	done := make(chan error, 1)
	go func() {
		done <- srv.Subscribe(&pb.SubscribeRequest{TenantId: store.DefaultTenant, FromGlobalNonce: from}, f)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; status.Code(err) != codes.Canceled {
			t.Errorf("Subscribe = %v, want CANCELED", err)
		}
	})
	return f
}

func appendOne(t *testing.T, st store.Store) {
	t.Helper()
	_, err := st.Append(t.Context(), store.Stream{Type: "Account", ID: "acc-1"}, store.Any,
		[]store.Event{{ID: store.NewID(), Type: "Deposited"}})
	if err != nil {
		t.Fatal(err)
	}
}

// TestKeepAlive expects an empty message after a second without an event, and then one
// every five seconds.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		f := fakeSubscription(t, server.New(st), nil, 0)
		wantQuiet := func(d time.Duration) {
			t.Helper()
			if m := f.within(d - time.Millisecond); m != nil {
				t.Fatalf("%v was sent in %s", m, d)
			}
		}
		wantEmpty := func() {
			t.Helper()
			if m := f.within(2 * time.Millisecond); m == nil || m.GetEvent() != nil {
				t.Fatalf("%v was sent, want an empty message", m)
			}
		}
		wantEvent := func() {
			t.Helper()
			appendOne(t, st)
			if m := f.within(time.Millisecond); m.GetEvent() == nil {
				t.Fatalf("%v was sent, want the event", m)
			}
		}
		wantQuiet(time.Second)
		wantEmpty()
		wantQuiet(5 * time.Second)
		wantEmpty()
		f = fakeSubscription(t, server.New(st), nil, 0) // another subscription, which gets an event first
		wantQuiet(time.Second)
		wantEvent()
		wantQuiet(time.Second)
		for range 3 {
			wantEmpty()
			wantQuiet(5 * time.Second)
		}
		wantEmpty()
		wantEvent()
		wantQuiet(5 * time.Second)
		wantEmpty()
	})
}

func TestCaughtUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		appendOne(t, st)
		appendOne(t, st)
		f := fakeSubscription(t, server.New(st), metadata.Pairs("evolve-client", "1"), 0)
		for head := uint64(2); head < 5; head++ {
			meta := &pb.EventMetadata{EventId: "none"}
			for meta.GetEventId() != "" {
				meta = f.eventWithin(time.Second).GetEvent().GetMeta()
			}
			if meta.GetAggregateNonce() != head || meta.GetGlobalNonce() != head+1 {
				t.Fatalf("marker = %v, want head %d and next %d", meta, head, head+1)
			}
			if m := f.eventWithin(4 * time.Second); m != nil {
				t.Fatalf("%v was sent after the marker", m)
			}
			appendOne(t, st)
		}
		f.eventWithin(time.Second)
	})
}

// lateLog is a store whose subscriptions see new events only when they are released,
// and whose reads of the log take a second per event.
type lateLog struct {
	*memory.Store

	release chan struct{}
}

func (l lateLog) Subscribe(ctx context.Context, o store.LogOptions) iter.Seq2[store.Page, error] {
	return func(yield func(store.Page, error) bool) {
		if !yield(store.Page{Next: o.From, Head: o.From - 1, End: true}, nil) {
			return
		}
		select {
		case <-l.release:
		case <-ctx.Done():
		}
		l.Store.Subscribe(ctx, o)(yield)
	}
}

// Tenant hides the tenants of the store, which are not late.
func (l lateLog) Tenant(string) (store.Store, error) { return l, nil }

func (l lateLog) ReadAll(ctx context.Context, o store.LogOptions) (store.Page, error) {
	if o.From > store.MaxVersion+1 {
		return store.Page{}, fmt.Errorf("from %d, which no database can search for", o.From)
	}
	filter := o.Filter
	o.Limit, o.Filter = 1, store.Filter{}
	page, err := l.Store.ReadAll(ctx, o)
	page.Events = slices.DeleteFunc(page.Events, func(r store.Recorded) bool { return !filter.Matches(&r) })
	time.Sleep(time.Second)
	return page, err
}

// TestCaughtUpMeansIt has a subscription that shares the tail of the log with another
// one, which lags. It has caught up when everything recorded before it began has been
// sent.
func TestCaughtUpMeansIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := lateLog{memory.New(), make(chan struct{})}
		srv, known := server.New(st), metadata.Pairs("evolve-client", "1")
		first := fakeSubscription(t, srv, known, 0)
		if m := first.eventWithin(time.Second); m.GetEvent().GetMeta().GetGlobalNonce() != 1 {
			t.Fatalf("%v was sent, want the marker of an empty log", m)
		}
		appendOne(t, st)
		second := fakeSubscription(t, srv, known, 0)
		if m := second.eventWithin(time.Second); m != nil {
			t.Fatalf("%v was sent by a server that does not know of the event yet", m)
		}
		close(st.release)
		if m := second.eventWithin(time.Second); m.GetEvent().GetMeta().GetEventId() == "" {
			t.Fatalf("%v was sent, want the event", m)
		}
		if m := second.eventWithin(time.Second); m.GetEvent().GetMeta().GetGlobalNonce() != 2 {
			t.Fatalf("%v was sent, want the marker", m)
		}
		first.eventWithin(time.Second)
	})
}

// TestCaughtUpWithWhatWasRead has a subscription that reads the log and sees a head
// that the tail has not seen yet. It has caught up when everything up to there has been
// sent.
func TestCaughtUpWithWhatWasRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := lateLog{memory.New(), make(chan struct{})}
		appendOne(t, st)
		appendOne(t, st)
		f := fakeSubscription(t, server.New(st), metadata.Pairs("evolve-client", "1"), 0)
		time.Sleep(time.Second / 2) // it is reading the first event
		appendOne(t, st)
		for position := range uint64(2) {
			if m := f.eventWithin(2 * time.Second); m.GetEvent().GetMeta().GetGlobalNonce() != position+1 {
				t.Fatalf("%v was sent, want the event at position %d", m, position+1)
			}
		}
		if m := f.eventWithin(time.Second); m != nil {
			t.Fatalf("%v was sent, but there is an event that was not", m)
		}
		close(st.release)
		if m := f.eventWithin(time.Second); m.GetEvent().GetMeta().GetGlobalNonce() != 3 {
			t.Fatalf("%v was sent, want the last event", m)
		}
		if m := f.eventWithin(time.Second); m.GetEvent().GetMeta().GetAggregateNonce() != 3 {
			t.Fatalf("%v was sent, want the marker", m)
		}
	})
}

// TestKeepAliveWhileNothingMatches has a subscription that reads a long log for one
// event.
func TestKeepAliveWhileNothingMatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := lateLog{memory.New(), make(chan struct{})}
		for range 12 {
			appendOne(t, st)
		}
		f := fakeSubscription(t, server.New(st), metadata.Pairs("evolve-event-type-bin", "Missing", "evolve-client", "1"), 1)
		for range 2 {
			if m := f.within(5500 * time.Millisecond); m == nil || m.GetEvent() != nil {
				t.Fatalf("%v was sent, want an empty message", m)
			}
		}
		if m := f.eventWithin(10 * time.Second); m.GetEvent().GetMeta().GetGlobalNonce() != 13 {
			t.Fatalf("%v was sent, want the marker", m)
		}
	})
}

// TestPositionsBeyondAll requests positions that no store has, or can search for.
func TestPositionsBeyondAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := server.New(lateLog{memory.New(), nil})
		for _, forward := range []bool{true, false} {
			for _, known := range []metadata.MD{nil, metadata.Pairs("evolve-client", "1")} {
				resp, err := srv.ReadAll(metadata.NewIncomingContext(t.Context(), known), &pb.ReadAllRequest{
					TenantId: store.DefaultTenant, FromGlobalNonce: 1<<64 - 1, Forward: forward,
				})
				if err != nil || forward && resp.GetNextFromGlobalNonce() != 1<<64-1 {
					t.Errorf("ReadAll from 2^64-1, forward %t, metadata %v = next %d, %v; want no less", forward, known, resp.GetNextFromGlobalNonce(), err)
				}
			}
		}
	})
}
