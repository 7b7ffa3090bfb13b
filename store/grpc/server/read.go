package server

import (
	"context"
	"math"
	"strconv"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/internal/wire"
)

const (
	defaultStreamPage = 1000    // events in a page of ReadStream with max_count 0
	defaultLogPage    = 100     // for ReadAll
	maxLogPage        = 1000    // events in a page of ReadAll
	maxPageBytes      = 7 << 19 // 3.5 MiB: the maximum size of the messages in a page, unless it has only one event
	firstRead         = 64      // number of events to ask the store for before their size is known
)

// ReadStream is the RPC of that name.
func (s *Server) ReadStream(
	ctx context.Context, req *eventstorev1.ReadStreamRequest,
) (*eventstorev1.ReadStreamResponse, error) {
	c := &Call{Method: "ReadStream", Tenant: req.GetTenantId()}
	var p *pageOut
	err := s.serve(ctx, c, "ReadStreamRequest", func(v view) error {
		if req.GetAggregateId() == "" {
			return refused("aggregate_id is required on ReadStreamRequest")
		}
		stream, ok, err := s.streamToRead(ctx, v, req.GetAggregateId())
		if err != nil {
			return err
		}
		from := req.GetFromAggregateNonce()
		if req.GetForward() {
			from = max(from, 1) // the same, and the value that the client continues with
		}
		p = newPage(v, from, !req.GetForward(), req.GetMaxCount(), defaultStreamPage, math.MaxInt32)
		if ok {
			err = p.fill(func(from uint64, limit int) (store.Page, error) {
				return v.store.Read(ctx, stream, store.ReadOptions{From: from, Limit: limit, Backward: p.backward, ReadOnly: true})
			})
		}
		if err == nil && p.cut && isPython(ctx) {
			return answerf(codes.ResourceExhausted, "the events of aggregate_id '%s' from %d on are larger than a page of %d bytes: "+
				"only %d of them fit, and clients based on grpc-python take a page for the whole stream: ask for at most that many (max_count)",
				req.GetAggregateId(), from, maxPageBytes, len(p.events))
		}
		return p.end(ctx, c, err)
	})
	if err != nil {
		return nil, err
	}
	return &eventstorev1.ReadStreamResponse{Events: p.events, IsEnd: p.done, NextFromAggregateNonce: p.next}, nil
}

// streamToRead returns the stream that id means for the client, and false if there is
// none.
func (s *Server) streamToRead(ctx context.Context, v view, id string) (store.Stream, bool, error) {
	stream := store.Stream{Type: "-", ID: id} // only the id is validated
	if types := metadata.ValueFromIncomingContext(ctx, wire.MDAggregateType); v.known && len(types) == 1 {
		stream.Type = types[0]
		return stream, true, stream.Validate()
	}
	if err := stream.Validate(); err != nil {
		return stream, false, err
	}
	return s.finder.find(ctx, v, id)
}

// ReadAll is the RPC of that name.
func (s *Server) ReadAll(ctx context.Context, req *eventstorev1.ReadAllRequest) (*eventstorev1.ReadAllResponse, error) {
	c := &Call{Method: "ReadAll", Tenant: req.GetTenantId()}
	var p *pageOut
	err := s.serve(ctx, c, "ReadAllRequest", func(v view) error {
		p = newPage(v, req.GetFromGlobalNonce(), !req.GetForward(), req.GetMaxCount(), defaultLogPage, maxLogPage)
		p.ofLog = true
		filter := filterOf(ctx, v)
		err := p.fill(func(from uint64, limit int) (store.Page, error) {
			return v.log.ReadAll(ctx, store.LogOptions{From: from, Limit: limit, Backward: p.backward, Filter: filter})
		})
		return p.end(ctx, c, err)
	})
	if err != nil {
		return nil, err
	}
	return &eventstorev1.ReadAllResponse{Events: p.events, IsEnd: p.done, NextFromGlobalNonce: p.next}, nil
}

