package server

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"sync"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/internal/wire"
)

const (
	tailEvents = 1024    // maximum number of events in a tail
	tailBytes  = 8 << 20 // maximum number of bytes in their payloads
	batchBytes = 1 << 20 // maximum number of bytes that a subscriber takes at once, plus the last event
	batchSize  = 256     // maximum number of events in a page of the log
)

// tails holds the tails of the tenants that have subscribers.
type tails struct {
	mu    sync.Mutex
	tails map[string]*tail // guarded by mu
}

// tail is the end of a tenant's log, read once for all its subscribers. Subscribers
// that are farther behind than it goes back read the log themselves, so a tail stays
// limited, however slow they are.
type tail struct {
	users  int           // guarded by tails.mu
	cancel func()        // ends the reading
	done   chan struct{} // closed when it has ended

	mu      sync.RWMutex
	start   uint64        // guarded by mu; all events from this position on are in events
	next    uint64        // guarded by mu; the position after events
	head    uint64        // guarded by mu; of the log, at the last read
	end     bool          // guarded by mu; there were no more events then
	events  []*fed        // guarded by mu
	bytes   int           // guarded by mu; in the payloads of events
	changed chan struct{} // guarded by mu; closed at the next change
	err     error         // guarded by mu; why reading has ended
}

// fed is an event, and the message that all subscribers get.
type fed struct {
	event   store.Recorded
	message *eventstorev1.SubscribeResponse
}

func newFed(tenant string, event store.Recorded) *fed {
	f := &fed{event: event}
	f.message = &eventstorev1.SubscribeResponse{Event: wire.FromRecorded(tenant, &f.event)}
	return f
}

// join returns the tail of v's tenant, whose log ends at head or later. The caller must
// leave it.
func (ts *tails) join(v view, head uint64) *tail {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if t, ok := ts.tails[v.tenant]; ok {
		t.users++
		return t
	}
	ctx, cancel := context.WithCancel(context.Background())
	t := &tail{
		users: 1, cancel: cancel, done: make(chan struct{}),
		start: head + 1, next: head + 1, head: head, changed: make(chan struct{}),
	}
	if ts.tails == nil {
		ts.tails = make(map[string]*tail)
	}
	ts.tails[v.tenant] = t
	go t.run(ctx, v)
	return t
}

// leave ends t if nobody else uses it.
func (ts *tails) leave(v view, t *tail) {
	ts.mu.Lock()
	t.users--
	last := t.users == 0
	if last {
		ts.remove(v, t)
	}
	ts.mu.Unlock()
	if last {
		t.cancel()
		<-t.done
	}
}

// broken keeps others from joining t. Its users stay until they leave.
func (ts *tails) broken(v view, t *tail) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.remove(v, t)
}

// remove removes t. The caller holds mu.
func (ts *tails) remove(v view, t *tail) {
	if ts.tails[v.tenant] == t {
		delete(ts.tails, v.tenant)
	}
}

// run reads the log until ctx ends.
func (t *tail) run(ctx context.Context, v view) {
	defer close(t.done)
	err := t.read(ctx, v)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.err = err
	close(t.changed)
}

func (t *tail) read(ctx context.Context, v view) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	for page, err := range v.log.Subscribe(ctx, store.LogOptions{From: t.next, Limit: batchSize}) {
		if err != nil {
			return err
		}
		more := make([]*fed, len(page.Events))
		for i := range page.Events {
			more[i] = newFed(v.tenant, page.Events[i])
		}
		t.add(more, page)
	}
	return fmt.Errorf("the subscription to the log ended without an error: %w", store.ErrClosed)
}

// add adds the events of page, and drops the oldest ones beyond the limits.
func (t *tail) add(events []*fed, page store.Page) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = append(t.events, events...)
	for _, e := range events {
		t.bytes += len(e.event.Data)
	}
	drop := 0
	for ; drop < len(t.events) && (len(t.events)-drop > tailEvents || t.bytes > tailBytes); drop++ {
		t.bytes -= len(t.events[drop].event.Data)
		t.start = t.events[drop].event.Position + 1
	}
	t.events = slices.Delete(t.events, 0, drop)
	t.next, t.head, t.end = page.Next, page.Head, page.End
	close(t.changed)
	t.changed = make(chan struct{})
}

// glimpse is the content of a tail at one moment, as seen from a position.
type glimpse struct {
	behind  bool            // the tail does not go back far enough; the other fields are not set
	events  []*fed          // from the position on, perhaps not all
	next    uint64          // the position after events
	head    uint64          // of the log
	drained bool            // the tail has nothing after events
	end     bool            // and neither has the log
	changed <-chan struct{} // closed when there is more
	err     error           // there will be no more events
}

// from returns the content from position next on.
func (t *tail) from(next uint64) glimpse {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if next < t.start {
		return glimpse{behind: true}
	}
	first := sort.Search(len(t.events), func(i int) bool { return t.events[i].event.Position >= next })
	events, size, n := t.events[first:], 0, 0
	for n < len(events) && size < batchBytes {
		size += len(events[n].event.Data)
		n++
	}
	g := glimpse{events: append([]*fed(nil), events[:n]...), changed: t.changed, head: t.head, err: t.err}
	if n < len(events) {
		g.next = events[n-1].event.Position + 1
		return g
	}
	g.next, g.drained, g.end = max(t.next, next), true, t.end
	return g
}
