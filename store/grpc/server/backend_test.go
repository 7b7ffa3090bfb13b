package server_test

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"strings"
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

// watched is a store with one tenant that reports its calls before it makes them.
type watched struct {
	*memory.Store

	before func(call string, s store.Stream) error
}

func (w watched) Tenant(string) (store.Store, error) { return w, nil }

func (w watched) Append(ctx context.Context, s store.Stream, expected store.Expected, events []store.Event) (store.Appended, error) {
	if err := w.before("Append", s); err != nil {
		return store.Appended{}, err
	}
	return w.Store.Append(ctx, s, expected, events)
}

func (w watched) Read(ctx context.Context, s store.Stream, o store.ReadOptions) (store.Page, error) {
	if err := w.before("Read", s); err != nil {
		return store.Page{}, err
	}
	return w.Store.Read(ctx, s, o)
}

func (w watched) ReadAll(ctx context.Context, o store.LogOptions) (store.Page, error) {
	if err := w.before("ReadAll", store.Stream{}); err != nil {
		return store.Page{}, err
	}
	return w.Store.ReadAll(ctx, o)
}

func (w watched) Head(ctx context.Context) (uint64, error) {
	if err := w.before("Head", store.Stream{}); err != nil {
		return 0, err
	}
	return w.Store.Head(ctx)
}

// TestEveryCallOfTheStoreMayFail lets each call that a request makes to the store fail
// in turn: the request must fail too, with a code that blames the server. A conflict
// may stay a conflict, with fewer details.
func TestEveryCallOfTheStoreMayFail(t *testing.T) {
	t.Parallel()
	keyed := rawAppend("a", 3, 2)
	keyed.IdempotencyKey = "key"
	misnumbered := rawAppend("a", 3, 2)
	misnumbered.Events[1].Meta.AggregateNonce = 9
	other := rawAppend("a", 3, 1)
	other.AggregateType = "Order"
	appending := func(req *pb.AppendRequest) func(context.Context, *server.Server) error {
		return func(ctx context.Context, srv *server.Server) error {
			_, err := srv.Append(ctx, proto.CloneOf(req))
			return err
		}
	}
	for name, tt := range map[string]struct {
		call func(context.Context, *server.Server) error
		want codes.Code // if nothing fails
	}{
		"an append":                 {appending(rawAppend("a", 3, 2)), codes.OK},
		"the first append":          {appending(rawAppend("b", 0, 2)), codes.OK},
		"an append with a key":      {appending(keyed), codes.OK},
		"a conflict":                {appending(rawAppend("a", 2, 2)), codes.Aborted},
		"an append with a gap":      {appending(misnumbered), codes.InvalidArgument},
		"an append of another type": {appending(other), codes.InvalidArgument},
		"a read of a stream": {func(ctx context.Context, srv *server.Server) error {
			_, err := srv.ReadStream(ctx, &pb.ReadStreamRequest{TenantId: "t", AggregateId: "a", Forward: true})
			return err
		}, codes.OK},
		"a read of the log": {func(ctx context.Context, srv *server.Server) error {
			_, err := srv.ReadAll(ctx, &pb.ReadAllRequest{TenantId: "t", Forward: true})
			return err
		}, codes.OK},
	} {
		for k, more := int64(1), true; more; k++ {
			for _, stays := range []bool{false, true} {
				calls, err := callWhenTheStoreFails(t, tt.call, k, stays)
				if more = calls >= k; !more {
					if status.Code(err) != tt.want {
						t.Errorf("%s = %v, want the code %s", name, err, tt.want)
					}
					break
				}
				if code := status.Code(err); code != codes.Internal && (code != codes.Aborted || tt.want != codes.Aborted) {
					t.Errorf("%s when call %d of the store fails (and all later ones: %t) = %v, want the code Internal", name, k, stays, err)
				}
			}
		}
	}
}

// callWhenTheStoreFails makes a call to a server whose store fails at its k-th call, and
// if it stays so, at all later ones. It returns how many there were.
func callWhenTheStoreFails(t *testing.T, call func(context.Context, *server.Server) error, k int64, stays bool) (int64, error) {
	t.Helper()
	backend := memory.New()
	defer backend.Close()
	for _, id := range []string{"x", "a"} {
		stream := store.Stream{Type: "Account", ID: id}
		events := []store.Event{{ID: id + "1", Type: "E"}, {ID: id + "2", Type: "E"}, {ID: id + "3", Type: "E"}}
		if _, err := backend.Append(t.Context(), stream, store.NoStream, events); err != nil {
			t.Fatal(err)
		}
	}
	var calls atomic.Int64
	err := call(t.Context(), server.New(watched{backend, func(string, store.Stream) error {
		if n := calls.Add(1); n == k || stays && n > k {
			return errors.New("disk")
		}
		return nil
	}}))
	return calls.Load(), err
}

