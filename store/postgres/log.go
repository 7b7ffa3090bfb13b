package postgres

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/evolvego/evolve/store"
)

const (
	// maxScan is the maximum number of events that a page with a filter examines, so that
	// a filter that matches few events still returns in bounded time.
	maxScan = 8192
	// maxSubscribed is the maximum number of events in a page of a subscription.
	maxSubscribed = 256
)

// Head is [store.Log.Head].
func (s *Store) Head(ctx context.Context) (head uint64, err error) {
	b := s.backend
	err = b.read(ctx, func(ctx context.Context, q querier) error {
		return q.QueryRow(ctx, b.sql.head, s.tenant).Scan(&head)
	})
	return head, err
}

// ReadAll is [store.Log.ReadAll]. A page has at most 1,000 events, ends after 32 MiB of
// data, and with a filter examines at most 8,192 events.
func (s *Store) ReadAll(ctx context.Context, o store.LogOptions) (store.Page, error) {
	p, err := s.readLog(ctx, o, 0, nil)
	if err != nil {
		return store.Page{}, err
	}
	return p.page(), nil
}

// readLog reads a page, and the id of the event at position last. It calls progress for
// each row, if progress is not nil.
func (s *Store) readLog(ctx context.Context, o store.LogOptions, last uint64, progress func()) (*pager, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	p := newPager(o.From, o.Limit, o.Backward)
	p.log, p.filter, p.progress = true, &o.Filter, progress
	b := s.backend
	query := b.sql.log
	args := []any{s.tenant, p.from, p.limit, int64(last)} //nolint:gosec // a position
	filtered := len(o.Filter.StreamTypes) > 0 || o.Filter.IDPrefix != "" || len(o.Filter.EventTypes) > 0
	if filtered {
		args = append(args, names(o.Filter.StreamTypes), storable(o.Filter.IDPrefix), names(o.Filter.EventTypes))
	}
	switch {
	case filtered && o.Backward:
		query = b.sql.filteredBackward
	case filtered:
		query = b.sql.filtered
	case o.Backward:
		query = b.sql.logBackward
	}
	err := b.read(ctx, func(ctx context.Context, q querier) error { return p.read(ctx, q, query, args...) })
	return p, err
}

// names returns those of names that the database can store, or nil if names is empty.
func names(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return storable(name) != name })
}

// storable returns the longest prefix of s that the database accepts as text.
func storable(s string) string {
	if i := strings.IndexByte(s, 0); i >= 0 {
		s = s[:i]
	}
	for i, r := range s {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return s[:i]
			}
		}
	}
	return s
}

// Subscribe is [store.Log.Subscribe]. It starts no goroutine for the loop, and holds no
// connection while the loop handles a page. Pages have at most 256 events.
//
// If the server does not answer, or refuses a read, Subscribe retries for about a
// minute. Then it continues where it was, or yields the error. If the log is no longer
// the one that was read, because a backup was restored or a replica without the last
// events was promoted, it ends with an error that matches [store.ErrLogDiverged].
func (s *Store) Subscribe(ctx context.Context, o store.LogOptions) iter.Seq2[store.Page, error] {
	return func(yield func(store.Page, error) bool) {
		if o.Backward {
			yield(store.Page{}, invalid("backward", "is not possible for a subscription"))
			return
		}
		sub := &subscription{store: s, o: o}
		if o.Limit == 0 || o.Limit > maxSubscribed {
			sub.o.Limit = maxSubscribed
		}
		defer s.backend.listen()() //nolint:contextcheck // the goroutine is that of all subscriptions
		sub.run(ctx, yield)
	}
}

// subscription is the state of a loop over Subscribe.
type subscription struct {
	store *Store
	o     store.LogOptions
	last  store.Checkpoint // of the last event that was yielded
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
		changed := page.Next != s.o.From
		s.o.From = page.Next
		if n := len(page.Events); n > 0 {
			s.last = store.Checkpoint{Position: page.Events[n-1].Position, EventID: page.Events[n-1].ID}
		}
		if (first || changed) && !yield(page, nil) {
			return
		}
		if page.End && !b.wait(ctx, b.poll, news) {
			b.checkServes(ctx)
		}
	}
}

// wait waits for at most d. It returns true if there is news, or ctx or the backend has
// ended, and false otherwise.
func (b *backend) wait(ctx context.Context, d time.Duration, news <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-news:
	case <-timer.C:
		return false
	case <-ctx.Done():
	case <-b.done:
	}
	return true
}

// next reads the next page, and retries while the server is unavailable.
func (s *subscription) next(ctx context.Context) (store.Page, error) {
	b := s.store.backend
	giveUp := time.Now().Add(3 * b.bound) //nolint:forbidigo // of the server
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		p, err := s.try(ctx)
		if err == nil {
			return p.page(), s.verify(p)
		}
		if ended := ctx.Err(); ended != nil {
			return store.Page{}, ended
		}
		if isFinal(err) || time.Now().After(giveUp) { //nolint:forbidigo // as above
			return store.Page{}, err
		}
		b.wait(ctx, pause, nil)
	}
}

// try reads the next page, and gives up if the server is silent for too long.
func (s *subscription) try(ctx context.Context) (*pager, error) {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	b := s.store.backend
	timer := time.AfterFunc(b.bound, func() { cancel(errSilent) })
	defer timer.Stop()
	p, err := s.store.readLog(inner, s.o, s.last.Position, func() { timer.Reset(b.bound) })
	if err != nil && context.Cause(inner) == errSilent { //nolint:errorlint // it is never wrapped
		return nil, errSilent
	}
	return p, err
}

// errSilent is the error of a background read, or of an append, that the server has not
// answered in time.
var errSilent error = &Error{Kind: ErrUnavailable, Err: errors.New("the server does not answer")}

// verify checks that the last event that was yielded is still at its position.
func (s *subscription) verify(p *pager) error {
	if p.last == s.last.EventID {
		return nil
	}
	return &store.DivergedError{Checkpoint: s.last, Found: p.last, Head: p.head}
}
