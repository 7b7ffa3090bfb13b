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
	// far is how many messages of the log a subscription is behind when a server sends them
	// to it, which is several times as fast as asking for pages.
	far = 10_000
	// maxFilters is of how many types of streams the server sends only the events.
	maxFilters = 16
	// silence is how long a subscription waits for a server that sends.
	silence = time.Second
)

// catchUp yields what the log has after the last page, in pages, as a consumer of NATS sends
// it, and returns false if the loop is to end. It may stop anywhere, and then the loop goes on
// page by page. A consumer sends what one of the servers has, in order and without gaps.
func (s *subscription) catchUp(ctx context.Context, head uint64, yield func(store.Page, error) bool) (more bool) {
	b := s.store.backend
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.life, cancel)() //nolint:contextcheck // it ends when either does
	s.pages = true                            // unless a page comes
	c, err := s.consume(ctx)
	if err != nil {
		return true // it may not be allowed: never mind
	}
	defer c.stop(ctx)
	for err == nil {
		var page store.Page
		page, err = c.page(ctx, s.o.From, head)
		if b.nc.Stats().Reconnects != s.reconnects {
			return true // it may be another log, and what was sent is of no use
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

// turn notes that page is the next one.
func (s *subscription) turn(page *store.Page) {
	s.o.From, s.ended = page.Next, page.End
	if n := len(page.Events); n > 0 {
		s.last = store.Checkpoint{Position: page.Events[n-1].Position, EventID: page.Events[n-1].ID}
	}
}

// consumer is one of NATS, that keeps nothing on a disk and ends soon after it is used no more.
type consumer struct {
	*backend
	of       string // what the subjects of the events of the tenant begin with
	o        store.LogOptions
	sparse   bool // much is not asked for
	name     string
	js       jetstream.JetStream
	messages jetstream.MessagesContext
	empty    bool   // the server had nothing to send
	sequence uint64 // of the last message, among those that were sent
	barrier  uint64 // position of the message after which all that is asked for was sent, 0 if there is none yet
}

// consume makes a consumer of what o asks for.
func (s *subscription) consume(ctx context.Context) (*consumer, error) {
	b := s.store.backend
	ctx, cancel := context.WithTimeout(ctx, answerIn)
	defer cancel()
	if _, _, err := b.snapshot(ctx, nil, 0); err != nil { // that it is the log that was opened
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

// filters returns the subjects of what is sent: the events of the tenant, or those of the
// types that are asked for. If those are few, barriers are sent too, to get past the others;
// a server takes longer to look for several subjects.
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
	_ = c.js.DeleteConsumer(ctx, c.names.stream(), c.name) // or it ends by itself
}

// errCaughtUp: all that is asked for was sent.
var errCaughtUp = errors.New("caught up")

// mark is called when the server has nothing more to send. It may be behind, so a barrier is
// written: whatever the log had before was sent when that is.
func (c *consumer) mark(ctx context.Context) (err error) {
	if !c.sparse {
		return errCaughtUp
	}
	c.empty = false
	c.barrier, err = c.writeBarrier(ctx)
	return err
}

// page returns the page that begins at position from. With an error it is the last one.
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

// next returns the next message, and how many the server had then after it.
func (c *consumer) next(ctx context.Context) (m *message, pending uint64, err error) {
	if c.barrier > 0 { // which is kept for some seconds only
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
		return nil, 0, fmt.Errorf("message %d came instead of %d", meta.Sequence.Consumer, c.sequence)
	}
	return &message{sent.Subject(), meta.Sequence.Stream, meta.Timestamp.UTC(), sent.Headers(), sent.Data()}, meta.NumPending, nil
}