// ending is a store that calls after when a read has succeeded.
type ending struct {
	*memory.Store

	after func()
}

func (e ending) Tenant(string) (store.Store, error) { return e, nil }

func (e ending) Read(ctx context.Context, s store.Stream, o store.ReadOptions) (store.Page, error) {
	page, err := e.Store.Read(ctx, s, o)
	e.after()
	return page, err
}

func (e ending) ReadAll(ctx context.Context, o store.LogOptions) (store.Page, error) {
	page, err := e.Store.ReadAll(ctx, o)
	e.after()
	return page, err
}

// TestContextThatEndsBetweenReads ends the context of a request after each of the reads
// that it needs: the result is an error or complete, but never empty.
func TestContextThatEndsBetweenReads(t *testing.T) {
	t.Parallel()
	backend := newMemory(t)
	for _, name := range []string{"User", "Account"} {
		if _, err := backend.Append(t.Context(), store.Stream{Type: name, ID: name}, store.NoStream, []store.Event{{ID: name, Type: "E"}}); err != nil {
			t.Fatal(err)
		}
	}
	for k, more := 1, true; more; k++ {
		for range 20 { // whether a lock that is free or the context comes first is random
			ctx, cancel := context.WithCancel(t.Context())
			reads := 0
			srv := server.New(ending{backend, func() {
				if reads++; reads == k {
					cancel()
				}
			}})
			resp, err := srv.ReadStream(ctx, &pb.ReadStreamRequest{TenantId: "t", AggregateId: "Account", Forward: true})
			if err == nil && len(resp.GetEvents()) != 1 || err != nil && status.Code(err) != codes.Canceled {
				t.Errorf("ReadStream whose context ended after %d reads = %v, %v; want the event, or CANCELED", k, resp, err)
			}
			cancel()
			more = reads >= k
		}
	}
}

// TestCallsOfTheStore counts the calls of the store for requests that need few of them.
func TestCallsOfTheStore(t *testing.T) {
	t.Parallel()
	backend := newMemory(t)
	var calls []string
	srv := server.New(watched{backend, func(call string, _ store.Stream) error {
		calls = append(calls, call)
		return nil
	}})
	known := metadata.NewIncomingContext(t.Context(), metadata.Pairs("evolve-client", "1"))
	want := func(what string, want ...string) {
		t.Helper()
		if !slices.Equal(calls, want) {
			t.Errorf("%s calls %q of the store, want %q", what, calls, want)
		}
		calls = nil
	}
	if _, err := srv.Append(known, rawAppend("a", 5, 1)); status.Code(err) != codes.Aborted {
		t.Errorf("Append to a stream that is missing = %v, want ABORTED", err)
	}
	want("a conflict with nothing", "Append")
	read := func(id string) {
		t.Helper()
		if _, err := srv.ReadStream(t.Context(), &pb.ReadStreamRequest{TenantId: "t", AggregateId: id, Forward: true}); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"a", "b"} {
		if _, err := srv.Append(known, rawAppend(id, 0, 1)); err != nil {
			t.Fatal(err)
		}
		if id == "a" {
			read(id) // the server learns the type
		}
		calls = nil
	}
	read("b")
	want("a read of the newest stream, of a known type", "Read", "Read", "Read")
	read("b")
	want("another read of it", "Read")
	if _, err := srv.Append(t.Context(), rawAppend("b", 1, 1)); err != nil {
		t.Fatal(err)
	}
	want("an append to it", "Append")
	for version := range uint64(2) {
		if _, err := srv.Append(known, keyed(store.NewID(), "keyed", version, 1)); err != nil {
			t.Fatal(err)
		}
	}
	want("the first append with a key, and another one", "Append", "Append")
}

// TestCreateAfterAFailure lets the search for an id fail when it is created: the next
// attempt must not wait for the one that failed.
func TestCreateAfterAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fails := true
		srv := server.New(watched{memory.New(), func(string, store.Stream) error {
			if fails {
				return errors.New("disk")
			}
			return nil
		}})
		if _, err := srv.Append(t.Context(), rawAppend("a", 0, 1)); status.Code(err) != codes.Internal {
			t.Errorf("Append = %v, want INTERNAL", err)
		}
		fails = false
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := srv.Append(ctx, rawAppend("a", 0, 1)); err != nil {
			t.Errorf("Append after a failure = %v", err)
		}
	})
}

