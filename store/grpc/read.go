package grpc

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"strconv"

	"google.golang.org/grpc/metadata"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/internal/wire"
)

const (
	// newest is the start of a backward page that begins at the head, on every server:
	// some take larger numbers for negative ones.
	newest uint64 = math.MaxInt64
	// rereads is how often a read is repeated if it returns an empty page below a head,
	// because the stream has grown in between.
	rereads = 5
)

// Read is [store.Store.Read]. A page has at most [PageSize] events, and the server may
// send fewer. If the server does not distinguish stream types and the id belongs to a
// stream of another type, the error is an *[store.InvalidError] about stream.type.
func (s *Store) Read(ctx context.Context, stream store.Stream, o store.ReadOptions) (store.Page, error) {
	if err := o.Validate(); err != nil {
		return store.Page{}, err
	}
	if err := stream.Validate(); err != nil {
		return store.Page{}, err
	}
	if err := s.client.begin(); err != nil {
		return store.Page{}, err
	}
	defer s.client.running.Done()
	o.Limit = s.client.limit(o.Limit)
	if o.Backward {
		return s.readBackward(ctx, stream, o)
	}
	return s.readForward(ctx, stream, o)
}

func (s *Store) readForward(ctx context.Context, stream store.Stream, o store.ReadOptions) (store.Page, error) {
	o.From = max(o.From, 1)
	from := o.From
	for range rereads {
		part, err := s.readPart(ctx, stream, o)
		if err != nil {
			return store.Page{}, err
		}
		next := from + uint64(len(part.events))
		switch {
		case part.headKnown:
		case part.end && len(part.events) > 0:
			part.head = next - 1
		default:
			if part.head, err = s.streamHead(ctx, stream); err != nil {
				return store.Page{}, err
			}
			part.head = max(part.head, part.events.last(versionOf))
		}
		if len(part.events) > 0 || part.head < from {
			return store.Page{Events: part.events, Head: part.head, Next: next, End: part.head < next}, nil
		}
	}
	return store.Page{}, s.noProgress(fmt.Sprintf("read %s from version %d", stream, from))
}

func (s *Store) readBackward(ctx context.Context, stream store.Stream, o store.ReadOptions) (store.Page, error) {
	o.From = backwardFrom(o.From)
	part, err := s.readPart(ctx, stream, o)
	if err != nil || len(part.events) == 0 {
		return store.Page{Head: part.head, End: true}, err
	}
	switch first := part.events[0].Version; {
	case first < o.From:
		part.head = first
	case part.headKnown:
	default:
		if part.head, err = s.streamHead(ctx, stream); err != nil {
			return store.Page{}, err
		}
		part.head = max(part.head, first)
	}
	next := part.events.last(versionOf) - 1
	return store.Page{Events: part.events, Head: part.head, Next: next, End: next == 0}, nil
}

// streamHead returns the version of stream.
func (s *Store) streamHead(ctx context.Context, stream store.Stream) (uint64, error) {
	part, err := s.readPart(ctx, stream, store.ReadOptions{From: newest, Limit: 1, Backward: true})
	if err != nil || len(part.events) == 0 {
		return 0, err
	}
	return part.events[0].Version, nil
}

// limit returns the number of events to request for the caller's limit.
func (c *client) limit(limit int) int {
	if limit == 0 {
		limit = store.DefaultLimit
	}
	return min(limit, c.page)
}

func (s *Store) noProgress(what string) error {
	return fmt.Errorf("store/grpc: %s: the page is empty, but there are events: %w", what, wire.ErrProtocol)
}

// part is the checked answer of a server to a read.
type part struct {
	events    events
	end       bool   // the server says that there are no more events
	next      uint64 // the server's Next, for a filter that it supports
	head      uint64
	headKnown bool // the server is ours: head, next and end can be trusted
}

type events []store.Recorded

// last returns the number of the last event, or 0 if there is none.
func (e events) last(number func(*store.Recorded) uint64) uint64 {
	if len(e) == 0 {
		return 0
	}
	return number(&e[len(e)-1])
}

func versionOf(e *store.Recorded) uint64 { return e.Version }

func positionOf(e *store.Recorded) uint64 { return e.Position }

// setHead takes the head from the trailer, if it is there.
func (p *part) setHead(c *client, trailer metadata.MD) {
	for _, value := range trailer.Get(wire.MDHead) {
		if head, err := strconv.ParseUint(value, 10, 64); err == nil {
			p.head, p.headKnown = head, true
			c.ours.Store(true)
		}
	}
}

