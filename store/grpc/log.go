package grpc

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/grpc/metadata"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/internal/wire"
)

// maxScan is the maximum number of pages of a server without filters that are examined
// for one of our pages.
const maxScan = 8

// Head is [store.Log.Head]. The error matches [errors.ErrUnsupported] if the server has no
// ReadAll.
func (s *Store) Head(ctx context.Context) (uint64, error) {
	if err := s.client.begin(); err != nil {
		return 0, err
	}
	defer s.client.running.Done()
	return s.logHead(ctx)
}

// logHead returns the position of the last event.
func (s *Store) logHead(ctx context.Context) (uint64, error) {
	p, err := s.logPart(ctx, newest, 1, store.LogOptions{Backward: true})
	return p.events.last(positionOf), err
}

// ReadAll is [store.Log.ReadAll]. A page has at most [PageSize] events, and the server
// may send fewer. If the server does not support filters, all events are transferred,
// and one page is made from at most eight pages of the server. The error matches
// [errors.ErrUnsupported] if the server has no ReadAll.
func (s *Store) ReadAll(ctx context.Context, o store.LogOptions) (store.Page, error) {
	if err := o.Validate(); err != nil {
		return store.Page{}, err
	}
	if err := s.client.begin(); err != nil {
		return store.Page{}, err
	}
	defer s.client.running.Done()
	c := &scan{o: o, limit: s.client.limit(o.Limit), at: max(o.From, 1)}
	if o.Backward {
		c.at = backwardFrom(o.From)
		return s.logBackward(ctx, c)
	}
	return s.logForward(ctx, c)
}

func (s *Store) logForward(ctx context.Context, c *scan) (store.Page, error) {
	from := c.at
	for range rereads {
		p, err := s.scan(ctx, c)
		if err != nil {
			return store.Page{}, err
		}
		next, end := c.at, c.whole && p.end
		switch {
		case p.headKnown:
			if c.whole {
				next = max(next, p.next)
			}
		case end && len(p.events) > 0:
			p.head = c.at - 1
		default:
			if p.head, err = s.logHead(ctx); err != nil {
				return store.Page{}, err
			}
			if c.at > from {
				p.head = max(p.head, c.at-1)
			}
			end = c.whole && p.head < c.at
		}
		if end || next > from {
			return store.Page{Events: c.events, Head: p.head, Next: next, End: end}, nil
		}
	}
	return store.Page{}, s.noProgress(fmt.Sprintf("read the log from position %d", from))
}

func (s *Store) logBackward(ctx context.Context, c *scan) (store.Page, error) {
	from := c.at
	p, err := s.scan(ctx, c)
	if err != nil {
		return store.Page{}, err
	}
	page := store.Page{Events: c.events, Head: p.head, Next: c.at, End: c.whole && p.end}
	switch {
	case p.headKnown:
		if c.whole {
			page.Next = min(page.Next, p.next)
		}
	default:
		if page.Head = c.first; from != newest {
			if page.Head, err = s.logHead(ctx); err != nil {
				return store.Page{}, err
			}
			page.Head = max(page.Head, c.first)
		}
		if page.End, err = s.ended(ctx, c, &p); err != nil {
			return store.Page{}, err
		}
	}
	if page.End {
		page.Next = 0
	}
	return page, nil
}

// ended reports whether there is nothing before the current position of c, whose last
// page was p. A server can be trusted if it says so, but not if it does not.
func (s *Store) ended(ctx context.Context, c *scan, p *part) (bool, error) {
	switch {
	case !c.whole:
		return false, nil
	case p.end, len(p.events) == 0, c.at == 0:
		return true, nil
	}
	before, err := s.logPart(ctx, c.at, 1, store.LogOptions{Backward: true})
	return len(before.events) == 0, err
}

// scan is a page of the log that is being collected.
type scan struct {
	o      store.LogOptions
	limit  int
	at     uint64 // the next number to examine
	first  uint64 // the position of the first examined event
	whole  bool   // the server's last page was examined completely
	events []store.Recorded
}

// scan takes pages of the server from c.at on until c is complete, and returns the last
// one. If the server is ours, one page is enough.
func (s *Store) scan(ctx context.Context, c *scan) (part, error) {
	ask := c.limit
	if !s.client.ours.Load() && !isAll(&c.o.Filter) {
		ask = s.client.page
	}
	for pages := 1; ; pages++ {
		p, err := s.logPart(ctx, c.at, ask, c.o)
		if err != nil {
			return part{}, err
		}
		if c.first == 0 && len(p.events) > 0 {
			c.first = p.events[0].Position
		}
		c.whole = c.take(p.events)
		if p.headKnown || !c.whole || p.end || len(p.events) == 0 || len(c.events) == c.limit || pages == maxScan || c.at == 0 {
			return p, nil
		}
	}
}

// take examines events until c is complete, and reports whether it has examined all of
// them.
func (c *scan) take(events []store.Recorded) bool {
	c.events = slices.Grow(c.events, min(len(events), c.limit-len(c.events)))
	for i := range events {
		e := &events[i]
		if c.o.Filter.Matches(e) {
			if len(c.events) == c.limit {
				return false
			}
			c.events = append(c.events, *e)
		}
		c.at = step(e.Position, !c.o.Backward)
	}
	return true
}

func isAll(f *store.Filter) bool {
	return len(f.StreamTypes) == 0 && f.IDPrefix == "" && len(f.EventTypes) == 0
}

// filterMetadata returns f as metadata for a server of this package.
func filterMetadata(f *store.Filter) []string {
	var md []string
	for _, t := range f.StreamTypes {
		md = append(md, wire.MDStreamType, t)
	}
	for _, t := range f.EventTypes {
		md = append(md, wire.MDEventType, t)
	}
	if f.IDPrefix != "" {
		md = append(md, wire.MDIDPrefix, f.IDPrefix)
	}
	return md
}

// logPart reads a page of the log from position from on. Only a server of this package
// uses the filter of o.
func (s *Store) logPart(ctx context.Context, from uint64, limit int, o store.LogOptions) (part, error) {
	calling := outgoing(ctx, filterMetadata(&o.Filter)...)
	var p part
	resp, trailer, err := halving(limit, func(limit uint32) (*eventstorev1.ReadAllResponse, metadata.MD, error) {
		return ask(calling, s.client, s.client.api.ReadAll, &eventstorev1.ReadAllRequest{
			TenantId: s.tenant, FromGlobalNonce: reachable(from, !o.Backward), MaxCount: limit, Forward: !o.Backward,
		})
	})
	if err != nil {
		return p, callError(ctx, "read the log", err)
	}
	p.setHead(s.client, trailer)
	p.end, p.next = resp.GetIsEnd(), resp.GetNextFromGlobalNonce()
	if p.events, err = p.events.decode(resp.GetEvents(), from, limit, !o.Backward, positionOf); err != nil {
		return p, fmt.Errorf("store/grpc: read the log: %w", err)
	}
	if len(resp.GetEvents()) > limit { // decode has left some out
		p.end, p.next = false, step(p.events.last(positionOf), !o.Backward)
	}
	return p, nil
}
