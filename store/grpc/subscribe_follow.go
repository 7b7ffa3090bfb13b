package grpc

import (
	"context"
	"time"

	"github.com/evolvego/evolve/store"
)

// pollAfter is when a log is read again of which its server tells nothing new.
const pollAfter = 5 * time.Second

// follow reads the log page by page, and again whenever the server sends something.
func (f *feed) follow(ctx context.Context) error {
	if err := f.readOn(ctx); err != nil || f.stopped {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := f.receive(ctx, f.o.From)
	if err != nil {
		return err
	}
	poll := time.NewTicker(pollAfter)
	defer poll.Stop()
	for {
		select {
		case _, ok := <-r.messages:
			if !ok {
				return r.err
			}
			r.drain()
		case <-poll.C:
		}
		if err := f.readOn(ctx); err != nil || f.stopped {
			return err
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
		events, end, err := f.following(ctx)
		if err != nil {
			return err
		}
		matching := f.choose(events)
		if (len(events) > 0 || end && !f.told) && !f.tell(matching, end) || end {
			return nil
		}
	}
}

// following reads the events that follow the last one, and reports whether they
// are the last ones. It reads the last one with them, to see that it is there.
func (f *feed) following(ctx context.Context) ([]store.Recorded, bool, error) {
	if f.last.Position > 0 {
		p, err := f.logPart(ctx, f.last.Position, f.o.Limit+1, store.LogOptions{})
		if err != nil {
			return nil, false, err
		}
		if len(p.events) == 0 {
			return nil, false, &store.DivergedError{Checkpoint: f.last, Head: f.head}
		}
		if _, err := f.same(&p.events[0]); err != nil {
			return nil, false, err
		}
		if len(p.events) > 1 || p.end {
			return p.events[1:], p.end, nil
		}
	}
	p, err := f.logPart(ctx, f.o.From, f.o.Limit, store.LogOptions{})
	return p.events, p.end || len(p.events) == 0, err
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
