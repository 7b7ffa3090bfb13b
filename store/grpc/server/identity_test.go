package server_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
	pb "github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/memory"
)

// direct appends n events to the backend of tenant, bypassing the server.
func direct(tb rapid.TB, backend store.Tenants, tenant string, s store.Stream, n int) {
	tb.Helper()
	st, err := backend.Tenant(tenant)
	if err != nil {
		tb.Fatal(err)
	}
	events := make([]store.Event, n)
	for i := range events {
		events[i] = store.Event{ID: store.NewID(), Type: "Made"}
	}
	if _, err := st.Append(context.Background(), s, store.Any, events); err != nil {
		tb.Fatal(err)
	}
}

// readTypes returns the types of the events of stream id, in order.
func readTypes(ctx context.Context, tb rapid.TB, s pb.EventStoreServer, tenant, id string) []string {
	tb.Helper()
	page, err := s.ReadStream(ctx, &pb.ReadStreamRequest{TenantId: tenant, AggregateId: id, Forward: true})
	if err != nil {
		tb.Fatalf("ReadStream(%q) = %v", id, err)
	}
	var types []string
	for _, e := range page.GetEvents() {
		types = append(types, e.GetMeta().GetAggregateType())
	}
	return types
}

func TestIDNamesOldestStream(t *testing.T) {
	t.Parallel()
	backend := newMemory(t)
	srv := server.New(backend)
	direct(t, backend, "t", store.Stream{Type: "Order", ID: "x"}, 2)
	direct(t, backend, "t", store.Stream{Type: "Account", ID: "x"}, 1)
	direct(t, backend, "t", store.Stream{Type: "Account", ID: "x1"}, 1)
	for _, s := range []*server.Server{srv, server.New(backend)} {
		if got := readTypes(t.Context(), t, s, "t", "x"); !slices.Equal(got, []string{"Order", "Order"}) {
			t.Errorf("ReadStream(x) = %v, want the events of the stream that was first", got)
		}
	}
	direct(t, backend, "t", store.Stream{Type: "New", ID: "y"}, 1) // of a type that is new to the server
	direct(t, backend, "t", store.Stream{Type: "Account", ID: "y"}, 1)
	if got := readTypes(t.Context(), t, srv, "t", "y"); !slices.Equal(got, []string{"New"}) {
		t.Errorf("ReadStream(y) = %v, want the event of the stream that was first", got)
	}
	ours := metadata.NewIncomingContext(t.Context(), metadata.Pairs("evolve-client", "1", "evolve-aggregate-type-bin", "Account"))
	if got := readTypes(ours, t, srv, "t", "x"); !slices.Equal(got, []string{"Account"}) {
		t.Errorf("ReadStream(x) by a client that says Account = %v", got)
	}

	add := func(ctx context.Context, expected uint64) error {
		_, err := srv.Append(ctx, rawAppend("x", expected, 1)) // to an Account
		return err
	}
	wantStatus(t, add(t.Context(), 0), codes.Aborted, "append precondition failed")
	wantStatus(t, add(t.Context(), 1), codes.Aborted, "append precondition failed")
	wantStatus(t, add(t.Context(), 2), codes.InvalidArgument,
		"aggregate_type 'Account' does not match 'Order', the type of aggregate_id 'x'")
	if err := add(ours, 1); err != nil {
		t.Errorf("Append to Account/x by a client that identifies streams by both =  %v", err)
	}
	_, err := srv.Append(t.Context(), rawAppend("x", 0, 1))
	if d, ok := status.Convert(err).Details()[0].(*pb.ConcurrencyErrorDetail); !ok ||
		d.GetActualLastAggregateNonce() != 2 || d.GetActualLastGlobalNonce() != 2 {
		t.Errorf("conflict says %v, want where Order/x is", d)
	}
}

// TestIDModel writes to streams with few ids and types in two tenants, through the
// server and around it. It compares the stream that an id means with the list of
// streams in the order of their creation, for a server that has seen everything and for
// a new one.
func TestIDModel(t *testing.T) {
	t.Parallel()
	type aggregate struct{ tenant, id string }
	rapid.Check(t, func(t *rapid.T) {
		backend := memory.New()
		defer backend.Close()
		old, ctx := server.New(backend), context.Background()
		owner := map[aggregate]string{} // the type of the first stream with an id
		heads := map[aggregate]map[string]uint64{}
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			a := aggregate{
				rapid.SampledFrom([]string{"t", "u"}).Draw(t, "tenant"), rapid.SampledFrom([]string{"x", "xy"}).Draw(t, "id"),
			}
			name := rapid.SampledFrom([]string{"A", "B", "C"}).Draw(t, "type")
			srv := old
			if rapid.Bool().Draw(t, "new server") {
				srv = server.New(backend)
			}
			if heads[a] == nil {
				heads[a] = map[string]uint64{}
			}
			wasOwner := cmp.Or(owner[a], name)
			switch rapid.SampledFrom([]string{"direct", "wire", "read"}).Draw(t, "what") {
			case "direct":
				direct(t, backend, a.tenant, store.Stream{Type: name, ID: a.id}, 1)
				heads[a][name]++
				owner[a] = wasOwner
			case "read":
				want := slices.Repeat([]string{owner[a]}, int(heads[a][owner[a]]))
				if got := readTypes(ctx, t, srv, a.tenant, a.id); !slices.Equal(got, want) {
					t.Fatalf("ReadStream(%v) = %v, want %v", a, got, want)
				}
			case "wire":
				req := rawAppend(a.id, heads[a][owner[a]], 1)
				req.TenantId, req.AggregateType = a.tenant, name
				_, err := srv.Append(ctx, req)
				want := codes.OK
				if owner[a] = wasOwner; wasOwner != name {
					want = codes.InvalidArgument
				}
				if status.Code(err) != want {
					t.Fatalf("Append to %s %v, of %s = %v, want %s", name, a, wasOwner, err, want)
				}
				if want == codes.OK {
					heads[a][name]++
				}
			}
		}
	})
}

