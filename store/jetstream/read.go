package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/evolvego/evolve/store"
)

const (
	// maxPage is the maximum number of events in a page.
	maxPage = 1000
	// maxPageData is the number of bytes of data after which a page ends.
	maxPageData = 32 << 20
	// maxSparse limits how sparse a stream may be in the log. Up to this number of
	// messages per event, the servers find the events of a stream faster than this package
	// does by their positions.
	maxSparse = 200
)

// Read is [store.Store.Read]. A page has at most 1,000 events, and ends after 32 MiB of
// data. It includes everything that was appended before the call, unless the store was
// opened with [WithLeaderReads].
func (s *Store) Read(ctx context.Context, stream store.Stream, o store.ReadOptions) (page store.Page, err error) {
	if err := o.Validate(); err != nil {
		return store.Page{}, err
	}
	if err := stream.Validate(); err != nil {
		return store.Page{}, err
	}
	b := s.backend
	err = b.calling(ctx, func(ctx context.Context) error {
		page, err = b.readStream(ctx, b.names.event(s.tenant, stream), o)
		return err
	})
	if err != nil {
		return store.Page{}, err
	}
	for i := range page.Events {
		page.Events[i].Stream = stream
	}
	return page, nil
}

func (b *backend) isMark(m *message) bool {
	var found mark
	return json.Unmarshal(m.data, &found) == nil && found.Log == b.identity
}

// last returns the last message of subject, or nil if there is none.
func (b *backend) last(ctx context.Context, subject string) (*message, error) {
	if b.leaderReads && !b.alone {
		return b.lastOfLeader(ctx, subject)
	}
	least, err := b.fresh(ctx)
	if isFull(err) {
		return b.lastOfLeader(ctx, subject) // a possibly old answer is better than none
	}
	if err != nil {
		return nil, err
	}
	last, _, err := b.snapshot(ctx, []string{subject}, least)
	return last[subject], err
}

// lastOfLeader asks the leader. If the leader does not know what this process has seen
// of the subject, it is no longer the leader.
func (b *backend) lastOfLeader(ctx context.Context, subject string) (m *message, err error) {
	known, _ := b.heads.get(subject)
	err = b.wire.retry(ctx, func(ctx context.Context) (err error) {
		m, err = b.wire.newest(ctx, b.names.stream(), subject)
		if err == nil && positionOf(m) < known.position {
			return b.behind(ctx)
		}
		return err
	})
	return m, err
}

func (b *backend) readStream(ctx context.Context, subject string, o store.ReadOptions) (store.Page, error) {
	m, err := b.last(ctx, subject)
	if err != nil {
		return store.Page{}, err
	}
	if m == nil {
		return pageOf(nil, o, 0), nil
	}
	head, err := m.trail()
	if err != nil {
		return store.Page{}, err
	}
	b.heads.put(subject, &head)
	limit := uint64(maxPage)
	if o.Limit > 0 {
		limit = min(limit, uint64(o.Limit))
	}
	r := &reading{backend: b, subject: subject, head: m, trail: head, backward: o.Backward}
	if o.Backward {
		r.high = head.version
		if o.From > 0 {
			r.high = min(r.high, o.From)
		}
		r.low = max(r.high, limit) - limit + 1
	} else {
		r.low = max(o.From, 1)
		if r.low > head.version {
			return pageOf(nil, o, head.version), nil
		}
		r.high = min(head.version, r.low+limit-1)
	}
	r.room = o.Buffer[:0]
	if n := r.high + 1 - r.low; n > uint64(cap(r.room)) {
		r.room = make([]store.Recorded, 0, n)
	}
	events, err := r.read(ctx)
	if err != nil {
		return store.Page{}, err
	}
	return pageOf(events, o, head.version), nil
}

// pageOf returns a page with these events, for a stream at version head.
func pageOf(events []store.Recorded, o store.ReadOptions, head uint64) store.Page {
	page := store.Page{Events: events, Head: head}
	n := len(events)
	if o.Backward {
		if n > 0 {
			page.Next = events[n-1].Version - 1
		}
		page.End = page.Next == 0
		return page
	}
	page.Next = max(o.From, 1, head+1)
	if n > 0 {
		page.Next = events[n-1].Version + 1
	}
	page.End = page.Next > head
	return page
}

