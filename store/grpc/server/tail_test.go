package server_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/evolvego/evolve/store"
	pb "github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/memory"
)

// TestBatchesAreBoundedByBytes checks how much a subscriber takes from the tail at once:
// what it has taken stays in memory for as long as the subscriber needs to receive it.
func TestBatchesAreBoundedByBytes(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	for _, tt := range []struct{ sizes, want []int }{
		{nil, nil},
		{[]int{0, 0, 0}, []int{3}},
		{[]int{limit, 0, limit, 0}, []int{1, 2, 1}},
		{[]int{limit - 1, 1, 1}, []int{2, 1}},
		{[]int{limit - 1, limit, 1}, []int{2, 1}},
	} {
		if got := server.Batches(tt.sizes...); !slices.Equal(got, tt.want) {
			t.Errorf("a subscriber takes events of %d bytes in batches of %d, want %d", tt.sizes, got, tt.want)
		}
	}
}

// breaking is a store whose subscriptions end with an error when they are told to.
type breaking struct {
	*memory.Store

	breaks chan struct{}
}

func (b breaking) Tenant(string) (store.Store, error) { return b, nil }

func (b breaking) Subscribe(ctx context.Context, o store.LogOptions) iter.Seq2[store.Page, error] {
	return func(yield func(store.Page, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		go func() {
			select {
			case <-b.breaks:
				cancel()
			case <-ctx.Done():
			}
		}()
		for page, err := range b.Store.Subscribe(ctx, o) {
			if err != nil {
				yield(page, errors.New("connection reset"))
				return
			}
			if !yield(page, nil) {
				return
			}
		}
	}
}

// TestSubscribeAfterTheTailBroke breaks the shared subscription to the log while one
// subscriber stands still. Others must not have to wait for that one to leave.
func TestSubscribeAfterTheTailBroke(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := breaking{memory.New(), make(chan struct{})}
		srv := server.New(st)
		begin := func() (*fakeStream, chan error) {
			f, done := &fakeStream{ctx: t.Context(), sent: make(chan *pb.SubscribeResponse)}, make(chan error, 1)
			go func() { done <- srv.Subscribe(&pb.SubscribeRequest{TenantId: store.DefaultTenant}, f) }()
			synctest.Wait()
			return f, done
		}
		slow, slowEnds := begin()
		appendOne(t, st)
		synctest.Wait() // the slow subscriber holds one event
		other, otherEnds := begin()
		if m := other.eventWithin(time.Second); m.GetEvent() == nil {
			t.Fatalf("%v was sent, want the event", m)
		}
		st.breaks <- struct{}{}
		if err := <-otherEnds; status.Code(err) != codes.Unavailable {
			t.Errorf("Subscribe whose store broke = %v, want UNAVAILABLE", err)
		}
		again := fakeSubscription(t, srv, nil, 0)
		for position := range uint64(2) {
			if m := again.eventWithin(time.Second); m.GetEvent().GetMeta().GetGlobalNonce() != position+1 {
				t.Errorf("%v was sent to a later subscriber, want the event at position %d", m, position+1)
			}
			appendOne(t, st)
		}
		slow.eventWithin(time.Second)
		if err := <-slowEnds; status.Code(err) != codes.Unavailable {
			t.Errorf("Subscribe whose store broke = %v, want UNAVAILABLE", err)
		}
	})
}

