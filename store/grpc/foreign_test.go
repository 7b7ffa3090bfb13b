package grpc_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/evolvego/evolve/store/grpc/eventstorev1"
)

// quirks are things that the protocol allows servers to do, or that some do anyway.
type quirks struct {
	Details   string // of a conflict, and its code; see refuse
	Garbage   string // sent as details if they are "garbage"
	Ends      string // when is_end is set; see ends
	Overlap   bool   // pages begin one event before from
	Page      int    // maximum number of events in a page
	First     uint64 // number of unused positions before the first event of the log
	NoReadAll bool
	KeepAlive bool   // empty messages between all others, the first one at once
	Feed      string // "repeats", "loses", "swaps" or nothing
	Taken     string // a duplicate event id is "accepted" or "aborted"
	Unanswers int    // one of this many appends is recorded, but its answer is lost
	Refuses   int    // one of this many requests is refused, as by a proxy without a server
}

// foreign is a server that knows the protocol and nothing about this package. Each
// tenant has its own quirks.
type foreign struct {
	eventstorev1.UnimplementedEventStoreServer
	mu      sync.Mutex
	tenants map[string]*foreignTenant // guarded by mu
}

func newForeign() *foreign { return &foreign{tenants: make(map[string]*foreignTenant)} }

func (f *foreign) Register(r gogrpc.ServiceRegistrar) { eventstorev1.RegisterEventStoreServer(r, f) }

// tenant returns a tenant, which it creates without quirks.
func (f *foreign) tenant(id string) *foreignTenant {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tenants[id]
	if t == nil {
		t = &foreignTenant{news: make(chan struct{})}
		f.tenants[id] = t
	}
	return t
}

type foreignTenant struct {
	quirks quirks // do not change after the first call

	mu       sync.Mutex
	log      []*eventstorev1.EventData
	appends  int
	requests int
	news     chan struct{} // closed when log has grown
}

// stream returns the events of aggregate id. The caller holds mu.
func (t *foreignTenant) stream(id string) []*eventstorev1.EventData {
	var events []*eventstorev1.EventData
	for _, e := range t.log {
		if e.GetMeta().GetAggregateId() == id {
			events = append(events, e)
		}
	}
	return events
}

// turnAway returns the error of a request that is not admitted. The caller holds mu.
func (t *foreignTenant) turnAway() error {
	t.requests++
	if n := t.quirks.Refuses; n > 0 && t.requests%n == 0 {
		return status.Error(codes.Unavailable, "no healthy upstream")
	}
	return nil
}

// count returns the number of requests so far.
func (t *foreignTenant) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.requests
}

func (f *foreign) Append(ctx context.Context, req *eventstorev1.AppendRequest) (*eventstorev1.AppendResponse, error) {
	t := f.tenant(req.GetTenantId())
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.turnAway(); err != nil {
		return nil, err
	}
	stream := t.stream(req.GetAggregateId())
	head := uint64(len(stream))
	if req.GetExpectedAggregateNonce() != head {
		return nil, t.refuse(ctx, req, stream)
	}
	for i, e := range req.GetEvents() {
		if e.GetMeta().GetAggregateNonce() != head+uint64(i)+1 {
			return nil, status.Errorf(codes.InvalidArgument, "event %d aggregate_nonce %d must equal expected %d",
				i, e.GetMeta().GetAggregateNonce(), head+uint64(i)+1)
		}
		if t.quirks.Taken == "aborted" && t.has(e.GetMeta().GetEventId()) {
			return nil, status.Error(codes.Aborted, "duplicate key value violates unique constraint")
		}
	}
	for _, e := range req.GetEvents() {
		m := e.GetMeta()
		m.AggregateId, m.AggregateType, m.TenantId = req.GetAggregateId(), req.GetAggregateType(), req.GetTenantId()
		m.GlobalNonce, m.RecordedTimeUnixMs = uint64(len(t.log)+1), 1_700_000_000_000
		t.log = append(t.log, e)
	}
	close(t.news)
	t.news = make(chan struct{})
	if t.appends++; t.quirks.Unanswers > 0 && t.appends%t.quirks.Unanswers == 0 {
		return nil, status.Error(codes.Unavailable, "connection reset by peer")
	}
	return &eventstorev1.AppendResponse{
		LastGlobalNonce: uint64(len(t.log)), LastAggregateNonce: head + uint64(len(req.GetEvents())),
	}, nil
}

func (t *foreignTenant) has(id string) bool {
	return slices.ContainsFunc(t.log, func(e *eventstorev1.EventData) bool { return e.GetMeta().GetEventId() == id })
}

// refuse returns the status of a conflict.
func (t *foreignTenant) refuse(ctx context.Context, req *eventstorev1.AppendRequest, stream []*eventstorev1.EventData) error {
	detail := &eventstorev1.ConcurrencyErrorDetail{
		TenantId: req.GetTenantId(), AggregateId: req.GetAggregateId(), ActualLastAggregateNonce: uint64(len(stream)),
	}
	st := status.New(codes.Aborted, "append precondition failed")
	standard, err := st.WithDetails(detail)
	if err != nil {
		return err
	}
	bare := &anypb.Any{}
	if err := bare.MarshalFrom(detail); err != nil {
		return err
	}
	marshal := func(m proto.Message) string {
		data, err := proto.Marshal(m)
		if err != nil {
			panic(err)
		}
		return string(data)
	}
	const key = "grpc-status-details-bin"
	switch t.quirks.Details {
	case "standard":
		return standard.Err()
	case "bare":
		_ = gogrpc.SetTrailer(ctx, metadata.Pairs(key, marshal(bare)))
	case "both":
		_ = gogrpc.SetTrailer(ctx, metadata.Pairs(key, marshal(standard.Proto()), key, marshal(bare)))
	case "garbage":
		_ = gogrpc.SetTrailer(ctx, metadata.Pairs(key, t.quirks.Garbage, key, marshal(standard.Proto())[:len(t.quirks.Garbage)%20]))
	case "internal":
		return status.Errorf(codes.Internal, "invalid aggregate_nonce: got %d, expected %d", req.GetExpectedAggregateNonce()+1, len(stream)+1)
	}
	return st.Err()
}

