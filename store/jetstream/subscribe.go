package jetstream

import (
	"context"
	"iter"
	"time"

	"github.com/evolvego/evolve/store"
)

const (
	// poll is the longest time that a subscription waits before it reads the log.
	poll = time.Second
	// maxSubscribed is the maximum number of events in a page of a subscription.
	maxSubscribed = 256
	// manyTries is the number of times that a subscription asks for a page, for half a
	// minute each.
	manyTries = 2
)

// Subscribe is [store.Log.Subscribe]. Pages have at most 256 events. While the
// subscription is more than 10,000 messages behind, one of the servers sends them
// through an ephemeral consumer, if the user may create one. Otherwise, and afterwards,
// it requests pages.
//
// If the servers do not answer, Subscribe retries for about a minute. Then it continues
// where it was, or yields the error. If the log is no longer the one that was read, it
// ends with an error that matches [store.ErrLogDiverged].
func (s *Store) Subscribe(ctx context.Context, o store.LogOptions) iter.Seq2[store.Page, error] {
	return func(yield func(store.Page, error) bool) {
		if o.Backward {
			yield(store.Page{}, invalid("backward", "is not possible for a subscription"))
			return
		}
		sub := &subscription{store: s, o: o, reconnects: s.backend.nc.Stats().Reconnects}
		if o.Limit == 0 || o.Limit > maxSubscribed {
			sub.o.Limit = maxSubscribed
		}
		defer s.backend.news.listen()()
		sub.run(ctx, yield)
	}
}

// subscription is the state of a loop over Subscribe.
type subscription struct {
	store      *Store
	o          store.LogOptions
	last       store.Checkpoint // of the last event that was yielded
	ended      bool             // the last page reached the end of the log
	reconnects uint64           // the number of reconnects when last was found in the log
	sparse     bool             // most of the log does not match
	pages      bool             // the servers do not send events on their own
}

func (s *subscription) run(ctx context.Context, yield func(store.Page, error) bool) {
	b := s.store.backend
	for first := true; ; first = false {
		news := b.news.next(s.store.tenant)
		page, err := s.next(ctx)
		if err != nil {
			yield(store.Page{}, err)
			return
		}
		isNew := first || page.Next != s.o.From || page.End && !s.ended
		s.turn(&page)
		if isNew && !yield(page, nil) {
			return
		}
		switch {
		case page.End:
			b.wait(ctx, news)
		case page.Head-page.Next > far && !s.pages && !s.catchUp(ctx, page.Head, yield):
			return
		}
	}
}

// wait waits for news, for a time, or until ctx or the backend ends.
func (b *backend) wait(ctx context.Context, news <-chan struct{}) {
	timer := time.NewTimer(poll)
	defer timer.Stop()
	select {
	case <-news:
	case <-timer.C:
	case <-ctx.Done():
	case <-b.done:
	}
}

// next reads the next page, and retries while the servers are unavailable.
func (s *subscription) next(ctx context.Context) (page store.Page, err error) {
	for range manyTries {
		err = s.verify(ctx)
		if err == nil {
			page, err = s.store.ReadAll(ctx, s.o)
		}
		if err == nil || ctx.Err() != nil || store.Definite(err) || !isUnavailable(err) {
			break
		}
	}
	return page, err
}

// verify checks, after the connection was lost, that the last event that was yielded is
// still where it was.
func (s *subscription) verify(ctx context.Context) error {
	now := s.store.backend.nc.Stats().Reconnects
	if now == s.reconnects {
		return nil
	}
	if _, err := store.Resume(ctx, s.store, s.last); err != nil {
		return err
	}
	s.reconnects = now
	return nil
}
