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

// readOn yields pages until the end. The first event of each page that is asked for
// is the last one of the page before.
func (f *feed) readOn(ctx context.Context) error {
	for {
		limit := min(f.o.Limit, f.client.page)
		if f.last.Position > 0 {
			limit++
		}
		p, err := f.logPart(ctx, f.resume(), limit, store.LogOptions{})
		if err != nil {
			return err
		}
		events := p.events
		if f.last.Position > 0 {
			if len(events) == 0 {
				return &store.DivergedError{Checkpoint: f.last, Head: f.head}
			}
			if _, err := f.same(&events[0]); err != nil {
				return err
			}
			events = events[1:]
		}
		end := p.end || len(events) == 0
		matching := f.choose(events)
		if (len(events) > 0 || end && !f.told) && !f.tell(matching, end) || end {
			return nil
		}
	}
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
