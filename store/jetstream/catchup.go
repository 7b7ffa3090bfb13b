package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/evolvego/evolve/store"
)

const (
	// far is the number of messages of the log that a subscription must be behind so that
	// a server sends them, which is several times as fast as requesting pages.
	far = 10_000
	// maxFilters is the maximum number of stream types for which the server filters the
	// events.
	maxFilters = 16
	// silence is how long a subscription waits for the server that sends.
	silence = time.Second
)

// catchUp yields the events after the last page, in pages, as a consumer of NATS sends
// them. It returns false if the loop must end. It may stop anywhere, and then the loop
// continues page by page. A consumer sends what one of the servers has, in order and
// without gaps.
func (s *subscription) catchUp(ctx context.Context, head uint64, yield func(store.Page, error) bool) (more bool) {
	b := s.store.backend
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.life, cancel)() //nolint:contextcheck // it ends when either does
	s.pages = true                            // unless a page arrives
	c, err := s.consume(ctx)
	if err != nil {
		return true // the user may lack the permission, which is no problem
	}
	defer c.stop(ctx)
	for err == nil {
		var page store.Page
		page, err = c.page(ctx, s.o.From, head)
		if b.nc.Stats().Reconnects != s.reconnects {
			return true // it may be another log, so discard what was sent
		}
		if page.Next > s.o.From {
			s.pages = false
			s.turn(&page)
			if !yield(page, nil) {
				return false
			}
		}
	}
	if errors.Is(err, errCaughtUp) && !c.sparse && head > s.o.From+far {
		s.sparse, s.pages = true, false
	}
	return true
}

// turn makes page the last page so far.
func (s *subscription) turn(page *store.Page) {
	s.o.From, s.ended = page.Next, page.End
	if n := len(page.Events); n > 0 {
		s.last = store.Checkpoint{Position: page.Events[n-1].Position, EventID: page.Events[n-1].ID}
	}
}

// consumer is a consumer of NATS. It keeps nothing on a disk and ends soon after its
// last use.
type consumer struct {
	*backend
	of       string // the prefix of the subjects of the tenant's events
	o        store.LogOptions
	sparse   bool // most of the log does not match
	name     string
	js       jetstream.JetStream
	messages jetstream.MessagesContext
	empty    bool   // the server had nothing to send
	sequence uint64 // of the last message, among those that were sent
	barrier  uint64 // position of the message after which all matching events have been sent, 0 if there is none yet
}

// consume creates a consumer for the events that o selects.
func (s *subscription) consume(ctx context.Context) (*consumer, error) {
	b := s.store.backend
	ctx, cancel := context.WithTimeout(ctx, answerIn)
	defer cancel()
	if _, _, err := b.snapshot(ctx, nil, 0); err != nil { // checks that it is the log that was opened
		return nil, err
	}
	js, err := jetstream.New(b.nc)
	if err != nil {
		return nil, err
	}
	types := len(s.o.Filter.StreamTypes)
	c := &consumer{backend: b, of: b.names.of(s.store.tenant), o: s.o, js: js, sparse: s.sparse || types > 0 && types <= maxFilters}
	made, err := js.CreateConsumer(ctx, b.names.stream(), jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(s.o.From, 1),
		AckPolicy: jetstream.AckNonePolicy, FilterSubjects: c.filters(),
		MemoryStorage: true, Replicas: 1, InactiveThreshold: 10 * silence,
	})
	if err != nil {
		return nil, err
	}
	c.name = made.CachedInfo().Name
	const ahead = 2000
	c.messages, err = made.Messages(
		jetstream.PullMaxMessagesWithBytesLimit(ahead, int(max(maxRawData, 2*b.nc.MaxPayload()))), jetstream.PullHeartbeat(silence))
	if err != nil {
		c.stop(ctx)
		return nil, err
	}
	c.empty = made.CachedInfo().NumPending == 0
	return c, nil
}

// filters returns the subjects to send: the events of the tenant, or those of the types
// in the filter. If they are few, barriers are sent too, to get past the others; a
// server needs longer to search for several subjects.
func (c *consumer) filters() []string {
	if !c.sparse {
		return []string{c.of + ">"}
	}
	filters := []string{c.names.barrier()}
	if n := len(c.o.Filter.StreamTypes); n == 0 || n > maxFilters {
		return append(filters, c.of+">")
	}
	for _, typ := range c.o.Filter.StreamTypes {
		filters = append(filters, c.of+token(typ)+".>")
	}
	slices.Sort(filters)
	return slices.Compact(filters)
}

func (c *consumer) stop(ctx context.Context) {
	if c.messages != nil {
		c.messages.Stop()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), silence)
	defer cancel()
	_ = c.js.DeleteConsumer(ctx, c.names.stream(), c.name) // otherwise it ends by itself
}

// errCaughtUp means that all matching events have been sent.
var errCaughtUp = errors.New("caught up")

// mark is called when the server has nothing more to send. The server may be behind, so
// mark writes a barrier: when the barrier is sent, everything before it has been sent
// too.
func (c *consumer) mark(ctx context.Context) (err error) {
	if !c.sparse {
		return errCaughtUp
	}
	c.empty = false
	c.barrier, err = c.writeBarrier(ctx)
	return err
}

// page returns the page that begins at position from. If it returns an error, the page
// is the last one.
func (c *consumer) page(ctx context.Context, from, head uint64) (store.Page, error) {
	page := store.Page{Next: from, Head: head}
	if c.empty {
		if err := c.mark(ctx); err != nil {
			return page, err
		}
	}
	for size, seen := 0, 0; len(page.Events) < c.o.Limit && size < maxPageData && seen < maxScan; seen++ {
		m, pending, err := c.next(ctx)
		if err != nil {
			return page, err
		}
		if strings.HasPrefix(m.subject, c.of) {
			e, err := m.recorded()
			if err != nil {
				return page, err
			}
			page.Head = max(page.Head, m.position)
			if c.o.Filter.Matches(e) {
				page.Events, size = append(page.Events, *e), size+len(e.Data)
			}
		}
		page.Next = max(page.Next, min(m.position, page.Head)+1) // a barrier may be after the last event
		switch {
		case c.barrier > 0 && m.position >= c.barrier:
			return page, errCaughtUp
		case c.barrier == 0 && pending == 0:
			if err := c.mark(ctx); err != nil {
				return page, err
			}
		}
	}
	return page, nil
}

// next returns the next message, and the number of messages that the server had after
// it.
func (c *consumer) next(ctx context.Context) (m *message, pending uint64, err error) {
	if c.barrier > 0 { // the barrier is kept for only a few seconds
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, answerIn)
		defer cancel()
	}
	sent, err := c.messages.Next(jetstream.NextContext(ctx))
	if err != nil {
		return nil, 0, err
	}
	meta, err := sent.Metadata()
	if err != nil {
		return nil, 0, err
	}
	if c.sequence++; meta.Sequence.Consumer != c.sequence {
		return nil, 0, fmt.Errorf("message %d arrived instead of %d", meta.Sequence.Consumer, c.sequence)
	}
	return &message{sent.Subject(), meta.Sequence.Stream, meta.Timestamp.UTC(), sent.Headers(), sent.Data()}, meta.NumPending, nil
}