// TestConflictOfAStreamThatIsGone uses a store that reports a conflict and then has no
// stream: it stays a conflict, at the version that the store has reported.
func TestConflictOfAStreamThatIsGone(t *testing.T) {
	t.Parallel()
	backend := newMemory(t)
	srv := server.New(watched{backend, func(call string, s store.Stream) error {
		if call == "Append" {
			return &store.ConflictError{Stream: s, Expected: store.NoStream, Actual: 5}
		}
		return nil
	}})
	_, err := srv.Append(t.Context(), rawAppend("a", 0, 1))
	if status.Code(err) != codes.Aborted {
		t.Fatalf("Append = %v, want the code Aborted", err)
	}
	for _, detail := range status.Convert(err).Details() {
		if d, ok := detail.(*pb.ConcurrencyErrorDetail); ok && d.GetActualLastAggregateNonce() == 5 {
			return
		}
	}
	t.Errorf("the details are %v, want a stream at version 5", status.Convert(err).Details())
}

// TestOlderStreamOfATypeThatIsNew creates two streams with one id while the server
// looks for it, the older one with a type that the server has not seen: the id means
// the older stream.
func TestOlderStreamOfATypeThatIsNew(t *testing.T) {
	t.Parallel()
	backend := newMemory(t)
	add := func(typ, id string) {
		if _, err := backend.Append(t.Context(), store.Stream{Type: typ, ID: id}, store.NoStream, []store.Event{{ID: typ + id, Type: "E"}}); err != nil {
			t.Error(err)
		}
	}
	add("Known", "other")
	var came atomic.Bool
	srv := server.New(watched{backend, func(call string, s store.Stream) error {
		if call == "Read" && s.ID == "x" && s.Type == "Known" && !came.Swap(true) {
			add("New", "x")
			add("Known", "x")
		}
		return nil
	}})
	for range 2 {
		resp, err := srv.ReadStream(t.Context(), &pb.ReadStreamRequest{TenantId: "t", AggregateId: "x", Forward: true})
		if err != nil || len(resp.GetEvents()) != 1 || resp.GetEvents()[0].GetMeta().GetAggregateType() != "New" {
			t.Errorf("ReadStream = %v, %v; want the stream that came first", resp, err)
		}
	}
}

// followed is a store that counts how often its log is subscribed to, and read in
// pages.
type followed struct {
	watched

	follows *atomic.Int64
}

func (f followed) Tenant(string) (store.Store, error) { return f, nil }

func (f followed) Subscribe(ctx context.Context, o store.LogOptions) iter.Seq2[store.Page, error] {
	f.follows.Add(1)
	return f.Store.Subscribe(ctx, o)
}

// TestTailIsShared checks that the subscribers of a tenant share one reader of its log,
// which continues when the first of them leaves, and ends with the last.
func TestTailIsShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var follows atomic.Int64
		st := followed{watched{memory.New(), func(string, store.Stream) error { return nil }}, &follows}
		srv := server.New(st)
		begin := func() (f *fakeStream, end func()) {
			ctx, cancel := context.WithCancel(metadata.NewIncomingContext(t.Context(), nil))
			f, done := &fakeStream{ctx: ctx, sent: make(chan *pb.SubscribeResponse)}, make(chan error, 1)
			go func() { done <- srv.Subscribe(&pb.SubscribeRequest{TenantId: store.DefaultTenant}, f) }()
			return f, func() {
				cancel()
				if err := <-done; status.Code(err) != codes.Canceled {
					t.Errorf("Subscribe = %v, want CANCELED", err)
				}
			}
		}
		_, leave := begin()
		second, end := begin()
		synctest.Wait()
		leave()
		appendOne(t, st)
		if m := second.eventWithin(time.Second); m.GetEvent().GetMeta().GetGlobalNonce() != 1 || follows.Load() != 1 {
			t.Errorf("after the first has left, %v was sent by %d readers of the log; want the event, by one", m, follows.Load())
		}
		end()
		third, end := begin()
		if m := third.eventWithin(time.Second); m.GetEvent().GetMeta().GetGlobalNonce() != 1 {
			t.Errorf("%v was sent to a later subscriber, want the event", m)
		}
		if synctest.Wait(); follows.Load() != 2 {
			t.Errorf("the log had %d readers, want a new one after all had left", follows.Load())
		}
		end()
	})
}

