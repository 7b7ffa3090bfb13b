package jetstream

import (
	"context"
	"slices"
	"strings"

	"github.com/evolvego/evolve/store"
)

const (
	// maxScan is the maximum number of messages of the log that are examined for a page
	// with a filter, or in a log of many tenants, so that it returns in bounded time.
	maxScan = 8192
	// maxRaw is the maximum number of messages in one request.
	maxRaw = 2000
	// maxRawData is the number of bytes after which a server ends its answer.
	maxRawData = 8 << 20
)

// Head is [store.Log.Head]. It returns what the leader of the log reports, and never
// less than what this process has seen. A server that was cut off from the others may
// believe that it is the leader for up to 20 seconds, and lack the last events.
func (s *Store) Head(ctx context.Context) (head uint64, err error) {
	b := s.backend
	err = b.calling(ctx, func(ctx context.Context) error {
		head, err = b.logHead(ctx, s.tenant)
		return err
	})
	return head, err
}

// logHead returns the position of the last event of tenant.
func (b *backend) logHead(ctx context.Context, tenant string) (head uint64, err error) {
	of := b.names.of(tenant)
	known := b.most.Load()
	err = b.wire.retry(ctx, func(ctx context.Context) error {
		m, err := b.wire.newest(ctx, b.names.stream(), ">") // faster than the code below
		if err == nil && (m == nil || !strings.HasPrefix(m.subject, of)) {
			if m != nil && m.position < known {
				return b.behind(ctx)
			}
			m, err = b.wire.newest(ctx, b.names.stream(), of+">")
		} else if err == nil && m.position < known {
			return b.behind(ctx)
		}
		head = positionOf(m)
		return err
	})
	return head, err
}

// ReadAll is [store.Log.ReadAll]. A page has at most 1,000 events and ends after 32 MiB
// of data. With a filter, or in a log of many tenants, it examines at most 8,192
// messages. It can be as old as the result of [Store.Head].
func (s *Store) ReadAll(ctx context.Context, o store.LogOptions) (page store.Page, err error) {
	err = s.backend.calling(ctx, func(ctx context.Context) error {
		page, err = s.readLog(ctx, o)
		return err
	})
	if err != nil {
		return store.Page{}, err
	}
	return page, nil
}

func (s *Store) readLog(ctx context.Context, o store.LogOptions) (store.Page, error) {
	if err := o.Validate(); err != nil {
		return store.Page{}, err
	}
	head, err := s.backend.logHead(ctx, s.tenant)
	if err != nil {
		return store.Page{}, err
	}
	sc := &scan{backend: s.backend, of: s.backend.names.of(s.tenant), filter: &o.Filter, head: head, limit: maxPage}
	if o.Limit > 0 {
		sc.limit = min(sc.limit, o.Limit)
	}
	if o.Backward {
		return sc.backward(ctx, o.From, s.tenant)
	}
	return sc.forward(ctx, o.From)
}

// scan reads a page of the log.
type scan struct {
	*backend
	of     string // the prefix of the subjects of the tenant's events
	filter *store.Filter
	head   uint64
	limit  int

	events []store.Recorded
	data   int
	seen   int // number of examined messages
}

// matching returns the event in m, or nil if the page does not include it.
func (s *scan) matching(m *message) (*store.Recorded, error) {
	if !strings.HasPrefix(m.subject, s.of) {
		return nil, nil //nolint:nilnil // there is none
	}
	e, err := m.recorded()
	if err != nil || !s.filter.Matches(e) {
		return nil, err
	}
	return e, nil
}

// raw returns between 1 and n messages from position from on. There must be at least
// one.
func (s *scan) raw(ctx context.Context, from uint64, n int) (messages []*message, err error) {
	err = s.wire.retry(ctx, func(ctx context.Context) error {
		messages, _, err = s.wire.get(ctx, s.names.stream(), &direct{Seq: from, Batch: n, MaxBytes: maxRawData})
		if err == nil && len(messages) == 0 {
			return errBehind
		}
		return err
	})
	return messages, err
}