// readPart reads a page of stream, whose versions have no gaps. The From and Limit of o must
// not be 0. The events are in its Buffer, if there is room.
func (s *Store) readPart(ctx context.Context, stream store.Stream, o store.ReadOptions) (part, error) {
	what := fmt.Sprintf("read %s", stream)
	calling := outgoing(ctx, wire.MDAggregateType, stream.Type)
	from, limit, forward := o.From, o.Limit, !o.Backward
	p := part{events: o.Buffer[:0]}
	resp, trailer, err := halving(limit, func(limit uint32) (*eventstorev1.ReadStreamResponse, metadata.MD, error) {
		return ask(calling, s.client, s.client.api.ReadStream, &eventstorev1.ReadStreamRequest{
			TenantId: s.tenant, AggregateId: stream.ID, FromAggregateNonce: reachable(from, forward), MaxCount: limit, Forward: forward,
		})
	})
	if err != nil {
		return p, callError(ctx, what, err)
	}
	p.setHead(s.client, trailer)
	p.end = resp.GetIsEnd()
	p.events, err = p.events.decode(resp.GetEvents(), from, limit, forward, versionOf)
	if len(resp.GetEvents()) > limit { // decode has left some out
		p.end = false
	}
	for i := range p.events {
		e := &p.events[i]
		switch {
		case err != nil:
		case e.Stream.ID != stream.ID:
			err = fmt.Errorf("got an event of %s: %w", e.Stream, wire.ErrProtocol)
		case e.Stream.Type != stream.Type:
			return p, &store.InvalidError{Field: "stream.type", Reason: fmt.Sprintf("is %q, but on this server id %q is of type %q", stream.Type, stream.ID, e.Stream.Type)}
		case i > 0 && e.Version != step(p.events[i-1].Version, forward), i == 0 && forward && e.Version != from:
			err = fmt.Errorf("version %d is event %d of the page from %d: %w", e.Version, i+1, from, wire.ErrProtocol)
		}
	}
	if err != nil {
		return p, fmt.Errorf("store/grpc: %s: %w", what, err)
	}
	return p, nil
}

// reachable returns from. If from is so large that some servers take it for a negative
// number, it returns an equivalent number: forward there is nothing, and backward
// nobody needs more than newest.
func reachable(from uint64, forward bool) uint64 {
	if forward {
		return min(from, store.MaxVersion)
	}
	return from
}

// backwardFrom returns from, the start of a backward page, as a number for a server: 0, and
// whatever servers might take for a negative number, is the head.
func backwardFrom(from uint64) uint64 { return min(cmp.Or(from, newest), newest) }

// step returns the number after version in reading order.
func step(version uint64, forward bool) uint64 {
	if forward {
		return version + 1
	}
	return version - 1
}

// halving requests up to limit events, and half as many as long as the answer is too
// large.
func halving[Resp any](limit int, ask func(limit uint32) (Resp, metadata.MD, error)) (Resp, metadata.MD, error) {
	for n := uint32(min(limit, math.MaxInt32)); ; n = (n + 1) / 2 { //nolint:gosec // limit is not negative
		resp, trailer, err := ask(n)
		if n == 1 || !tooLarge(err) {
			return resp, trailer, err
		}
	}
}

// decode returns the new events of a page that was requested from from on, because some
// servers begin pages earlier. They are in the memory of e, which is empty, if there is
// room. decode returns an error if the events are out of order, and drops events beyond
// limit.
func (e events) decode(
	sent []*eventstorev1.EventData, from uint64, limit int, forward bool, number func(*store.Recorded) uint64,
) (events, error) {
	if n := min(len(sent), limit); n > cap(e) {
		e = make(events, 0, n)
	}
	for _, data := range sent {
		r, err := wire.ToRecorded(data)
		if err != nil {
			return nil, err
		}
		n := number(&r)
		if len(e) == 0 && (forward && n < from || !forward && n > from) {
			continue
		}
		if last := e.last(number); len(e) > 0 && (forward && n <= last || !forward && n >= last) {
			return nil, fmt.Errorf("%d comes after %d in a page: %w", n, last, wire.ErrProtocol)
		}
		if len(e) == limit {
			break
		}
		e = append(e, r)
	}
	return e, nil
}