// TestTailIsBounded has a subscriber that stands still while another one reads new
// events: the server keeps only a limited number of events for the slow one, which then
// reads the log itself.
func TestTailIsBounded(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		events, bytes int
		reads         bool
	}{
		"few events":      {1024, 10, false}, // the slow subscriber has the first one of 1025
		"many events":     {1025, 10, true},
		"few bytes":       {16, 512 << 10, false},
		"many bytes":      {17, 512 << 10, true},
		"one large event": {1, 9 << 20, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var reads atomic.Int64
				st := watched{memory.New(), func(call string, _ store.Stream) error {
					if call == "ReadAll" {
						reads.Add(1)
					}
					return nil
				}}
				srv := server.New(st, server.WithLargeEvents())
				slow, fast := fakeSubscription(t, srv, nil, 0), fakeSubscription(t, srv, nil, 0)
				synctest.Wait()
				appendOne(t, st)
				synctest.Wait() // the slow subscriber holds one event
				data := make([]byte, tt.bytes)
				for range tt.events {
					event := store.Event{ID: store.NewID(), Type: "Large", Data: data}
					if _, err := st.Append(t.Context(), store.Stream{Type: "A", ID: "1"}, store.Any, []store.Event{event}); err != nil {
						t.Fatal(err)
					}
				}
				take := func(f *fakeStream) {
					for n := range tt.events + 1 {
						if m := f.eventWithin(time.Second); m.GetEvent().GetMeta().GetGlobalNonce() != uint64(n+1) {
							t.Fatalf("%v was sent, want the event at position %d", m.GetEvent().GetMeta(), n+1)
						}
					}
				}
				take(fast)
				reads.Store(0)
				take(slow)
				if (reads.Load() > 0) != tt.reads {
					t.Errorf("the slow subscriber read %d pages of the log, want some: %t", reads.Load(), tt.reads)
				}
			})
		})
	}
}

// panicking is a store whose subscriptions panic.
type panicking struct{ watched }

func (p panicking) Tenant(string) (store.Store, error) { return p, nil }

func (p panicking) Subscribe(context.Context, store.LogOptions) iter.Seq2[store.Page, error] {
	return func(func(store.Page, error) bool) { panic("no space left on device") }
}

// broken is a store whose subscriptions end with an error.
type broken struct{ watched }

func (b broken) Tenant(string) (store.Store, error) { return b, nil }

func (b broken) Subscribe(context.Context, store.LogOptions) iter.Seq2[store.Page, error] {
	return func(yield func(store.Page, error) bool) { yield(store.Page{}, errors.New("no space left on device")) }
}

// TestSubscriptionOfAStoreThatFails logs why a subscription ends, and tells the client to
// subscribe again.
func TestSubscriptionOfAStoreThatFails(t *testing.T) {
	t.Parallel()
	var logged lockedBuffer
	st := broken{watched{newMemory(t), func(string, store.Stream) error { return nil }}}
	s := serveRaw(t, st, server.WithLogger(slog.New(slog.NewTextHandler(&logged, nil))))
	stream, _ := s.subscribe(t, &pb.SubscribeRequest{TenantId: "t"})
	_, err := recv(stream)
	if status.Code(err) != codes.Unavailable || !strings.Contains(logged.String(), "no space left on device") {
		t.Errorf("Recv = %v, and the log says %q; want the code Unavailable, and the error in the log", err, logged.String())
	}
}

// TestSubscriptionOfAStoreThatPanics checks that such a subscription ends with a
// status, and that nothing else ends.
func TestSubscriptionOfAStoreThatPanics(t *testing.T) {
	t.Parallel()
	s := serveRaw(t, panicking{watched{newMemory(t), func(string, store.Stream) error { return nil }}})
	stream, _ := s.subscribe(t, &pb.SubscribeRequest{TenantId: "t"})
	if _, err := recv(stream); status.Code(err) != codes.Unavailable || strings.Contains(err.Error(), "device") {
		t.Errorf("Recv = %v, want the code Unavailable, and nothing of the store's", err)
	}
	s.mustAppend(t, rawAppend("acc-1", 0, 1))
}

// TestStoreWithoutALog refuses a store that has no log, when the server is made.
func TestStoreWithoutALog(t *testing.T) {
	t.Parallel()
	defer func() {
		if got, _ := recover().(string); !strings.Contains(got, "a store with a log") {
			t.Errorf("New of a store without a log panicked with %q, want that it needs a log", got)
		}
	}()
	server.New(struct{ store.Store }{newMemory(t)})
}
