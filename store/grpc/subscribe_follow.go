package grpc

import (
	"context"
	"fmt"
	"time"

	"github.com/evolvego/evolve/store"
)

// pollAfter is when a log is read again of which its server tells nothing new.
const pollAfter = 5 * time.Second

// follow reads the log, of which the end was read, again whenever the server sends
// something.
func (f *feed) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := f.receive(ctx, f.o.From)
	if err != nil {
		return err
	}
	poll := time.NewTicker(pollAfter)
	defer poll.Stop()
	for {
		// At first too: the log may be another one than before the subscription.
		if err := f.readOn(ctx); err != nil || f.stopped {
			return err
		}
		select {
		case _, ok := <-r.messages:
			if !ok {
				return r.err
			}
			r.drain()
		case <-poll.C:
		}
	}
}

// drain takes what has come already.
func (r *receiver) drain() {
	for {
		select {
		case _, ok := <-r.messages:
			if ok {
				continue
			}
		default:
		}
		return
	}
}

// readOn yields pages until the end.
func (f *feed) readOn(ctx context.Context) error {
	for {
		p, err := f.following(ctx)
		if err != nil {
			return err
		}
		from := f.o.From
		matching := f.choose(p.events)
		if p.headKnown {
			f.head, f.o.From = max(f.head, p.head), max(f.o.From, p.next)
		}
		moved := f.o.From > from
		if !moved && !p.end {
			return f.noProgress(fmt.Sprintf("subscribe from position %d", from))
		}
		if (moved || !f.told) && !f.tell(matching, p.end) || p.end {
			return nil
		}
	}
}

// following reads the events that follow the last one. It reads the last one with
// them, to see that it is there: once a connection, and for another server than ours
// each time, for the connection may be another one by now.
func (f *feed) following(ctx context.Context) (part, error) {
	ours := f.client.ours.Load()
	o := store.LogOptions{}
	if ours {
		o.Filter = f.o.Filter
	}
	if f.last.Position > 0 && (!f.verified || !ours) {
		p, err := f.logPart(ctx, f.last.Position, f.o.Limit+1, o)
		if err != nil {
			return part{}, err
		}
		if len(p.events) == 0 {
			return part{}, &store.DivergedError{Checkpoint: f.last, Head: f.head}
		}
		if _, err := f.same(&p.events[0]); err != nil {
			return part{}, err
		}
		f.verified = true
		p.events = p.events[1:]
		if len(p.events) > 0 || p.end {
			return p, nil
		}
	}
	p, err := f.logPart(ctx, f.o.From, f.o.Limit, o)
	if !p.headKnown && len(p.events) == 0 {
		p.end = true
	}
	return p, err
}

// choose takes events, and returns those that match.
func (f *feed) choose(events []store.Recorded) []store.Recorded {
	var matching []store.Recorded
	for i := range events {
		f.seen(&events[i])
		if f.o.Filter.Matches(&events[i]) {
			matching = append(matching, events[i])
		}
	}
	return matching
}