// TestCreateOfTwoTypes makes two clients create one id with two types, the second while
// the store is still recording the first.
func TestCreateOfTwoTypes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, release := memory.New(), make(chan struct{})
		srv := server.New(hookedStore{Store: st, Log: st, hook: func() { <-release }})
		got := make(chan codes.Code, 2)
		for _, name := range []string{"Account", "Order"} {
			req := ofDefault(rawAppend("x", 0, 1))
			req.AggregateType = name
			go func() {
				_, err := srv.Append(t.Context(), req)
				got <- status.Code(err)
			}()
			synctest.Wait()
		}
		waiting := rawAppend("x", 0, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := srv.Append(ctx, ofDefault(waiting))
		if status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("Append that waits for another one until its context ends = %v", err)
		}
		close(release)
		if first, second := <-got, <-got; min(first, second) != codes.OK || max(first, second) != codes.Aborted {
			t.Errorf("two creates of one id end with %s and %s, want one OK and one ABORTED", first, second)
		}
	})
}

// TestRacingCreates makes 1600 appends create 400 streams of two types: each stream is
// created once, and every other append is told the stream that was first.
func TestRacingCreates(t *testing.T) {
	t.Parallel()
	const streams, each = 400, 4
	s := serveRaw(t, newMemory(t))
	var won, lost atomic.Int64
	requests := make(chan *pb.AppendRequest)
	var callers sync.WaitGroup
	for range 64 {
		callers.Go(func() {
			for req := range requests {
				_, err := s.Append(t.Context(), req)
				if err == nil {
					won.Add(1)
					continue
				}
				lost.Add(1)
				wantStatus(t, err, codes.Aborted, "append precondition failed")
				details := status.Convert(err).Details()
				if len(details) != 1 {
					t.Errorf("conflict without details: %v", err)
				} else if d, ok := details[0].(*pb.ConcurrencyErrorDetail); !ok || d.GetActualLastAggregateNonce() != 1 ||
					d.GetAggregateId() != req.GetAggregateId() || d.GetTenantId() != "t" || d.GetActualLastGlobalNonce() == 0 {
					t.Errorf("conflict of %q has details %v", req.GetAggregateId(), d)
				}
			}
		})
	}
	for i := range streams * each {
		req := rawAppend(fmt.Sprintf("acc-%d", i/each), 0, 1)
		if i%3 == 0 {
			req.AggregateType = "Order"
		}
		requests <- req
	}
	close(requests)
	callers.Wait()
	if won.Load() != streams || lost.Load() != streams*(each-1) {
		t.Errorf("%d appends won and %d lost, want %d and %d", won.Load(), lost.Load(), streams, streams*(each-1))
	}
	page, err := s.ReadAll(t.Context(), &pb.ReadAllRequest{TenantId: "t", Forward: true, MaxCount: 1000})
	if err != nil || len(page.GetEvents()) != streams {
		t.Errorf("there are %d events after it, %v; want %d", len(page.GetEvents()), err, streams)
	}
}

// creating creates two streams with one id after the finder's first read of it: the
// older one with a type that was already tried.
type creating struct {
	*memory.Store

	t    *testing.T
	once *atomic.Bool
}

func (c creating) Tenant(string) (store.Store, error) { return c, nil }

func (c creating) Read(ctx context.Context, s store.Stream, o store.ReadOptions) (store.Page, error) {
	page, err := c.Store.Read(ctx, s, o)
	if s == (store.Stream{Type: "Known", ID: "x"}) && !c.once.Swap(true) {
		for _, name := range []string{"Known", "New"} {
			if _, err := c.Append(ctx, store.Stream{Type: name, ID: "x"}, store.NoStream, []store.Event{{ID: store.NewID(), Type: "Made"}}); err != nil {
				c.t.Error(err)
			}
		}
	}
	return page, err
}

// TestIDNamesOldestStreamOfThoseThatCome creates two streams with one id while the
// server looks for it.
func TestIDNamesOldestStreamOfThoseThatCome(t *testing.T) {
	t.Parallel()
	backend := creating{memory.New(), t, new(atomic.Bool)}
	srv := server.New(backend)
	if _, err := backend.Append(t.Context(), store.Stream{Type: "Known", ID: "y"}, store.NoStream, []store.Event{{ID: store.NewID(), Type: "Made"}}); err != nil {
		t.Fatal(err)
	}
	readTypes(t.Context(), t, srv, "t", "y") // the server knows the type now
	for range 2 {
		if types := readTypes(t.Context(), t, srv, "t", "x"); len(types) != 1 || types[0] != "Known" {
			t.Errorf("id x is of the types %q, want the one whose stream is the oldest", types)
		}
	}
}

// TestWaitForTheTypesEnds reads an id while another call reads the log to learn the
// stream types: a context that ends must end the wait, and not become an empty stream.
func TestWaitForTheTypesEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		srv := server.New(watched{memory.New(), func(call string, _ store.Stream) error {
			if call == "ReadAll" {
				<-release
			}
			return nil
		}})
		read := func(ctx context.Context) error {
			_, err := srv.ReadStream(ctx, &pb.ReadStreamRequest{TenantId: "t", AggregateId: "a", Forward: true})
			return err
		}
		first := make(chan error, 1)
		go func() { first <- read(t.Context()) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := read(ctx); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("ReadStream that waits longer than its context = %v, want DEADLINE_EXCEEDED", err)
		}
		close(release)
		if err := <-first; err != nil {
			t.Errorf("ReadStream = %v", err)
		}
	})
}