// page returns a page of all, whose events are numbered by number from 1 on.
func (t *foreignTenant) page(
	all []*eventstorev1.EventData, from uint64, limit uint32, forward bool,
) (page []*eventstorev1.EventData, end bool, next uint64) {
	n := min(int(limit), t.quirks.Page)
	if int64(from) < 0 && !forward || limit == 0 { // like a database that takes it for a negative number
		return nil, true, from
	}
	first := int(min(max(from, 1), uint64(len(all)+1)))
	if forward {
		if t.quirks.Overlap && first > 1 && first <= len(all) {
			first, n = first-1, n+1
		}
		page = all[first-1 : min(first-1+n, len(all))]
		next, end = uint64(first+len(page)), first-1+len(page) == len(all)
		next = max(next, from)
	} else {
		last := int(min(from, uint64(len(all))))
		if t.quirks.Overlap && last < len(all) && last > 0 {
			last, n = last+1, n+1
		}
		page = slices.Clone(all[max(0, last-n):last])
		slices.Reverse(page)
		next, end = uint64(last-len(page)+1), last-len(page) <= 0 // the next page begins with the last event of this one
	}
	return page, t.ends(end, len(page), int(limit)), next
}

// ends returns the is_end of a page with n of limit events; end says whether it is the
// last page.
func (t *foreignTenant) ends(end bool, n, limit int) bool {
	switch t.quirks.Ends {
	case "never": // except for an empty page
		return n == 0
	case "short":
		return end && n < limit
	}
	return end
}

func (f *foreign) ReadStream(_ context.Context, req *eventstorev1.ReadStreamRequest) (*eventstorev1.ReadStreamResponse, error) {
	t := f.tenant(req.GetTenantId())
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.turnAway(); err != nil {
		return nil, err
	}
	page, end, next := t.page(t.stream(req.GetAggregateId()), req.GetFromAggregateNonce(), req.GetMaxCount(), req.GetForward())
	return &eventstorev1.ReadStreamResponse{Events: page, IsEnd: end, NextFromAggregateNonce: next}, nil
}

func (f *foreign) ReadAll(_ context.Context, req *eventstorev1.ReadAllRequest) (*eventstorev1.ReadAllResponse, error) {
	t := f.tenant(req.GetTenantId())
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.quirks.NoReadAll {
		return nil, status.Error(codes.Unimplemented, "unknown method ReadAll")
	}
	if err := t.turnAway(); err != nil {
		return nil, err
	}
	from := req.GetFromGlobalNonce()
	if from -= min(from, t.quirks.First); from == 0 && t.quirks.First > 0 && !req.GetForward() {
		return &eventstorev1.ReadAllResponse{IsEnd: true}, nil
	}
	page, end, next := t.page(t.log, from, min(req.GetMaxCount(), 1000), req.GetForward())
	page = slices.Clone(page)
	for i, e := range page {
		page[i] = proto.CloneOf(e)
		page[i].Meta.GlobalNonce += t.quirks.First
	}
	return &eventstorev1.ReadAllResponse{Events: page, IsEnd: end, NextFromGlobalNonce: next + t.quirks.First}, nil
}

func (f *foreign) Subscribe(
	req *eventstorev1.SubscribeRequest, stream gogrpc.ServerStreamingServer[eventstorev1.SubscribeResponse],
) error {
	t := f.tenant(req.GetTenantId())
	sent := int(max(req.GetFromGlobalNonce(), 1)) - 1
	for {
		t.mu.Lock()
		events, news := t.log[min(sent, len(t.log)):], t.news
		t.mu.Unlock()
		if err := t.feed(stream, req.GetAggregateIdPrefix(), events); err != nil {
			return err
		}
		sent += len(events)
		select {
		case <-news:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

// feed sends events.
func (t *foreignTenant) feed(
	stream gogrpc.ServerStreamingServer[eventstorev1.SubscribeResponse], prefix string, events []*eventstorev1.EventData,
) error {
	out := slices.Clone(events)
	switch n := len(out); {
	case t.quirks.Feed == "repeats":
		out = slices.Concat(out, out[n/2:])
	case t.quirks.Feed == "loses" && n > 1:
		out = slices.Delete(out, n/2, n/2+1)
	case t.quirks.Feed == "swaps" && n > 1:
		out[n-1], out[n-2] = out[n-2], out[n-1]
	}
	if t.quirks.KeepAlive {
		if err := stream.Send(&eventstorev1.SubscribeResponse{}); err != nil {
			return err
		}
	}
	for _, e := range out {
		if !strings.HasPrefix(e.GetMeta().GetAggregateId(), prefix) {
			continue
		}
		if err := stream.Send(&eventstorev1.SubscribeResponse{Event: e}); err != nil {
			return err
		}
		if t.quirks.KeepAlive {
			if err := stream.Send(&eventstorev1.SubscribeResponse{}); err != nil {
				return err
			}
		}
	}
	return nil
}

// newTenant creates a tenant with these quirks, and returns its id.
func (f *foreign) newTenant(q quirks) string {
	f.mu.Lock()
	id := "tenant " + strconv.Itoa(len(f.tenants))
	f.mu.Unlock()
	if q.Page == 0 {
		q.Page = 1000
	}
	f.tenant(id).quirks = q
	return id
}
