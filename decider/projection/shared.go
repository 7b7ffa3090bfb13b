package projection

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"

	"github.com/evolvego/evolve/store"
)

// SharedLog is a log whose subscriptions share one reader once they have caught up.
// [Shared] makes one. It is safe for concurrent use.
type SharedLog struct {
	store.Log

	mu      sync.Mutex
	members int                // guarded by mu
	stop    context.CancelFunc // guarded by mu; of the reader, nil if none runs
	done    chan struct{}      // guarded by mu; closed when the reader has ended
	from    uint64             // guarded by mu; where the first of pages begins
	next    uint64             // guarded by mu; how far the reader has come
	pages   []store.Page       // guarded by mu; the last ones, without a gap
	failed  error              // guarded by mu; the error that the reader has ended with
	wake    chan struct{}      // guarded by mu; closed at the next change
}

// sharedPages is how many pages the reader keeps for subscriptions that are slightly
// behind.
const sharedPages = 8

// Shared returns log as one log for many projections of one process: pass it to all of
// them. A subscription reads by itself until it has caught up. From then on one reader
// follows the log for all of them, so that ten projections cost one read for each append
// instead of ten. A subscription that falls behind reads by itself again. Events are
// shared: do not change them.
func Shared(log store.Log) *SharedLog { return &SharedLog{Log: log, wake: make(chan struct{})} }

// Subscribe is [store.Log.Subscribe].
func (s *SharedLog) Subscribe(ctx context.Context, o store.LogOptions) iter.Seq2[store.Page, error] {
	if o.Backward {
		return s.Log.Subscribe(ctx, o) // returns the error that says why not
	}
	return func(yield func(store.Page, error) bool) {
		o := o // of this loop
		joined := false
		defer func() {
			if joined {
				s.leave()
			}
		}()
		for first := true; ; first = false {
			page, err := s.ReadAll(ctx, o)
			if err != nil {
				yield(store.Page{}, err)
				return
			}
			if (first || page.Next != o.From) && !yield(page, nil) {
				return
			}
			if o.From = page.Next; !page.End {
				continue
			}
			if !joined {
				s.join(ctx, o.From)
				joined = true
			}
			if !s.follow(ctx, &o, yield) {
				return
			}
		}
	}
}

// follow yields what the reader has read, from o.From on. It returns true if the
// subscription must read by itself again, and false if it is over.
func (s *SharedLog) follow(ctx context.Context, o *store.LogOptions, yield func(store.Page, error) bool) bool {
	for {
		pages, behind, wake, err := s.since(o.From)
		switch {
		case err != nil:
			yield(store.Page{}, err)
			return false
		case behind:
			return true
		case len(pages) == 0:
			select {
			case <-wake:
				continue
			case <-ctx.Done():
				yield(store.Page{}, ctx.Err())
				return false
			}
		}
		for _, page := range pages {
			if o.Limit > 0 && len(page.Events) > o.Limit {
				return true // pages of this size are too large for it
			}
			mine := store.Page{Head: page.Head, Next: page.Next, End: page.End}
			for i := range page.Events {
				if e := &page.Events[i]; e.Position >= o.From && o.Filter.Matches(e) {
					mine.Events = append(mine.Events, *e)
				}
			}
			if !yield(mine, nil) {
				return false
			}
			o.From = mine.Next
		}
	}
}

// since returns the pages of the reader from position from on, and whether the reader no
// longer has them.
func (s *SharedLog) since(from uint64) (pages []store.Page, behind bool, wake <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.next > from && from < s.from:
		return nil, true, nil, nil
	case s.next > from:
		for i := range s.pages {
			if s.pages[i].Next > from {
				return slices.Clone(s.pages[i:]), false, nil, nil
			}
		}
	case s.failed != nil:
		return nil, false, nil, s.failed
	}
	return nil, false, s.wake, nil
}

// join starts the reader if there is none.
func (s *SharedLog) join(ctx context.Context, from uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.members++
	if s.stop != nil && s.failed == nil {
		return
	}
	if s.stop != nil {
		s.stop()
	}
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop, s.done, s.failed = stop, make(chan struct{}), nil
	s.from, s.next, s.pages = from, from, nil
	go s.read(reading, from, s.done)
}

// leave ends the reader with the last member.
func (s *SharedLog) leave() {
	s.mu.Lock()
	s.members--
	var done chan struct{}
	if s.members == 0 {
		s.stop()
		s.stop, done = nil, s.done
	}
	s.mu.Unlock()
	if done != nil {
		<-done
	}
}

// read is the loop of the reader.
func (s *SharedLog) read(ctx context.Context, from uint64, done chan struct{}) {
	defer close(done)
	err := errors.New("the subscription ended")
	for page, failed := range s.Log.Subscribe(ctx, store.LogOptions{From: from, Limit: pageSize}) {
		if failed != nil {
			err = failed
			break
		}
		if !s.add(page, done) {
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done == done {
		s.failed = err
		s.changed()
	}
}

// add stores a page of the reader that done belongs to. It returns false if another
// reader has replaced it.
func (s *SharedLog) add(page store.Page, done chan struct{}) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done != done {
		return false
	}
	if page.Next <= s.next {
		return true // nothing new
	}
	if len(s.pages) == sharedPages {
		s.from = s.pages[0].Next
		s.pages = s.pages[1:]
	}
	s.pages = append(s.pages, page)
	s.next = page.Next
	s.changed()
	return true
}

// changed wakes the members. It needs mu.
func (s *SharedLog) changed() {
	close(s.wake)
	s.wake = make(chan struct{})
}
