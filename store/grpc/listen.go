package grpc

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/internal/wire"
)

const (
	// quietAfter is how long a server must be quiet until the client assumes that it has
	// sent everything, if it is not ours.
	quietAfter = 100 * time.Millisecond
	// silentAfter is how long a server that sends keep-alives, every five seconds, must be
	// silent until the client assumes that the connection is dead.
	silentAfter = 15 * time.Second
	// remembered is how many of the last events are recognized if they come again.
	remembered = 1024
)

// listen yields what the server sends.
func (f *feed) listen(ctx context.Context) error {
	from := f.resume()
	r, err := f.receive(ctx, from, filterMetadata(&f.o.Filter)...)
	if err != nil {
		return err
	}
	l := &listening{feed: f, receiver: r, checked: from != f.last.Position}
	for !f.stopped {
		if err := l.page(); err != nil {
			return err
		}
	}
	return nil
}

// listening is a feed that listens to a receiver.
type listening struct {
	*feed
	*receiver
	checked bool     // same has checked the first event
	alive   bool     // the server has shown that it sends keep-alives
	recent  []uint64 // positions of the last events
	events  []store.Recorded
	end     bool
}

// page waits for a message, takes all others that have also arrived, and yields them.
func (l *listening) page() error {
	m, err := l.wait()
	if err != nil {
		return err
	}
	from := l.o.From
	l.events, l.end = nil, m == nil
	for more := m != nil; more; {
		if err := l.take(m); err != nil {
			return err
		}
		if more = !l.end && len(l.events) < l.o.Limit; more {
			m, more = l.next()
		}
	}
	if len(l.events) > 0 || l.o.From > from || l.end && !l.told {
		l.tell(l.events, l.end)
	}
	return nil
}

// next returns a message that has already arrived.
func (l *listening) next() (m *eventstorev1.SubscribeResponse, ok bool) {
	select {
	case m, ok = <-l.messages:
	default:
	}
	return m, ok
}

// wait returns the next message, or nil if nothing has come for long enough to conclude
// that everything has arrived.
func (l *listening) wait() (*eventstorev1.SubscribeResponse, error) {
	after := max(l.client.timeout, silentAfter)
	quiet := !l.told && !l.client.ours.Load()
	if quiet {
		after = quietAfter
	}
	var silence <-chan time.Time // proves nothing if the server may send no keep-alives
	if quiet || l.alive {
		silence = time.After(after)
	}
	select {
	case m, ok := <-l.messages:
		if !ok {
			return nil, l.err
		}
		return m, nil
	case <-silence:
		if quiet {
			return nil, nil //nolint:nilnil // nothing is the news
		}
		return nil, fmt.Errorf("store/grpc: subscribe: nothing has arrived for %s, not even a keep-alive", after)
	}
}

// take takes a message.
func (l *listening) take(m *eventstorev1.SubscribeResponse) error {
	meta := m.GetEvent().GetMeta()
	switch {
	case m.GetEvent() == nil: // a keep-alive, which can come at any moment
		l.alive = true
		return nil
	case meta.GetEventId() == "" && meta.GetAggregateId() == "": // a marker
		l.alive, l.end = true, true
		return l.caughtUp(meta.GetAggregateNonce(), meta.GetGlobalNonce())
	}
	e, err := wire.ToRecorded(m.GetEvent())
	if err != nil {
		return err
	}
	if !l.checked {
		l.checked = true
		if again, err := l.same(&e); again || err != nil {
			return err
		}
	}
	if e.Position < l.o.From {
		return l.before(&e)
	}
	l.seen(&e)
	l.recent = append(l.recent[max(0, len(l.recent)-remembered):], e.Position)
	if l.o.Filter.Matches(&e) {
		l.events = append(l.events, e)
	}
	return nil
}

// before returns an error if e, which is before the events that have come, has not come
// itself: it was skipped, and would be lost.
func (l *listening) before(e *store.Recorded) error {
	if _, found := slices.BinarySearch(l.recent, e.Position); found || len(l.recent) == 0 || e.Position < l.recent[0] {
		return nil // it comes again
	}
	return fmt.Errorf("store/grpc: subscribe: position %d comes after %d: %w", e.Position, l.last.Position, wire.ErrProtocol)
}

// caughtUp handles the marker that says that the log was sent up to head, and continues
// at next.
func (l *listening) caughtUp(head, next uint64) error {
	if head < l.last.Position || !l.checked {
		return &store.DivergedError{Checkpoint: l.last, Head: head}
	}
	l.head = max(l.head, head)
	l.o.From = max(l.o.From, next)
	return nil
}