// TestEventsWithoutBytes reads events that the store keeps as values, which cannot be
// sent: every call that would have to leave one out must fail.
func TestEventsWithoutBytes(t *testing.T) {
	t.Parallel()
	st := newMemory(t)
	srv := server.New(st)
	add := func() {
		event := store.Event{ID: store.NewID(), Type: "Deposited", Value: 7}
		if _, err := st.Append(t.Context(), store.Stream{Type: "Account", ID: "a"}, store.Any, []store.Event{event}); err != nil {
			t.Fatal(err)
		}
	}
	add()
	for _, req := range []proto.Message{
		&pb.ReadStreamRequest{TenantId: store.DefaultTenant, AggregateId: "a", Forward: true},
		&pb.ReadAllRequest{TenantId: store.DefaultTenant, Forward: true},
		&pb.SubscribeRequest{TenantId: store.DefaultTenant},
	} {
		got, err := answers(t.Context(), srv, req)
		if status.Code(err) != codes.FailedPrecondition {
			t.Errorf("%T = %v, %v; want FAILED_PRECONDITION", req, got, err)
		}
	}
	f, done := &fakeStream{ctx: t.Context(), sent: make(chan *pb.SubscribeResponse, 1)}, make(chan error, 1)
	f.ctx = metadata.NewIncomingContext(f.ctx, metadata.Pairs("evolve-client", "1"))
	go func() {
		done <- srv.Subscribe(&pb.SubscribeRequest{TenantId: store.DefaultTenant, FromGlobalNonce: 2}, f)
	}()
	if m := <-f.sent; m.GetEvent().GetMeta().GetGlobalNonce() != 2 {
		t.Errorf("%v was sent, want the marker", m)
	}
	add()
	if err := <-done; status.Code(err) != codes.FailedPrecondition {
		t.Errorf("Subscribe to a new event = %v, want FAILED_PRECONDITION", err)
	}
}

// limits is a store that notes how many events are read at once.
type limits struct {
	*memory.Store

	asked chan int
}

func (l limits) Tenant(string) (store.Store, error) { return l, nil }

func (l limits) ReadAll(ctx context.Context, o store.LogOptions) (store.Page, error) {
	l.asked <- o.Limit
	return l.Store.ReadAll(ctx, o)
}

// TestReplayReadsWhatFits subscribes to the start of a log: the pages that the server
// reads depend on the size of the events in the previous one.
func TestReplayReadsWhatFits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		events, bytes int
		want          []int
	}{
		{400, 10, []int{64, 256, 256}},
		{80, 32 << 10, []int{64, 31}}, // one byte more than 32 would be too large
		{66, 2 << 20, []int{64, 1, 1}},
	} {
		synctest.Test(t, func(t *testing.T) {
			st := limits{memory.New(), make(chan int, 10)}
			events := make([]store.Event, tt.events)
			data := make([]byte, tt.bytes)
			for i := range events {
				events[i] = store.Event{ID: store.NewID(), Type: "Deposited", Data: data}
				if _, err := st.Append(t.Context(), store.Stream{Type: "Account", ID: "a"}, store.Any, events[i:i+1]); err != nil {
					t.Fatal(err)
				}
			}
			f := fakeSubscription(t, server.New(st), nil, 1)
			for range tt.events {
				<-f.sent
			}
			synctest.Wait()
			close(st.asked)
			var got []int
			for n := range st.asked {
				got = append(got, n)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("the server read pages of %d of %d events of %d bytes, want %d", got, tt.events, tt.bytes, tt.want)
			}
		})
	}
}

// lingering is a store whose subscriptions take a second to end.
type lingering struct {
	*memory.Store

	subscriptions *atomic.Int64 // in progress
}

func (l lingering) Tenant(string) (store.Store, error) { return l, nil }

func (l lingering) Subscribe(ctx context.Context, o store.LogOptions) iter.Seq2[store.Page, error] {
	return func(yield func(store.Page, error) bool) {
		l.subscriptions.Add(1)
		defer l.subscriptions.Add(-1)
		defer time.Sleep(time.Second)
		l.Store.Subscribe(ctx, o)(yield)
	}
}

// TestLastSubscriberWaitsForTheTail checks that nothing reads the log when the last
// subscriber has left, so the store can be closed.
func TestLastSubscriberWaitsForTheTail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := lingering{memory.New(), new(atomic.Int64)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		f := &fakeStream{ctx: ctx, sent: make(chan *pb.SubscribeResponse, 100)}
		if err := server.New(st).Subscribe(&pb.SubscribeRequest{TenantId: store.DefaultTenant}, f); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("Subscribe = %v, want DEADLINE_EXCEEDED", err)
		}
		if n := st.subscriptions.Load(); n != 0 {
			t.Errorf("after the last subscriber has left, %d subscriptions to the log are in progress", n)
		}
	})
}
