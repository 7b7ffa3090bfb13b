package grpc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc"
	"github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/memory"
)

// TestPagesOfAnyServer reads a log and a stream in pages, in both directions and with
// filters, from every kind of server, which may end its pages anywhere. It expects the
// results of a plain store.
func TestPagesOfAnyServer(t *testing.T) {
	t.Parallel()
	srv := &scripted{foreign: newForeign()}
	st := open(t, listen(t, srv))
	model := memory.New()
	defer model.Close()
	streams := []store.Stream{{Type: "Account", ID: "a"}, {Type: "Order", ID: "o"}, {Type: "Account", ID: "b"}}
	const n = 7
	for i := range n {
		if _, err := model.Append(t.Context(), streams[i%3], store.Any, []store.Event{numbered(i + 1)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, ends := range []string{"exact", "short", "never"} {
		for _, overlap := range []bool{false, true} {
			for i, page := range []int{1, 2, 1000} {
				q := quirks{Ends: ends, Overlap: overlap, Page: page, First: 10 * uint64(i)}
				id := srv.newTenant(q)
				for i := range n {
					srv.addTo(id, streams[i%3], numbered(i+1))
				}
				tenant, err := st.Tenant(id)
				if err != nil {
					t.Fatal(err)
				}
				c := &comparison{T: t, of: fmt.Sprintf("%+v", q), model: model}
				c.real, _ = tenant.(*grpc.Store)
				c.all(n, streams[0], q.First)
			}
		}
	}
}

// comparison compares what the client reads with what a plain store has.
type comparison struct {
	*testing.T

	of    string
	real  *grpc.Store
	model *memory.Store
}

// all compares a stream, and the log of n events, whose positions begin after first.
func (c *comparison) all(n uint64, stream store.Stream, first uint64) {
	c.Helper()
	for _, backward := range []bool{false, true} {
		for _, from := range []uint64{0, 1, n / 2, n, n + 5} {
			for _, limit := range []int{1, 2, int(n)} {
				c.stream(stream, store.ReadOptions{From: from, Limit: limit, Backward: backward})
				for _, f := range []store.Filter{{}, {StreamTypes: []string{"Order"}}, {IDPrefix: "b"}} {
					c.log(store.LogOptions{From: from, Limit: limit, Backward: backward, Filter: f}, first)
				}
			}
		}
	}
}

func (c *comparison) stream(stream store.Stream, o store.ReadOptions) {
	c.Helper()
	want, err := c.model.Read(c.Context(), stream, store.ReadOptions{From: o.From, Backward: o.Backward})
	if err != nil {
		c.Fatal(err)
	}
	c.walk(fmt.Sprintf("Read %+v", o), o.From, want, func(from uint64) (store.Page, error) {
		o.From = from
		return c.real.Read(c.Context(), stream, o)
	})
}

func (c *comparison) log(o store.LogOptions, first uint64) {
	c.Helper()
	want, err := c.model.ReadAll(c.Context(), store.LogOptions{From: o.From, Backward: o.Backward, Filter: o.Filter})
	if err != nil {
		c.Fatal(err)
	}
	if o.From > 0 {
		o.From += first
	}
	if want.Head += first; want.Next > 0 {
		want.Next += first
	}
	for i := range want.Events {
		want.Events[i].Position += first
	}
	c.walk(fmt.Sprintf("ReadAll %+v", o), o.From, want, func(from uint64) (store.Page, error) {
		o.From = from
		return c.real.ReadAll(c.Context(), o)
	})
}

// walk reads pages from position or version from on until the end, which together must
// equal want.
func (c *comparison) walk(call string, from uint64, want store.Page, read func(from uint64) (store.Page, error)) {
	c.Helper()
	var got []store.Recorded
	for range 30 {
		page, err := read(from)
		if err != nil || page.Head != want.Head {
			c.Fatalf("%s: %s from %d = head %d, %v; want head %d", c.of, call, from, page.Head, err, want.Head)
		}
		got = append(got, page.Events...)
		if !page.End {
			from = page.Next
			continue
		}
		if !slices.Equal(placesOf(got), placesOf(want.Events)) || page.Next != want.Next {
			c.Fatalf("%s: %s = %d, and next %d; want %d, and next %d", c.of, call, placesOf(got), page.Next, placesOf(want.Events), want.Next)
		}
		return
	}
	c.Fatalf("%s: %s does not end", c.of, call)
}

// placesOf returns the version and position of each of events.
func placesOf(events []store.Recorded) [][2]uint64 {
	places := make([][2]uint64, len(events))
	for i := range events {
		places[i] = [2]uint64{events[i].Version, events[i].Position}
	}
	return places
}

// TestRequestsOfAPage counts the requests for a page of the log.
func TestRequestsOfAPage(t *testing.T) {
	t.Parallel()
	const n = 20
	filters := map[string]store.Filter{
		"a stream type": {StreamTypes: []string{"Last"}}, "an id": {IDPrefix: "last"}, "an event type": {EventTypes: []string{"Last"}},
	}
	last := numbered(n)
	last.Type = "Last"
	foreign := &scripted{foreign: newForeign().with(quirks{Ends: "never"})}
	foreign.add(t, aStream(), numbers(1, n-1)...)
	foreign.add(t, store.Stream{Type: "Last", ID: "last"}, last)
	count := foreign.tenant(store.DefaultTenant).count
	st := open(t, listen(t, foreign))
	for name, tt := range map[string]struct {
		o        store.LogOptions
		requests int
	}{
		"all":                        {store.LogOptions{}, 3},                         // plus one for the end, and one for the head
		"a part":                     {store.LogOptions{Limit: 3}, 2},                 // plus one for the head
		"the first, backward":        {store.LogOptions{From: 1, Backward: true}, 2},  // plus one for the head
		"the newest":                 {store.LogOptions{Limit: 1, Backward: true}, 2}, // plus one to see whether there are more
		"the newest, of all of them": {store.LogOptions{Limit: n, Backward: true}, 1}, // the page reaches the first event
		"a page before the newest":   {store.LogOptions{From: n, Limit: 3, Backward: true}, 3},
	} {
		before := count()
		if _, err := st.ReadAll(t.Context(), tt.o); err != nil || count()-before != tt.requests {
			t.Errorf("ReadAll of %s = %v after %d requests, want %d", name, err, count()-before, tt.requests)
		}
	}
	exact := &scripted{foreign: newForeign().with(quirks{Ends: "exact"})}
	exact.add(t, aStream(), numbers(1, n)...)
	before := exact.tenant(store.DefaultTenant).count() + 1 // one for Open
	page, err := open(t, listen(t, exact)).ReadAll(t.Context(), store.LogOptions{Limit: n})
	if requests := exact.tenant(store.DefaultTenant).count() - before; err != nil || !page.End || requests != 1 {
		t.Errorf("ReadAll of all, from a server that reports the end =  end %t, %v after %d requests; want the end after one", page.End, err, requests)
	}
	stream, err := open(t, listen(t, exact)).Read(t.Context(), aStream(), store.ReadOptions{Limit: n})
	if requests := exact.tenant(store.DefaultTenant).count() - before - 2; err != nil || !stream.End || requests != 1 { // two for Open and ReadAll
		t.Errorf("Read of all, from a server that reports the end =  end %t, %v after %d requests; want the end after one", stream.End, err, requests)
	}
	for name, filter := range filters {
		before := count()
		page, err := st.ReadAll(t.Context(), store.LogOptions{Filter: filter, Limit: 1})
		if err != nil || len(page.Events) != 1 || count()-before != 2 { // a page with everything, and the head
			t.Errorf("ReadAll with %s = %d events, %v after %d requests; want one after 2", name, len(page.Events), err, count()-before)
		}
	}
}

// TestRequestsOfOurServer counts the requests for a page from a server that knows
// filters, and the events that it sends: one request, and only matching events.
func TestRequestsOfOurServer(t *testing.T) {
	t.Parallel()
	var requests, sent atomic.Int64
	st := open(t, listen(t, server.New(memory.New()), gogrpc.UnaryInterceptor(
		func(ctx context.Context, req any, _ *gogrpc.UnaryServerInfo, handle gogrpc.UnaryHandler) (any, error) {
			resp, err := handle(ctx, req)
			requests.Add(1)
			if resp, ok := resp.(*eventstorev1.ReadAllResponse); ok {
				sent.Add(int64(len(resp.GetEvents())))
			}
			return resp, err
		})))
	last := numbered(20)
	last.Type = "Last"
	large := numbered(21)
	large.Data = make([]byte, 3<<20)
	for _, events := range [][]store.Event{numbers(1, 19), {last}, {large}} {
		if _, err := st.Append(t.Context(), aStream(), store.Any, events); err != nil {
			t.Fatal(err)
		}
	}
	other := numbered(22)
	other.Data = make([]byte, 3<<20)
	if _, err := st.Append(t.Context(), store.Stream{Type: "Last", ID: "last"}, store.NoStream, []store.Event{other}); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		o    store.LogOptions
		n    int
		next uint64
		end  bool
	}{
		"some":                    {store.LogOptions{Limit: 3}, 3, 4, false},
		"what fits into a page":   {store.LogOptions{From: 20}, 2, 22, false},
		"the newest":              {store.LogOptions{Limit: 1, Backward: true}, 1, 21, false},
		"the first":               {store.LogOptions{From: 1, Backward: true}, 1, 0, true},
		"a stream type":           {store.LogOptions{Filter: store.Filter{StreamTypes: []string{"Last"}}}, 1, 23, true},
		"an event type":           {store.LogOptions{Filter: store.Filter{EventTypes: []string{"Last"}}}, 1, 23, true},
		"an event type, backward": {store.LogOptions{Backward: true, Filter: store.Filter{EventTypes: []string{"Last"}}}, 1, 0, true},
		"an id":                   {store.LogOptions{Filter: store.Filter{IDPrefix: "last"}}, 1, 23, true},
		"nothing":                 {store.LogOptions{Filter: store.Filter{IDPrefix: "nobody"}}, 0, 23, true},
		"nothing, backward":       {store.LogOptions{Backward: true, Filter: store.Filter{IDPrefix: "nobody"}}, 0, 0, true},
	} {
		requested, came := requests.Load(), sent.Load()
		page, err := st.ReadAll(t.Context(), tt.o)
		requested, came = requests.Load()-requested, sent.Load()-came
		if err != nil || page.Head != 22 || len(page.Events) != tt.n || page.Next != tt.next || page.End != tt.end {
			t.Errorf("%s: ReadAll = %d events, next %d, head %d, end %t, %v; want %d, next %d, head 22, end %t",
				name, len(page.Events), page.Next, page.Head, page.End, err, tt.n, tt.next, tt.end)
		}
		if requested != 1 || came != int64(tt.n) {
			t.Errorf("%s: ReadAll took %d requests for %d events, want one for %d", name, requested, came, tt.n)
		}
	}
}

// stale is a server with a replica that lags behind by one event: it answers requests
// for the newest event only.
type stale struct{ *foreign }

func (s stale) Register(r gogrpc.ServiceRegistrar) { eventstorev1.RegisterEventStoreServer(r, s) }

func (s stale) ReadStream(ctx context.Context, req *eventstorev1.ReadStreamRequest) (*eventstorev1.ReadStreamResponse, error) {
	if !req.GetForward() && req.GetMaxCount() == 1 {
		req.FromAggregateNonce = 4
	}
	return s.foreign.ReadStream(ctx, req)
}

func (s stale) ReadAll(ctx context.Context, req *eventstorev1.ReadAllRequest) (*eventstorev1.ReadAllResponse, error) {
	if !req.GetForward() && req.GetMaxCount() == 1 {
		req.FromGlobalNonce = 4
	}
	return s.foreign.ReadAll(ctx, req)
}

// TestHeadIsNotBeforeItsPage uses a server that reports a head older than the page that
// it has sent. A client that waited for that head would go backward.
func TestHeadIsNotBeforeItsPage(t *testing.T) {
	t.Parallel()
	srv := &scripted{foreign: newForeign().with(quirks{Ends: "never"})}
	srv.add(t, aStream(), numbers(1, 5)...)
	st := open(t, listen(t, stale{srv.foreign}))
	for _, backward := range []bool{false, true} {
		for _, from := range []uint64{3, 5} {
			want := uint64(5)
			if backward {
				want = max(4, from)
			}
			page, err := st.Read(t.Context(), aStream(), store.ReadOptions{From: from, Limit: 3, Backward: backward})
			if err != nil || page.Head != want {
				t.Errorf("Read from %d, backward %t = head %d, %v; want %d", from, backward, page.Head, err, want)
			}
			page, err = st.ReadAll(t.Context(), store.LogOptions{From: from, Limit: 3, Backward: backward})
			if err != nil || page.Head != want {
				t.Errorf("ReadAll from %d, backward %t = head %d, %v; want %d", from, backward, page.Head, err, want)
			}
		}
	}
}

// TestEveryRequestMayFail lets each request of a call fail in turn. The call must fail
// with the error of the request, and never return a wrong result.
func TestEveryRequestMayFail(t *testing.T) {
	t.Parallel()
	other := func(n int) []store.Event {
		e := numbered(n)
		e.Data = []byte("other")
		return []store.Event{e}
	}
	taken := status.Error(codes.AlreadyExists, "event_id exists")
	appending := func(expected store.Expected, events []store.Event) func(context.Context, *grpc.Store) error {
		return func(ctx context.Context, st *grpc.Store) error {
			_, err := st.Append(ctx, aStream(), expected, events)
			return err
		}
	}
	reading := func(o store.ReadOptions) func(context.Context, *grpc.Store) error {
		return func(ctx context.Context, st *grpc.Store) error {
			_, err := st.Read(ctx, aStream(), o)
			return err
		}
	}
	readingAll := func(o store.LogOptions) func(context.Context, *grpc.Store) error {
		return func(ctx context.Context, st *grpc.Store) error {
			_, err := st.ReadAll(ctx, o)
			return err
		}
	}
	for name, tt := range map[string]struct {
		call     func(context.Context, *grpc.Store) error
		requests int // requests if none fails
		wants    error
		refusal  error // expected error of an append
	}{
		"Head":                           {func(ctx context.Context, st *grpc.Store) error { _, err := st.Head(ctx); return err }, 1, nil, nil},
		"Read":                           {reading(store.ReadOptions{Limit: 2}), 2, nil, nil},
		"Read backward":                  {reading(store.ReadOptions{From: 4, Limit: 2, Backward: true}), 2, nil, nil},
		"ReadAll":                        {readingAll(store.LogOptions{Limit: 2}), 2, nil, nil},
		"ReadAll with a filter":          {readingAll(store.LogOptions{Filter: store.Filter{IDPrefix: "x"}}), 3, nil, nil},
		"ReadAll backward":               {readingAll(store.LogOptions{From: 4, Limit: 2, Backward: true}), 3, nil, nil},
		"Append":                         {appending(store.Exactly(5), numbers(6, 1)), 1, nil, nil},
		"Append to any":                  {appending(store.Any, numbers(6, 1)), 2, nil, nil},
		"Append with a conflict":         {appending(store.Exactly(2), numbers(6, 1)), 3, store.ErrConflict, nil},
		"Append again":                   {appending(store.Exactly(2), numbers(3, 2)), 3, nil, nil},
		"Append of an id of this stream": {appending(store.Exactly(5), other(3)), 2, store.ErrDuplicate, taken},
	} {
		for k := 0; ; k++ {
			requests := 0
			srv := &scripted{foreign: newForeign().with(quirks{Ends: "never"})}
			srv.add(t, aStream(), numbers(1, 5)...)
			st := open(t, listen(t, srv, gogrpc.UnaryInterceptor(
				func(ctx context.Context, req any, info *gogrpc.UnaryServerInfo, handle gogrpc.UnaryHandler) (any, error) {
					if requests++; requests == k+1 && k > 0 {
						return nil, status.Error(codes.DataLoss, "disk")
					}
					if tt.refusal != nil && strings.HasSuffix(info.FullMethod, "/Append") {
						return nil, tt.refusal
					}
					return handle(ctx, req)
				})))
			err := tt.call(t.Context(), st)
			if k == 0 {
				if requests--; requests != tt.requests || !errors.Is(err, tt.wants) { // one was for Open
					t.Errorf("%s = %v after %d requests, want %v after %d", name, err, requests, tt.wants, tt.requests)
				}
				continue
			}
			if requests <= k {
				break // there are no more requests
			}
			if status.Code(err) != codes.DataLoss || store.Definite(err) {
				t.Errorf("%s when request %d fails = %v, want the error of the request, which is not definite", name, k, err)
			}
		}
	}
}

// TestConflictAmongTrailers sends a conflict with several details, one of which has the
// version. The client must find it wherever it is, and read nothing.
func TestConflictAmongTrailers(t *testing.T) {
	t.Parallel()
	standard, ok := status.FromError(conflictAt(t, 3))
	if !ok {
		t.Fatal("this is not a status")
	}
	whole, bare, other := standard.Proto(), &anypb.Any{}, &anypb.Any{}
	if err := errors.Join(bare.MarshalFrom(&eventstorev1.ConcurrencyErrorDetail{ActualLastAggregateNonce: 3}), other.MarshalFrom(&eventstorev1.EventData{})); err != nil {
		t.Fatal(err)
	}
	second := proto.CloneOf(whole)
	second.Details = append([]*anypb.Any{other}, second.GetDetails()...)
	for name, values := range map[string][]proto.Message{
		"a status, twice":                   {whole, whole},
		"a status after another detail":     {other, whole},
		"a status before another detail":    {whole, other},
		"a detail, twice":                   {bare, bare},
		"a detail after another one":        {other, bare},
		"a detail before another one":       {bare, other},
		"two details in a status":           {second},
		"two details in a status, repeated": {second, other},
	} {
		srv := &scripted{foreign: newForeign().with(quirks{})}
		srv.add(t, aStream(), numbers(1, 9)...) // a different version than in the details
		addr := listen(t, srv, gogrpc.UnaryInterceptor(
			func(ctx context.Context, req any, info *gogrpc.UnaryServerInfo, handle gogrpc.UnaryHandler) (any, error) {
				if !strings.HasSuffix(info.FullMethod, "/Append") {
					return handle(ctx, req)
				}
				md := metadata.MD{}
				for _, m := range values {
					data, err := proto.Marshal(m)
					if err != nil {
						return nil, err
					}
					md.Append("grpc-status-details-bin", string(data))
				}
				_ = gogrpc.SetTrailer(ctx, md)
				return nil, status.Error(codes.Aborted, "append precondition failed")
			}))
		st := open(t, addr)
		_, err := st.Append(t.Context(), aStream(), store.Exactly(8), numbers(10, 1))
		if conflict, ok := errors.AsType[*store.ConflictError](err); !ok || conflict.Actual != 3 || srv.reads.Load() != 0 {
			t.Errorf("%s: Append = %v after %d reads, want a conflict with version 3 after none", name, err, srv.reads.Load())
		}
	}
}

// TestErrorsThatAreNoConflict uses a server whose errors resemble a conflict: the
// outcome is unknown.
func TestErrorsThatAreNoConflict(t *testing.T) {
	t.Parallel()
	for code, message := range map[codes.Code]string{
		codes.Internal:           "invalid aggregate_nonce: it is negative",
		codes.Unknown:            "invalid aggregate_nonce: got 1, expected 2",
		codes.DataLoss:           "got 1, expected 2",
		codes.FailedPrecondition: "precondition failed",
	} {
		srv := &scripted{foreign: newForeign().with(quirks{})}
		srv.add(t, aStream(), numbers(1, 3)...)
		srv.onAppend = func(int64, func() error) error { return status.Error(code, message) }
		_, err := open(t, listen(t, srv)).Append(t.Context(), aStream(), store.Exactly(1), numbers(7, 1))
		if status.Code(err) != code || errors.Is(err, store.ErrConflict) || srv.reads.Load() != 0 {
			t.Errorf("Append with the answer %s %q = %v after %d reads, want that error and no read", code, message, err, srv.reads.Load())
		}
	}
	srv := &scripted{foreign: newForeign().with(quirks{})}
	srv.onAppend = func(int64, func() error) error { return status.Error(codes.Internal, "got 1, expected 2") }
	if _, err := open(t, listen(t, srv)).Append(t.Context(), aStream(), store.NoStream, numbers(1, 1)); status.Code(err) != codes.Internal {
		t.Errorf("Append = %v, want the error of the server", err)
	}
}

// twice is a server that sends the last event of a page twice, except for the head.
type twice struct{ *foreign }

func (s twice) Register(r gogrpc.ServiceRegistrar) { eventstorev1.RegisterEventStoreServer(r, s) }

func (s twice) ReadStream(ctx context.Context, req *eventstorev1.ReadStreamRequest) (*eventstorev1.ReadStreamResponse, error) {
	resp, err := s.foreign.ReadStream(ctx, req)
	if events := resp.GetEvents(); len(events) > 1 {
		resp.Events = append(events, events[len(events)-1])
	}
	return resp, err
}

func (s twice) ReadAll(ctx context.Context, req *eventstorev1.ReadAllRequest) (*eventstorev1.ReadAllResponse, error) {
	resp, err := s.foreign.ReadAll(ctx, req)
	if events := resp.GetEvents(); len(events) > 1 {
		resp.Events = append(events, events[len(events)-1])
	}
	return resp, err
}

// TestEventTwiceInAPage checks that a page that has an event twice is refused.
func TestEventTwiceInAPage(t *testing.T) {
	t.Parallel()
	srv := &scripted{foreign: newForeign().with(quirks{})}
	srv.add(t, aStream(), numbers(1, 3)...)
	st := openAt(t, twice{srv.foreign})
	for _, backward := range []bool{false, true} {
		if page, err := st.ReadAll(t.Context(), store.LogOptions{Backward: backward}); err == nil || store.Definite(err) {
			t.Errorf("ReadAll, backward %t, of a page with an event twice = %d events, %v; want an error", backward, len(page.Events), err)
		}
		if page, err := st.Read(t.Context(), aStream(), store.ReadOptions{Backward: backward}); err == nil || store.Definite(err) {
			t.Errorf("Read, backward %t, of a page with an event twice = %d events, %v; want an error", backward, len(page.Events), err)
		}
	}
}

// openAt opens a store on service.
func openAt(t *testing.T, service registrar) *grpc.Store {
	t.Helper()
	return open(t, listen(t, service))
}

// slowly is a store that examines one event at a time for a page of its log.
type slowly struct{ *memory.Store }

func (s slowly) Tenant(string) (store.Store, error) { return s, nil }

func (s slowly) ReadAll(ctx context.Context, o store.LogOptions) (store.Page, error) {
	filter := o.Filter
	o.Limit, o.Filter = 1, store.Filter{}
	page, err := s.Store.ReadAll(ctx, o)
	page.Events = slices.DeleteFunc(page.Events, func(r store.Recorded) bool { return !filter.Matches(&r) })
	return page, err
}

// TestPagesWithoutEvents reads a log whose pages may have no event and not be the last:
// the next page begins after what the server has examined.
func TestPagesWithoutEvents(t *testing.T) {
	t.Parallel()
	backend := memory.New()
	if _, err := backend.Append(t.Context(), aStream(), store.NoStream, numbers(1, 5)); err != nil {
		t.Fatal(err)
	}
	st := openAt(t, server.New(slowly{backend}))
	for _, backward := range []bool{false, true} {
		o := store.LogOptions{Backward: backward, Filter: store.Filter{IDPrefix: "nobody"}}
		pages, end := 0, false
		for ; !end && pages < 10; pages++ {
			page, err := st.ReadAll(t.Context(), o)
			if err != nil || len(page.Events) != 0 || page.Head != 5 {
				t.Fatalf("ReadAll(%+v) = %d events, head %d, %v; want none, and head 5", o, len(page.Events), page.Head, err)
			}
			o.From, end = page.Next, page.End
		}
		if pages != 5 {
			t.Errorf("ReadAll, backward: %t, took %d pages of one event, want 5", backward, pages)
		}
	}
}

// TestKeepAliveIsNoPage subscribes to a server that sends keep-alives: the loop must
// see only pages with events, and pages that have caught up.
func TestKeepAliveIsNoPage(t *testing.T) {
	t.Parallel()
	srv := newForeign().with(quirks{NoReadAll: true, KeepAlive: true})
	st := open(t, listen(t, srv))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const n = 5
	if err := writeNumbers(ctx, st, n, make(chan struct{}, n)); err != nil {
		t.Fatal(err)
	}
	got := 0
	for page, err := range st.Subscribe(ctx, store.LogOptions{}) {
		if err != nil || len(page.Events) == 0 && !page.End {
			t.Fatalf("after %d events Subscribe yielded %+v, %v; want a page with events or with End set", got, page, err)
		}
		if got += len(page.Events); page.End && got == n {
			return
		}
	}
}

// TestStoreThatRefusesAnArgument uses a store behind a server that refuses something
// that the client cannot know: the error must name the field.
func TestStoreThatRefusesAnArgument(t *testing.T) {
	t.Parallel()
	st := openAt(t, server.New(picky{memory.New()}))
	_, err := st.Append(t.Context(), aStream(), store.NoStream, numbers(1, 1))
	if invalid, ok := errors.AsType[*store.InvalidError](err); !ok || *invalid != pickyError() {
		t.Errorf("Append = %v, want %v", err, pickyError())
	}
	page, err := st.Read(t.Context(), aStream(), store.ReadOptions{})
	if invalid, ok := errors.AsType[*store.InvalidError](err); !ok || *invalid != pickyError() {
		t.Errorf("Read = %d events, %v, want %v", len(page.Events), err, pickyError())
	}
}

// picky is a store that refuses everything.
type picky struct{ *memory.Store }

func pickyError() store.InvalidError {
	return store.InvalidError{Field: "stream.id", Reason: "is not for this store"}
}

func (s picky) Tenant(string) (store.Store, error) { return s, nil }

func (s picky) Append(context.Context, store.Stream, store.Expected, []store.Event) (store.Appended, error) {
	err := pickyError()
	return store.Appended{}, &err
}

func (s picky) Read(context.Context, store.Stream, store.ReadOptions) (store.Page, error) {
	err := pickyError()
	return store.Page{}, &err
}