// reading reads the versions low to high of a stream.
type reading struct {
	*backend
	subject   string
	head      *message
	trail     trail // the trail of head
	low, high uint64
	backward  bool
	room      []store.Recorded // empty memory for the events
}

func (r *reading) read(ctx context.Context) ([]store.Recorded, error) {
	if r.low == 1 && !r.backward && r.high > 2*window && (r.trail.position-r.trail.first)/r.trail.version <= maxSparse {
		return r.bySubject(ctx)
	}
	return r.byPosition(ctx)
}

// bySubject lets a replica find the events. It may return fewer, but at least one.
func (r *reading) bySubject(ctx context.Context) (events []store.Recorded, err error) {
	err = r.wire.retry(ctx, func(ctx context.Context) error {
		messages, _, err := r.wire.get(ctx, r.names.stream(), &direct{
			Seq: r.trail.first, Next: r.subject, Batch: int(r.high), MaxBytes: maxPageData, //nolint:gosec // at most maxPage
		})
		if err != nil {
			return err
		}
		events = r.room
		for _, m := range messages {
			e, err := m.recorded()
			if err != nil {
				return err
			}
			if e.Version != uint64(len(events))+1 || e.Version > r.high {
				break
			}
			events = append(events, *e)
		}
		if len(events) == 0 {
			return errBehind
		}
		return nil
	})
	return events, err
}

// byPosition goes backward from the head, window by window.
func (r *reading) byPosition(ctx context.Context) ([]store.Recorded, error) {
	events := r.room // newest first
	at, t, size := r.head, r.trail, 0
	for next := r.high; next >= r.low; {
		var err error
		if at, t, err = r.stepTo(ctx, at, t, next); err != nil {
			return nil, err
		}
		messages, err := r.window(ctx, at, &t, next)
		if err != nil {
			return nil, err
		}
		for _, m := range messages {
			e, err := m.recorded()
			if err != nil {
				return nil, err
			}
			if e.Version != next || m.subject != r.subject {
				return nil, damaged("event at position " + e.Stream.String() + " is not where the event after it says")
			}
			events, next, size = append(events, *e), next-1, size+len(e.Data)
			if r.backward && size >= maxPageData {
				return events, nil
			}
		}
		if !r.backward {
			events, size = lowest(events, size)
		}
		if at = messages[len(messages)-1]; next >= r.low {
			if t, err = at.trail(); err != nil {
				return nil, err
			}
		}
	}
	if !r.backward {
		slices.Reverse(events)
	}
	return events, nil
}

// lowest returns those of events that fit into a page; the first of events is the
// newest.
func lowest(events []store.Recorded, size int) ([]store.Recorded, int) {
	drop := 0
	for size-len(events[drop].Data) >= maxPageData && drop < len(events)-1 {
		size -= len(events[drop].Data)
		drop++
	}
	return slices.Delete(events, 0, drop), size
}

// stepTo goes backward from message at, with trail t, to a message whose trail knows
// version.
func (r *reading) stepTo(ctx context.Context, at *message, t trail, version uint64) (*message, trail, error) {
	for {
		if _, ok := t.at(version); ok {
			return at, t, nil
		}
		_, position := t.above(version)
		m, err := r.wire.at(ctx, r.names.stream(), position)
		if err != nil {
			return nil, trail{}, err
		}
		next, err := m.trail()
		if err != nil {
			return nil, trail{}, err
		}
		if next.version >= t.version {
			return nil, trail{}, damaged("positions of earlier events that do not lead back")
		}
		at, t = m, next
	}
}

// window returns the messages of version high and of those consecutive versions before
// it that t knows. t is the trail of at.
func (r *reading) window(ctx context.Context, at *message, t *trail, high uint64) ([]*message, error) {
	var positions []uint64
	var messages []*message
	if high == t.version {
		messages = append(messages, at)
		high--
	}
	for v := high; v >= r.low && len(positions) < window; v-- {
		position, ok := t.at(v)
		if !ok {
			break
		}
		positions = append(positions, position)
	}
	if len(positions) == 0 {
		return messages, nil
	}
	more, err := r.fetch(ctx, positions)
	if err != nil {
		return nil, err
	}
	if len(more) == 0 {
		return nil, errors.New("jetstream: no events")
	}
	return append(messages, more...), nil
}