// forward reads the page that begins at from.
func (s *scan) forward(ctx context.Context, from uint64) (store.Page, error) {
	next := max(from, 1)
	for next <= s.head && len(s.events) < s.limit && s.data < maxPageData && (s.seen < maxScan || s.isBare()) {
		messages, err := s.raw(ctx, next, min(2*(s.limit-len(s.events))+window, maxRaw))
		if err != nil {
			return store.Page{}, err
		}
		for _, m := range messages {
			if m.position > s.head || len(s.events) == s.limit || s.data >= maxPageData {
				break
			}
			e, err := s.matching(m)
			if err != nil {
				return store.Page{}, err
			}
			if e != nil {
				s.events, s.data = append(s.events, *e), s.data+len(e.Data)
			}
			s.seen++
			next = m.position + 1
		}
		if messages[0].position > s.head {
			next = s.head + 1
		}
	}
	page := store.Page{Events: s.events, Head: s.head, Next: next}
	if next > s.head {
		page.Next, page.End = max(from, 1, s.head+1), true
	}
	return page, nil
}

// isBare reports whether the page has no events although it must have one, because
// there is no filter.
func (s *scan) isBare() bool {
	return len(s.events) == 0 && len(s.filter.StreamTypes) == 0 && len(s.filter.EventTypes) == 0 && s.filter.IDPrefix == ""
}

// backward reads the page that begins at from and goes backward.
func (s *scan) backward(ctx context.Context, from uint64, tenant string) (store.Page, error) {
	page := store.Page{Head: s.head, End: true}
	if s.head == 0 {
		return page, nil
	}
	high := s.head
	if from > 0 {
		high = min(high, from)
	}
	first, err := s.first(ctx, tenant)
	if err != nil {
		return store.Page{}, err
	}
	width := uint64(2*min(s.limit, maxPage/4) + window) //nolint:gosec // not negative
	for high >= first && len(s.events) < s.limit && s.data < maxPageData && (s.seen < maxScan || s.isBare()) {
		low := max(first, max(high, width)-width+1)
		found, err := s.between(ctx, low, high)
		if err != nil {
			return store.Page{}, err
		}
		high = low - 1
		for _, e := range slices.Backward(found) {
			s.events, s.data = append(s.events, *e), s.data+len(e.Data)
			if len(s.events) == s.limit || s.data >= maxPageData {
				high = e.Position - 1
				break
			}
		}
		width = min(4*width, maxScan)
	}
	page.Events = s.events
	if high >= first {
		page.Next, page.End = high, false
	}
	return page, nil
}

// between returns the matching messages at the positions low to high. The log must have
// a message at high or after it, because only such a message shows that a replica is
// not behind. If there are more than fit into a page, between returns the last ones.
func (s *scan) between(ctx context.Context, low, high uint64) (found []*store.Recorded, err error) {
	size := 0
	for low <= high {
		messages, err := s.raw(ctx, low, int(min(high-low+1, maxRaw)))
		if err != nil {
			return nil, err
		}
		for _, m := range messages {
			low = m.position + 1
			if m.position > high {
				break
			}
			s.seen++
			e, err := s.matching(m)
			if err != nil {
				return nil, err
			}
			if e != nil {
				found, size = append(found, e), size+len(e.Data)
			}
			for len(found) > 0 && size-len(found[0].Data) >= maxPageData { // more than fit into a page
				size -= len(found[0].Data)
				found = slices.Delete(found, 0, 1)
			}
		}
	}
	return found, nil
}

// first returns the position of the first event of tenant, which must have one.
func (s *scan) first(ctx context.Context, tenant string) (uint64, error) {
	seen, _ := s.firstSeen.Load(tenant)
	if position, ok := seen.(uint64); ok {
		return position, nil
	}
	var position uint64
	err := s.wire.retry(ctx, func(ctx context.Context) error {
		messages, _, err := s.wire.get(ctx, s.names.stream(), &direct{Seq: 1, Next: s.of + ">"})
		if err == nil && len(messages) == 0 {
			return errBehind
		}
		if err == nil {
			position = messages[0].position
		}
		return err
	})
	if err == nil {
		s.firstSeen.Store(tenant, position)
	}
	return position, err
}
