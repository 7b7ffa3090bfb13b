package grpc

import (
	"context"
	"fmt"
	"time"

	"github.com/evolvego/evolve/store"
)

// pollAfter is when a log is read again if its server reports nothing new.
const pollAfter = 5 * time.Second

// follow reads the log, whose end was reached, again whenever the server sends
// something.
func (f *feed) follow(ctx context.Context) error {
	r, err := f.receive(ctx, f.o.From)
	if err != nil {
		return err
	}
	poll := time.Tick(pollAfter)
	for {
		// Also at the start, because the log may have been replaced before the subscription.
		if err := f.readOn(ctx); err != nil || f.stopped {
			return err
		}
		select {
		case _, ok := <-r.messages:
			if !ok {
				return r.err
			}
			r.drain()
		case <-poll:
		}
	}
}

// drain discards what has already arrived.
func (r *receiver) drain() {
	for range len(r.messages) {
		<-r.messages
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
		if !f.tellPart(&p) || p.end {
			return nil
		}
		if f.o.From == from {
			return f.noProgress(fmt.Sprintf("subscribe from position %d", from))
		}
		f.page = min(2*f.page, f.client.page)
	}
}

// tellPart yields p in pages of the loop's size, and reports whether the loop
// continues.
func (f *feed) tellPart(p *part) bool {
	for {
		from := f.o.From
		matching := f.choose(p)
		last := len(p.events) == 0
		if last && p.headKnown {
			f.head, f.o.From = max(f.head, p.head), max(f.o.From, p.next)
		}
		end := last && p.end
		if (f.o.From > from || end && !f.told) && !f.tell(matching, end) || last {
			return !f.stopped
		}
	}
}

// following reads the events that follow the last one. It also reads the last one, to
// check that it is still there: once per connection, and every time for a server that
// is not ours, because each request may reach a different server.
func (f *feed) following(ctx context.Context) (part, error) {
	ours := f.client.ours.Load()
	o := store.LogOptions{}
	if ours {
		o.Filter = f.o.Filter
	}
	if f.last.Position > 0 && (!f.verified || !ours) {
		all := o
		if !f.matched { // it came from a server that does not filter
			all.Filter = store.Filter{}
		}
		p, err := f.logPart(ctx, f.last.Position, f.page+1, all)
		if err != nil {
			return part{}, err
		}
		if len(p.events) == 0 {
			head, err := f.logHead(ctx)
			if err != nil {
				return part{}, err // it is not certain either that the server is the same
			}
			return part{}, &store.DivergedError{Checkpoint: f.last, Head: head}
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
	p, err := f.logPart(ctx, f.o.From, f.page, o)
	if !p.headKnown && len(p.events) == 0 {
		p.end = true
	}
	return p, err
}

// choose takes events from p, and returns the matching ones, at most a page of them.
func (f *feed) choose(p *part) []store.Recorded {
	var matching []store.Recorded
	for len(p.events) > 0 && len(matching) < f.o.Limit {
		e := &p.events[0]
		f.seen(e)
		if f.o.Filter.Matches(e) {
			matching = append(matching, *e)
		}
		p.events = p.events[1:]
	}
	return matching
}