// filterOf returns the filter that the client sends as metadata.
func filterOf(ctx context.Context, v view) store.Filter {
	if !v.known {
		return store.Filter{}
	}
	f := store.Filter{
		StreamTypes: metadata.ValueFromIncomingContext(ctx, wire.MDStreamType),
		EventTypes:  metadata.ValueFromIncomingContext(ctx, wire.MDEventType),
	}
	if prefix := metadata.ValueFromIncomingContext(ctx, wire.MDIDPrefix); len(prefix) > 0 {
		f.IDPrefix = prefix[0]
	}
	return f
}

// pageOut is a page that is assembled from pages of a store.
type pageOut struct {
	view     view
	backward bool
	ofLog    bool // numbers are positions, not versions
	from     uint64
	max      int
	events   []*eventstorev1.EventData
	payload  int // bytes in the payloads of events
	size     int // bytes of events in a message
	head     uint64
	next     uint64
	done     bool
	cut      bool // cut because of its size, with fewer events than requested
}

// newPage returns an empty page from position or version from on. It will have as many
// events as requested, or the default, but at most most.
func newPage(v view, from uint64, backward bool, asked uint32, byDefault, most int) *pageOut {
	p := &pageOut{view: v, backward: backward, from: from, max: min(int(asked), most), done: true}
	if asked == 0 {
		p.max = byDefault
	}
	if !backward {
		p.next = from
	}
	return p
}

// fill reads pages with read until there are enough events, and sets next.
func (p *pageOut) fill(read func(from uint64, limit int) (store.Page, error)) error {
	if p.backward && p.from == 0 {
		return nil // before everything; a store would begin at the head
	}
	from := min(p.from, store.MaxVersion+1)
	for {
		page, err := read(from, p.wanted())
		if err != nil {
			return err
		}
		if !p.backward || p.head == 0 { // backward, new events are not in the page
			p.head = page.Head
		}
		added, err := p.add(page.Events)
		if err != nil {
			return err
		}
		p.done = page.End && added == len(page.Events)
		p.cut = added < len(page.Events)
		if p.done || added < len(page.Events) || len(page.Events) == 0 || len(p.events) >= p.max {
			p.setNext(page, added)
			return nil
		}
		from = page.Next
	}
}

// setNext sets next after this many of the events of page were added.
func (p *pageOut) setNext(page store.Page, added int) {
	switch {
	case p.view.known && added == len(page.Events):
		p.next = page.Next // with a filter it is farther
		if !p.backward {
			p.next = max(p.next, p.from)
		}
	case len(p.events) > 0:
		m := p.events[len(p.events)-1].GetMeta()
		at := m.GetAggregateNonce()
		if p.ofLog {
			at = m.GetGlobalNonce()
		}
		p.next = at + 1
		if p.backward {
			p.next = at - 1
		}
	}
}

// wanted returns how many events to ask the store for next: as many as fit if they are
// as large as the previous ones.
func (p *pageOut) wanted() int {
	room := p.max - len(p.events)
	if len(p.events) == 0 {
		return min(room, firstRead)
	}
	return min(room, 1+(maxPageBytes-p.size)*len(p.events)/p.size)
}

// add adds as many of events as fit, and returns how many.
func (p *pageOut) add(events []store.Recorded) (int, error) {
	for i := range events {
		if events[i].Value != nil {
			return i, errValue(events[i].ID)
		}
		data := wire.FromRecorded(p.view.tenant, &events[i])
		size := 1 + protowire.SizeBytes(proto.Size(data))
		if p.size+size > maxPageBytes && len(p.events) > 0 {
			return i, nil
		}
		p.events = append(p.events, data)
		p.size += size
		p.payload += len(data.GetPayload())
	}
	return len(events), nil
}

// end sets the results of c, and sends the head to the client, unless err is set.
func (p *pageOut) end(ctx context.Context, c *Call, err error) error {
	if err != nil {
		return err
	}
	c.Events, c.Bytes = len(p.events), p.payload
	if p.view.known {
		_ = gogrpc.SetTrailer(ctx, metadata.Pairs(wire.MDHead, strconv.FormatUint(p.head, 10))) // impossible without a connection
	}
	return nil
}
